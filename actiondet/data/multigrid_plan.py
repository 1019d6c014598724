"""Multigrid training (Wu et al. 2020, arXiv 1912.00998): many small clips first, few large ones later.

The long cycle changes frames and crop from stage to stage, the short cycle the crop from batch to batch; the batch
grows as the clip shrinks, so that every step costs the same. Pure arithmetic: what a plan says, loaders and the
training loop do. The figures are those of the authors' code in PySlowFast, whose tables tests/golden/multigrid holds.
Unlike it, a long cycle without a short one works, and a stage that is rounded to no epoch is left out of the training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

LONG_FACTORS = ((0.25, math.sqrt(0.5)), (0.5, math.sqrt(0.5)), (0.5, 1.0), (1.0, 1.0))
"""Frames and crop of the stages of a long cycle, as shares of the plain ones."""
SHORT_FACTORS = (0.5, math.sqrt(0.5))
"""Crops of the short cycle, as shares of the plain one; the stage's own crop comes third."""


@dataclass(frozen=True, kw_only=True)
class PlainRecipe:
    """The training that multigrid speeds up.

    Attributes:
        batch: clips of a step, over all processes.
        frames: of a clip.
        stride: between the frames of a clip.
        crop: side of a clip in pixels.
        short_side: smallest and largest short side before the crop, in pixels.
        steps: epochs at which the learning rate falls; the first is 0, from the last on the weights are tuned finely.
        epochs: of the whole training.
        gamma: what the learning rate is multiplied by at each of the steps.
    """

    batch: int
    frames: int
    stride: int
    crop: int
    short_side: tuple[int, int]
    steps: tuple[int, ...]
    epochs: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        edges = (*self.steps, self.epochs)
        if len(self.steps) < 2 or edges[0] != 0 or any(later <= earlier for earlier, later in pairwise(edges)):
            raise ValueError(f"steps {self.steps} of {self.epochs} epochs: expected 0 first, two at least, all rising")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Epochs [first, end) with clips of one size.

    Attributes:
        first, end: epochs; equal if rounding leaves the stage none.
        step: how many times the learning rate has fallen.
        batch_factor: batch, as a multiple of the plain one.
        frames: of a clip.
        crop: side of a clip in pixels.
        strides: smallest and largest stride; each training clip draws its own.
    """

    first: int
    end: int
    step: int
    batch_factor: int
    frames: int
    crop: int
    strides: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ShortCycleStep:
    """One batch of the short cycle: clips of this process, side of a crop and range of the short side in pixels."""

    batch: int
    crop: int
    short_side: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """A multigrid training.

    Attributes:
        plain: the recipe it speeds up.
        stages: of the long cycle; one if there is none.
        lr_edges: epochs from which the next of `lr_factors` holds.
        lr_factors: multiples of the plain recipe's learning rate.
    """

    plain: PlainRecipe
    stages: tuple[Stage, ...]
    lr_edges: tuple[int, ...]
    lr_factors: tuple[float, ...]

    @property
    def epochs(self) -> int:
        """Number of epochs, each as long as one of the plain recipe in samples."""
        return self.stages[-1].end

    def stage_at(self, epoch: int) -> Stage:
        """The stage of `epoch` (from 0)."""
        return next(stage for stage in self.stages if stage.first <= epoch < stage.end)

    def validates_after(self, epoch: int, *, times: int = 3) -> bool:
        """Whether the weights are validated at the end of `epoch`: about `times` in each stage, its end among them."""
        stage = self.stage_at(epoch)
        period = max((stage.end - stage.first) // times + 1, 1)
        return (stage.end - 1 - epoch) % period == 0

    def lr_factor(self, moment: float, *, warmup_epochs: float = 0.0, warmup_start: float = 1.0) -> float:
        """What the learning rate is multiplied by at `moment`, in epochs.

        Args:
            moment: 2.5 is the middle of the third epoch.
            warmup_epochs: the factor rises linearly up to here.
            warmup_start: the factor at moment 0.
        """
        if moment < warmup_epochs:
            reached = self.lr_factor(warmup_epochs)
            return warmup_start + (reached - warmup_start) * moment / warmup_epochs
        # Of several edges at one epoch (a stage without epochs lies between) the last counts.
        return self.lr_factors[sum(edge <= moment for edge in self.lr_edges) - 1]


def plan(plain: PlainRecipe, *, long_cycle: bool, short_cycle: bool, epoch_factor: float = 1.5) -> Plan:
    """Plan a multigrid training.

    Args:
        plain: the recipe to be sped up.
        long_cycle: frames and crop change from stage to stage.
        short_cycle: the crop changes from batch to batch.
        epoch_factor: how many times the plain recipe's samples are seen.
    """
    if not long_cycle:
        steps = tuple(int(step * epoch_factor) for step in plain.steps)
        end = int(plain.epochs * epoch_factor)
        whole = Stage(
            first=0,
            end=end,
            step=0,
            batch_factor=1,
            frames=plain.frames,
            crop=plain.crop,
            strides=(plain.stride, plain.stride),
        )
        return Plan(plain, (whole,), steps, tuple(plain.gamma**number for number in range(len(steps))))
    stages = _long_cycle(plain, short_cycle=short_cycle, epoch_factor=epoch_factor)
    return Plan(plain, stages, *_learning_rates(stages, plain.gamma))


def _long_cycle(plain: PlainRecipe, *, short_cycle: bool, epoch_factor: float) -> tuple[Stage, ...]:
    """Share the epochs out so that each size of clip gets as many steps as any other (section 3.2 of the paper)."""
    volume = plain.frames * plain.crop**2
    sizes = [(round(plain.frames * time), round(plain.crop * space)) for time, space in LONG_FACTORS]
    factors, mean_factors = [], []
    for frames, crop in sizes:
        crops = [*(plain.crop * share for share in SHORT_FACTORS), crop] if short_cycle else [crop]
        batches = [round(volume / (frames * side * side)) for side in crops]
        factors.append(batches[-1])
        mean_factors.append(sum(batches) / len(batches))

    rows = []  # step, number of the size, epochs as a real number
    iterations = 0.0
    for step, (begin, end) in enumerate(pairwise(plain.steps)):
        for number, mean in enumerate(mean_factors):
            share = (end - begin) * mean / sum(mean_factors)
            iterations += share / mean
            rows.append((step, number, share))
    saving = plain.steps[-1] / iterations
    last = len(sizes) - 1
    rows.append((len(plain.steps) - 1, last, (plain.epochs - plain.steps[-1]) / saving * mean_factors[last]))

    stretch = plain.epochs * epoch_factor / sum(epochs for _, _, epochs in rows)
    ends = [round(end) for end in accumulate(epochs * stretch for _, _, epochs in rows)]
    return tuple(
        Stage(
            first=first,
            end=end,
            step=step,
            batch_factor=factors[number],
            frames=sizes[number][0],
            crop=sizes[number][1],
            strides=(plain.stride, plain.stride * (plain.frames // sizes[number][0])),
        )
        for (step, number, _), first, end in zip(rows, [0, *ends[:-1]], ends, strict=True)
    )


def _learning_rates(stages: Sequence[Stage], gamma: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Linear in the batch of the long cycle; fine tuning is halved, its first half going on at the last rate."""
    edges = [stage.first for stage in stages]
    factors = [gamma**stage.step * stage.batch_factor for stage in stages]
    tuning = stages[-1]
    return (*edges, (tuning.first + tuning.end) // 2), (*factors[:-1], factors[-2], factors[-1])


def short_cycle(plain: PlainRecipe, stage: Stage, *, batch: int) -> tuple[ShortCycleStep, ...]:
    """The batches that follow one another within `stage`, round and round.

    Args:
        plain: the recipe that is sped up.
        stage: one of its plan.
        batch: clips of this process at the stage's own crop.
    """
    turns = []
    for share in SHORT_FACTORS:
        crop = round(share * plain.crop)
        factor = round((stage.crop / (share * plain.crop)) ** 2)
        turns.append(ShortCycleStep(batch=batch * factor, crop=crop, short_side=short_sides(plain, crop)))
    return (*turns, ShortCycleStep(batch=batch, crop=stage.crop, short_side=short_sides(plain, stage.crop)))


def short_sides(plain: PlainRecipe, crop: int) -> tuple[int, int]:
    """Range of the short side for clips of `crop` pixels: the smallest shrinks with the crop, the largest stays."""
    return round(plain.short_side[0] * crop / plain.crop), plain.short_side[1]


def batches(indices: Sequence[int], turns: Sequence[ShortCycleStep]) -> Iterator[tuple[int, list[int]]]:
    """Cut `indices` into batches, turn by turn: (number of the turn, indices); a rest that fills none is dropped."""
    start = number = 0
    while start + turns[number].batch <= len(indices):
        yield number, list(indices[start : start + turns[number].batch])
        start += turns[number].batch
        number = (number + 1) % len(turns)


def count_batches(length: int, turns: Sequence[ShortCycleStep]) -> int:
    """How many batches `batches` cuts `length` indices into; the loop asks this of every epoch in every step."""
    rounds, rest = divmod(length, sum(turn.batch for turn in turns))
    filled = accumulate(turn.batch for turn in turns)
    return rounds * len(turns) + sum(end <= rest for end in filled)


@dataclass(frozen=True)
class NormPlan:
    """How batch norm goes about a batch: over `splits` parts of it, or over `devices` processes together."""

    kind: Literal["plain", "split", "sync"]
    splits: int = 1
    devices: int = 1


def norm_plan(batch: int, *, base: int = 8) -> NormPlan:
    """Statistics over about `base` clips, whatever the batch of a process is."""
    if batch > base:
        return NormPlan("split", splits=batch // base)
    return NormPlan("sync", devices=base // batch) if batch < base else NormPlan("plain")

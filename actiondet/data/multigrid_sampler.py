"""Batches of a multigrid training: which videos, at which size."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler

from actiondet.data.loading import ClipShape, Draw, TrainSampler
from actiondet.data.multigrid_plan import Plan, ShortCycleStep, batches, count_batches, short_cycle, short_sides


class MultigridSampler(Sampler[list[Draw]]):
    """Every video once an epoch in random order, in batches whose clips change size; a rest is left out.

    Nothing depends on the number of workers, and every process reads as many batches as the others.
    """

    def __init__(self, sampler: TrainSampler, *, plan: Plan, short_cycle: bool, batch: int) -> None:
        """Stand at the beginning of epoch 0.

        Args:
            sampler: of the videos, whose order the batches follow.
            plan: of the training.
            short_cycle: whether the size changes within an epoch.
            batch: clips of a process at the full size.
        """
        self._sampler, self._plan, self._short_cycle, self._batch = sampler, plan, short_cycle, batch
        self._epoch = self._start = 0

    def set_position(self, *, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many batches of this process to leave out at its beginning (to resume there)."""
        self._epoch, self._start = epoch, start

    def batches_in(self, epoch: int) -> int:
        """How many batches this process reads in `epoch`."""
        return count_batches(self._sampler.samples, self._turns(epoch))

    def __iter__(self) -> Iterator[list[Draw]]:
        stage, turns = self._plan.stage_at(self._epoch), self._turns(self._epoch)
        self._sampler.set_position(epoch=self._epoch)
        mine = [draw.index for draw in self._sampler]
        for position, (number, indices) in enumerate(batches(mine, turns)):
            if position >= self._start:
                turn = turns[number]
                shape = ClipShape(stage.frames, stage.strides, turn.crop, turn.short_side)
                yield [Draw(self._epoch, index, shape) for index in indices]

    def __len__(self) -> int:
        """Batches that this process has left in the epoch."""
        return self.batches_in(self._epoch) - self._start

    def _turns(self, epoch: int) -> tuple[ShortCycleStep, ...]:
        stage = self._plan.stage_at(epoch)
        batch = self._batch * stage.batch_factor
        if self._short_cycle:
            return short_cycle(self._plan.plain, stage, batch=batch)
        return (ShortCycleStep(batch=batch, crop=stage.crop, short_side=short_sides(self._plan.plain, stage.crop)),)

"""From samples to batches: who sees which sample when, in how many processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from actiondet.datasets.repeats import epoch_length, repeated_order
from actiondet.records import ClipBatch, ClipMemory, ClipSample, PlannedClip, PlannedClips, VideoBatch
from evaluation.errors import InputError
from evaluation.records import FloatArray, FrameKey

Batch = TypeVar("Batch", ClipBatch, VideoBatch)


@dataclass(frozen=True)
class ClipShape:
    """The size of a clip where it is not always the same: frames, a range of strides, and pixels.

    Attributes:
        frames: of the clip.
        strides: smallest and largest distance of two frames; both may be drawn.
        side: of the clip.
        short_side: smallest and largest short side before the crop; both may be drawn.
    """

    frames: int
    strides: tuple[int, int]
    side: int
    short_side: tuple[int, int]


@dataclass(frozen=True)
class Draw:
    """What a sampler asks a data set for: everything random about a sample follows from (seed, epoch, index, repeat).

    Attributes:
        epoch: from 0.
        index: of the sample.
        shape: of its clip; None where the data set knows it.
        repeat: how often the sample came in this epoch before.
    """

    epoch: int
    index: int
    shape: ClipShape | None = None
    repeat: int = 0


@dataclass(frozen=True)
class Unreadable:
    """Takes the place of a sample whose video cannot be read, so that a worker never dies of it."""

    key: FrameKey
    message: str


@dataclass(frozen=True, eq=False)
class Loaded(Generic[Batch]):
    """What a loader yields for one batch of draws.

    Attributes:
        batches: one for each size of clip, in the order of the draws; none if nothing could be read. Training crops
            have one size.
        unreadable: the moments whose video could not be read.
    """

    batches: tuple[Batch, ...]
    unreadable: tuple[Unreadable, ...]

    def check(self, unreadable: Literal["stop", "skip"]) -> None:
        """Stop where a video could not be read, unless such are to be skipped.

        Raises:
            InputError: naming the first of them.
        """
        if self.unreadable and unreadable == "stop":
            raise InputError(self.unreadable[0].message + "; data.unreadable=skip leaves such clips out")

    def pin_memory(self) -> Loaded[Batch]:
        """The same with clips in page-locked memory (called by DataLoader)."""
        pinned = tuple(replace(batch, clips=batch.clips.pin_memory()) for batch in self.batches)
        return Loaded(pinned, self.unreadable)


@contextmanager
def worker_deaths_explained() -> Iterator[None]:
    """Say what a dead loading worker means; torch raises where the process happens to be.

    Raises:
        InputError: the system has killed a worker.
    """
    try:
        yield
    except RuntimeError as fault:
        if "DataLoader worker" not in str(fault):
            raise
        raise InputError(
            "a loading worker was killed, usually because the machine ran out of memory; lower train.workers or "
            "train.batch and repeat the command (a training with --resume)"
        ) from None


def collate(samples: Sequence[ClipSample | Unreadable]) -> Loaded[ClipBatch]:
    """Put clips of one size side by side."""
    groups: dict[torch.Size, list[ClipSample]] = {}
    for sample in samples:
        if isinstance(sample, ClipSample):
            groups.setdefault(sample.frames.shape, []).append(sample)
    unreadable = tuple(sample for sample in samples if isinstance(sample, Unreadable))
    return Loaded(tuple(_batch(group) for group in groups.values()), unreadable)


def _batch(samples: Sequence[ClipSample]) -> ClipBatch:
    labels = [sample.labels for sample in samples if sample.labels is not None]
    if labels and len(labels) != len(samples):
        raise ValueError(f"{len(labels)} of {len(samples)} samples have labels; expected all or none")
    return ClipBatch(
        clips=side_by_side([sample.frames for sample in samples]),
        boxes=_joined([sample.boxes for sample in samples]),
        labels=_joined(labels) if labels else None,
        keys=[sample.key for sample in samples],
        memories=_memories(samples),
    )


def _memories(samples: Sequence[ClipSample]) -> list[ClipMemory] | None:
    """What is remembered around each clip, if anything is."""
    found = [sample.memory for sample in samples if sample.memory is not None]
    if found and len(found) != len(samples):
        raise ValueError(f"{len(found)} of {len(samples)} samples have a memory; expected all or none")
    return found or None


def side_by_side(clips: Sequence[Tensor | PlannedClip]) -> Tensor | PlannedClips:
    """(3, T, H, W) clips, all planned or none, as (B, 3, T, H, W)."""
    planned = [clip for clip in clips if isinstance(clip, PlannedClip)]
    if planned:
        return PlannedClips.of(planned)
    return torch.stack([clip for clip in clips if isinstance(clip, Tensor)])


def _joined(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The same tensors on one storage: a worker hands over one file descriptor instead of one for each clip."""
    return torch.split(torch.cat(list(tensors)), [len(tensor) for tensor in tensors])


class TrainSampler(Sampler[Draw]):
    """Every sample once an epoch in random order (or as often as `factors` say), spread over processes.

    Together the processes go through one order, whatever their number; where it does not share out evenly, the last
    turn is filled from its beginning. Nothing depends on the number of workers.

    Attributes:
        samples: of this process in an epoch.
    """

    def __init__(
        self, length: int, *, seed: int, rank: int = 0, world_size: int = 1, factors: FloatArray | None = None
    ) -> None:
        """Stand at the beginning of epoch 0.

        Args:
            length: samples of the data set.
            seed: with the epoch, it decides the order.
            rank, world_size: which process this is, and of how many.
            factors: (length,) how often each sample comes in an epoch, on average; None for once each.
        """
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size} processes; expected 0 <= rank < world_size")
        if factors is not None and len(factors) != length:
            raise ValueError(f"{len(factors)} factors for {length} samples; expected one for each")
        self._length, self._seed, self._rank, self._world_size = length, seed, rank, world_size
        self._factors = factors
        self.samples = -(-(length if factors is None else epoch_length(factors)) // world_size)
        self._epoch = self._start = 0

    def set_position(self, *, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many samples of this process to leave out at its beginning (to resume there)."""
        if not 0 <= start <= self.samples:
            raise ValueError(f"start {start} lies outside an epoch of {self.samples} samples")
        self._epoch, self._start = epoch, start

    def __iter__(self) -> Iterator[Draw]:
        if self._factors is None:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self._length)
            repeats = np.zeros_like(order)
        else:
            order, repeats = repeated_order(self._factors, np.random.default_rng((self._seed, self._epoch)))
        whole = self.samples * self._world_size
        mine = slice(self._start * self._world_size + self._rank, whole, self._world_size)
        pairs = zip(np.resize(order, whole)[mine].tolist(), np.resize(repeats, whole)[mine].tolist(), strict=True)
        return (Draw(self._epoch, index, repeat=repeat) for index, repeat in pairs)

    def __len__(self) -> int:
        """Samples that this process has left in the epoch."""
        return self.samples - self._start


class OrderedSampler(Sampler[Draw]):
    """Every sample once over all processes; each takes one run of neighbors, which share videos."""

    def __init__(
        self,
        length: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        done: Collection[int] = frozenset(),
        repeats: int = 1,
        group: int = 1,
    ) -> None:
        """Samples that are `done` are left out; they do not change which process takes the others.

        A sample comes `repeats` times in a row, and `group` neighbors in a row go to the same process.
        """
        share = process_share(length, rank=rank, world_size=world_size, group=group)
        self._indices = [index for index in share if index not in done]
        self._repeats = repeats

    def __iter__(self) -> Iterator[Draw]:
        return (Draw(0, index, repeat=repeat) for index in self._indices for repeat in range(self._repeats))

    def __len__(self) -> int:
        return len(self._indices) * self._repeats


def process_share(length: int, *, rank: int, world_size: int, group: int = 1) -> range:
    """Which of `length` samples process `rank` tests; `group` neighbors stay together."""
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} of {world_size} processes; expected 0 <= rank < world_size")
    groups = length // group
    return range(groups * rank // world_size * group, groups * (rank + 1) // world_size * group)


class Batches(Sampler[list[Draw]]):
    """What `sampler` draws, `size` draws at a time; the last batch may be smaller.

    Where `readers` processes take the batches in turn, each gets neighbors: a run of the sampler's order.
    """

    def __init__(self, sampler: TrainSampler | OrderedSampler, size: int, *, readers: int = 1) -> None:
        self._sampler, self._size, self._readers = sampler, size, readers

    def __iter__(self) -> Iterator[list[Draw]]:
        if self._readers > 1:
            whole = list(self._in_order())
            runs = np.array_split(np.arange(len(whole)), self._readers)
            return (whole[run[turn]] for turn in range(len(runs[0])) for run in runs if turn < len(run))
        return self._in_order()

    def _in_order(self) -> Iterator[list[Draw]]:
        draws = iter(self._sampler)
        while batch := list(islice(draws, self._size)):
            yield batch

    def __len__(self) -> int:
        return -(-len(self._sampler) // self._size)


def build_loader(
    dataset: Dataset[ClipSample | Unreadable], sampler: TrainSampler | OrderedSampler, *, batch: int, workers: int
) -> DataLoader[Loaded[ClipBatch]]:
    """Load batches of `batch` key moments; other arguments as in `make_loader`."""
    readers = max(workers, 1) if isinstance(sampler, OrderedSampler) else 1
    return make_loader(dataset, Batches(sampler, batch, readers=readers), workers=workers, collate=collate)


def make_loader(
    dataset: Dataset[Any],
    batches: Iterable[list[Draw]],
    *,
    workers: int,
    collate: Callable[[Sequence[Any]], Loaded[Batch]],
) -> DataLoader[Loaded[Batch]]:
    """Load batches.

    Args:
        dataset: answers draws.
        batches: says in which order; change its epoch before each pass over the loader.
        workers: processes that read videos; 0 reads in this one. They stay for the next epoch.
        collate: turns a list of samples into a batch.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=prepare_worker,
    )


def prepare_worker(_worker: int) -> None:
    """Let a worker use one thread, ignore Ctrl-C, and outlive one SIGTERM of others than the first process.

    Terminals and schedulers signal all processes. The first process may finish a step, for which it needs the worker,
    and then ends it.
    """
    # Workers are the parallelism; threads inside of them would only wait for each other.
    torch.set_num_threads(1)
    # What the first process has made is shared memory until it is written to, as each look for garbage does.
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first_process = multiprocessing.parent_process()
    # macOS does not say who has sent a signal; there a worker ends at the first one.
    if first_process is not None and hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_by_sigterm, args=(first_process.pid,), daemon=True).start()


def _end_by_sigterm(first_process: int | None) -> None:
    """End this worker at a SIGTERM of the first process, which then waits for its end, or at the second of others."""
    if signal.sigwaitinfo({signal.SIGTERM}).si_pid != first_process:
        signal.sigwaitinfo({signal.SIGTERM})
    os._exit(0)

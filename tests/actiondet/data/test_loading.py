from __future__ import annotations

import pytest
import torch
from torch.utils.data import Dataset

from actiondet.data import Draw, Loaded, OrderedSampler, TrainSampler, Unreadable, build_loader, collate
from actiondet.records import ClipSample
from evaluation.records import FrameKey


def sample(index: int, *, size: tuple[int, int] = (4, 6), people: int = 2, labels: bool = True) -> ClipSample:
    return ClipSample(
        frames=torch.full((3, 2, *size), index, dtype=torch.uint8),
        boxes=torch.full((people, 4), float(index)),
        labels=torch.full((people, 5), float(index)) if labels else None,
        key=FrameKey("v", index),
    )


class Numbers(Dataset[ClipSample | Unreadable]):
    """Sample number n shows n, in two sizes; every seventh is unreadable."""

    def __getitem__(self, draw: Draw) -> ClipSample | Unreadable:
        if draw.index % 7 == 6:
            return Unreadable(FrameKey("v", draw.index), f"cannot read {draw.index}")
        return sample(draw.index, size=(4, 6 + draw.index % 2), people=draw.index % 3)


def keys(loaded: Loaded) -> list[int]:
    return [key.moment for batch in loaded.batches for key in batch.keys]


# ---------------------------------------------------------------- samplers


@pytest.mark.parametrize("length", [1, 5, 12])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_all_processes_together_see_every_sample_and_the_same_number_each(length: int, processes: int) -> None:
    samplers = [TrainSampler(length, seed=3, rank=rank, world_size=processes) for rank in range(processes)]
    seen = [[draw.index for draw in sampler] for sampler in samplers]
    assert {len(part) for part in seen} == {len(samplers[0])} == {-(-length // processes)}
    assert {index for part in seen for index in part} == set(range(length))
    repeated = sum(map(len, seen)) - length
    assert 0 <= repeated < processes


def test_processes_together_walk_one_order() -> None:
    alone = list(TrainSampler(12, seed=3))
    parts = [list(TrainSampler(12, seed=3, rank=rank, world_size=2)) for rank in range(2)]
    assert [draw for pair in zip(*parts, strict=True) for draw in pair] == alone


def test_the_order_follows_from_seed_and_epoch() -> None:
    sampler = TrainSampler(50, seed=1)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_position(epoch=1)
    second = list(sampler)
    assert {draw.epoch for draw in second} == {1}
    assert [draw.index for draw in second] != [draw.index for draw in first]
    sampler.set_position(epoch=0)
    assert list(sampler) == first
    assert [draw.index for draw in TrainSampler(50, seed=2)] != [draw.index for draw in first]
    assert [draw.index for draw in first] != list(range(50))


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    sampler = TrainSampler(10, seed=1, rank=1, world_size=2)
    sampler.set_position(epoch=4)
    whole = list(sampler)
    sampler.set_position(epoch=4, start=3)
    assert len(sampler) == 2
    assert list(sampler) == whole[3:]
    sampler.set_position(epoch=4, start=5)
    assert list(sampler) == []
    with pytest.raises(ValueError, match="start 6 lies outside an epoch of 5 samples"):
        sampler.set_position(epoch=4, start=6)


@pytest.mark.parametrize("length", [0, 1, 7, 8])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_testing_sees_every_sample_once(length: int, processes: int) -> None:
    samplers = [OrderedSampler(length, rank=rank, world_size=processes) for rank in range(processes)]
    assert [draw.index for sampler in samplers for draw in sampler] == list(range(length))
    assert sum(map(len, samplers)) == length


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_neighbors_that_belong_together_go_to_one_process(processes: int) -> None:
    done = {0, 1, 2, 6, 7, 8}
    samplers = [OrderedSampler(12, rank=rank, world_size=processes, group=3, done=done) for rank in range(processes)]
    drawn = [[draw.index for draw in sampler] for sampler in samplers]
    assert [index for each in drawn for index in each] == [3, 4, 5, 9, 10, 11]
    assert all(len(each) % 3 == 0 for each in drawn)


@pytest.mark.parametrize("kind", [OrderedSampler, lambda *args, **kwargs: TrainSampler(*args, seed=0, **kwargs)])
def test_a_rank_outside_the_processes_is_refused(kind: type[OrderedSampler]) -> None:
    with pytest.raises(ValueError, match="rank 2 of 2 processes"):
        kind(5, rank=2, world_size=2)


# ---------------------------------------------------------------- batches


def test_clips_of_one_size_stand_side_by_side() -> None:
    loaded = collate([sample(0), sample(1, size=(8, 8)), Unreadable(FrameKey("v", 9), "gone"), sample(2, people=0)])
    assert [batch.clips.shape for batch in loaded.batches] == [(2, 3, 2, 4, 6), (1, 3, 2, 8, 8)]
    assert keys(loaded) == [0, 2, 1]
    assert [fault.message for fault in loaded.unreadable] == ["gone"]
    first = loaded.batches[0]
    assert first.labels is not None
    assert [tuple(boxes.shape) for boxes in first.boxes] == [(2, 4), (0, 4)]
    assert [tuple(labels.shape) for labels in first.labels] == [(2, 5), (0, 5)]
    assert first.clips.dtype == torch.uint8


def test_what_belongs_to_a_clip_stays_with_it() -> None:
    batch = collate([sample(index, people=index) for index in (3, 1, 4, 2)]).batches[0]
    assert batch.labels is not None
    for key, clip, boxes, labels in zip(batch.keys, batch.clips, batch.boxes, batch.labels, strict=True):
        assert len(boxes) == key.moment
        assert {int(value) for part in (clip, boxes, labels) for value in part.unique()} == {key.moment}


def test_a_batch_without_anything_readable_is_empty() -> None:
    loaded = collate([Unreadable(FrameKey("v", 1), "gone")])
    assert loaded.batches == ()
    assert len(loaded.unreadable) == 1


def test_test_samples_have_no_labels() -> None:
    assert collate([sample(1, labels=False)]).batches[0].labels is None
    with pytest.raises(ValueError, match="1 of 2 samples have labels"):
        collate([sample(1, labels=False), sample(2)])


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    def batches(workers: int) -> list[tuple[list[int], list[str], list[list[float]]]]:
        sampler = TrainSampler(30, seed=5)
        loader = build_loader(Numbers(), sampler, batch=4, workers=workers)
        told = []
        for epoch in range(2):
            sampler.set_position(epoch=epoch, start=8 if epoch else 0)
            for loaded in loader:
                boxes = [box.flatten().tolist() for batch in loaded.batches for box in batch.boxes]
                told.append((keys(loaded), [fault.message for fault in loaded.unreadable], boxes))
        return told

    alone = batches(0)
    assert len(alone) == 8 + 6
    assert batches(2) == alone


def test_workers_compute_with_one_thread() -> None:
    class Threads(Dataset[ClipSample]):
        def __getitem__(self, draw: Draw) -> ClipSample:
            return sample(torch.get_num_threads())

    (loaded,) = build_loader(Threads(), OrderedSampler(1), batch=1, workers=1)
    assert keys(loaded) == [1]


@pytest.mark.gpu
def test_clips_are_pinned_where_there_is_a_gpu() -> None:
    (loaded,) = build_loader(Numbers(), OrderedSampler(1), batch=1, workers=0)
    assert loaded.batches[0].clips.is_pinned()

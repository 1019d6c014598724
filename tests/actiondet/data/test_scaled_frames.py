"""Tests read neighboring clips in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from actiondet.data import Draw, EvaluationSet, OrderedSampler, Unreadable
from actiondet.data.key_frames import KeyMoments
from actiondet.data.labeled_videos import VideoViews
from actiondet.data.loading import Batches
from actiondet.data.transforms import BoxedClip, WholeFrameTransform
from actiondet.data.video_transforms import VideoTestTransform
from actiondet.datasets.labeled_videos import LabeledVideos
from actiondet.datasets.sources import ReaderPool
from actiondet.datasets.tables import KeyTable, select_persons
from actiondet.records import ClipSample, VideoSample
from actiondet.video import VideoIndex
from actiondet.video.views import ViewSampling
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import FrameKey, PersonBoxes

FPS, FRAMES = 10, 80
BOX = (0.2, 0.3, 0.7, 0.9)
read: list[int] = []


def picture(number: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)


class Film:
    """Eighty frames of noise; those of a video "damaged" cannot be read from frame 40 on."""

    def __init__(self, path: Path) -> None:
        times = np.arange(FRAMES, dtype=np.int64) * 1_000_000 // FPS
        self.index = VideoIndex(str(path), 40, 30, Fraction(FPS), 0, False, times, False, None, None)

    def read(self, frames: Sequence[int]) -> npt.NDArray[np.uint8]:
        numbers = [int(number) for number in frames]
        if self.index.path == "damaged" and max(numbers) >= 40:
            raise InputError("damaged: frame 40 cannot be decoded")
        read.extend(numbers)
        return np.stack([picture(number) for number in numbers])

    def close(self) -> None:
        pass


def evaluation_set(*videos: str, short_sides: Sequence[int] = (24,)) -> EvaluationSet:
    """A person at seconds 1 to 6 of each video."""
    keys = KeyTable.of([FrameKey(video, second * 1_000_000) for video in videos for second in range(1, 7)])
    found = [PersonBoxes(key, np.array([BOX], np.float32), np.ones(1, np.float32)) for key in keys]
    actions = ActionList((1,), ("a",), (None,))
    settings: dict[str, Any] = {"truth": None, "excluded": frozenset(), "without_persons": 0}
    moments = KeyMoments(
        keys=keys,
        centers_us=keys.moment,
        videos=ReaderPool({name: Path(name) for name in videos}, Film),  # type: ignore[arg-type]
        window=ClipWindow(frames=8, stride=2, clip_fps=10, frame_jitter=False),
        actions=actions,
    )
    return EvaluationSet(
        moments,
        persons=select_persons(keys, found, threshold=0, at_most=9),
        short_sides=short_sides,
        evaluated=actions,
        **settings,
    )


def windows() -> list[npt.NDArray[np.int64]]:
    return [np.clip(np.arange(-8, 8, 2) + 10 * second, 0, FRAMES - 1) for second in range(1, 7)]


def test_neighboring_key_frames_are_read_in_one_pass_and_are_the_clips_that_each_is_alone() -> None:
    data = evaluation_set("v")
    read.clear()
    for start in (0, 3):  # two batches
        for place, sample in enumerate(data.__getitems__([Draw(0, start + each) for each in range(3)]), start):
            assert isinstance(sample, ClipSample)
            frames = np.stack([picture(number) for number in windows()[place].tolist()])
            expected = WholeFrameTransform(short_side=24)(BoxedClip.of(frames, np.array([BOX])))
            assert torch.equal(sample.frames, expected.tensors()[0])
            assert torch.equal(sample.boxes, expected.tensors()[1])
            assert sample.frames.is_contiguous()
    assert read == sorted(set(np.concatenate(windows()).tolist()))


def test_several_sizes_of_a_moment_share_its_frames() -> None:
    data = evaluation_set("v", short_sides=(24, 30))
    read.clear()
    samples = data.__getitems__([Draw(0, 2, repeat=0), Draw(0, 2, repeat=1)])
    assert [sample.frames.shape[2:] for sample in samples if isinstance(sample, ClipSample)] == [(24, 32), (30, 40)]
    assert read == windows()[2].tolist()


def test_a_damaged_place_costs_the_clips_that_show_it_alone() -> None:
    data = evaluation_set("v", "damaged")
    samples = data.__getitems__([Draw(0, index) for index in range(12)])
    broken = [sample.key.moment // 1_000_000 for sample in samples if isinstance(sample, Unreadable)]
    assert broken == [4, 5, 6]  # of the second video; the clip of second 3 ends with frame 36
    assert all(sample.key.video == "damaged" for sample in samples if isinstance(sample, Unreadable))


@pytest.mark.parametrize("video", ["v", "damaged"])
def test_the_clips_of_a_recognition_test_share_frames(video: str) -> None:
    clips = 4
    sampling = ViewSampling(frames=4, stride=8, rule="mmaction2")
    sources = ReaderPool({video: Path(video)}, Film)  # type: ignore[arg-type]
    labeled = LabeledVideos((video,), np.zeros(1, np.int64), None, ("a",), sources, ())
    transform = VideoTestTransform(short_side=24, side=20, crops=3, rounding="down")
    data = VideoViews(labeled, sampling=sampling, transform=transform, clips=clips)
    read.clear()
    samples = data.__getitems__([Draw(0, index) for index in range(clips)])
    chosen = sampling.views(FRAMES, rate=FPS, clips=clips)
    if video == "damaged":
        assert [isinstance(sample, Unreadable) for sample in samples] == (chosen.max(axis=1) >= 40).tolist()
        return
    assert len(read) == len(set(read)) == len(np.unique(chosen))
    for sample, window in zip(samples, chosen.tolist(), strict=True):
        assert isinstance(sample, VideoSample)
        assert torch.equal(sample.clips, transform(np.stack([picture(number) for number in window])))


@pytest.mark.parametrize("readers", [1, 2, 3, 7])
def test_each_of_several_readers_gets_neighbors(readers: int) -> None:
    batches = list(Batches(OrderedSampler(20), 3, readers=readers))
    taken = [batches[reader::readers] for reader in range(readers)]  # as DataLoader deals them out
    order = [draw.index for mine in taken for batch in mine for draw in batch]
    assert order == list(range(20))

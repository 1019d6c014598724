from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from actiondet.config import DetectionDataConfig
from actiondet.config.schema import ClipConfig, TransformConfig
from actiondet.data import Draw, TrainingSet, TrainSampler, Unreadable, build_loader, build_test_set, build_training_set
from actiondet.data.key_frames import KeyMoments
from actiondet.data.transforms import TrainTransform
from actiondet.datasets.sources import ReaderPool
from actiondet.datasets.tables import KeyTable, TruePersons, select_persons
from actiondet.records import ClipSample
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import FrameKey, PersonBoxes

FPS, SECONDS, HEIGHT, WIDTH = 30, 20, 48, 64
BOX = (0.25, 0.25, 0.75, 0.75)


class FakeIndex:
    frame_times = np.rint(np.arange(FPS * SECONDS) * 1e6 / FPS).astype(np.int64)


class FakeReader:
    """Frame n is n // 16 in red and n % 16 in green, so that a clip tells which frames it holds."""

    index = FakeIndex()

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.name == "broken":
            raise InputError(f"{path}: is cut off")

    def read(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if self.path.name == "damaged":
            raise OSError(5, "Input/output error", str(self.path))
        images = np.zeros((len(frames), HEIGHT, WIDTH, 3), dtype=np.uint8)
        images[..., 0], images[..., 1] = (frames // 16)[:, None, None], (frames % 16)[:, None, None]
        return images

    def close(self) -> None:
        pass


def shown(sample: ClipSample) -> list[int]:
    """Which frames a clip holds."""
    red, green = sample.frames[0, :, 5, 5].int(), sample.frames[1, :, 5, 5].int()
    return (red * 16 + green).tolist()


def persons(*boxes: tuple[float, ...]) -> PersonBoxes:
    return PersonBoxes(
        FrameKey("v", 0), np.array(boxes, dtype=np.float32).reshape(-1, 4), np.ones(len(boxes), dtype=np.float32)
    )


def training_set(
    moments: list[tuple[str, int]],
    *,
    people: int = 1,
    proposals: list[PersonBoxes | None] | None = None,
    stride: int = 4,
    **changes: Any,
) -> TrainingSet:
    """`people` in BOX at every moment (whole seconds); person n does action n + 1."""
    keys = KeyTable.of([FrameKey(video, second * 1_000_000) for video, second in moments])
    truth = TruePersons(
        keys,
        np.arange(len(keys) + 1) * people,
        np.array([BOX] * people * len(keys), dtype=np.float32).reshape(-1, 4),
        np.arange(people * len(keys) + 1),
        np.tile(np.arange(people) + 1, len(keys)),
        np.tile(np.arange(people), len(keys)),
    )
    settings: dict[str, Any] = {
        "people": truth,
        "proposals": select_persons(keys, proposals, threshold=0, at_most=99) if proposals else None,
        "centers_us": keys.moment,
        "videos": ReaderPool({name: Path(name) for name in keys.names}, FakeReader),  # type: ignore[arg-type]
        "window": ClipWindow(frames=8, stride=stride, clip_fps=30, frame_jitter=True),
        "transform": TrainTransform(short_side=(48, 48), crop=(48, 64), flip=0.0, min_visible=0.3),
        "actions": ActionList(tuple(range(1, 6)), tuple("abcde"), (None,) * 5),
        "num_actions": 5,
        "match_iou": 0.9,
        "max_boxes": 32,
        "seed": 0,
    }
    settings |= changes
    moments = {name: settings.pop(name) for name in ("centers_us", "videos", "window", "actions")}
    return TrainingSet(KeyMoments(keys=keys, **moments), **settings)


def clip(dataset: TrainingSet, index: int, epoch: int = 0) -> ClipSample:
    sample = dataset[Draw(epoch, index)]
    assert isinstance(sample, ClipSample), sample
    return sample


# ---------------------------------------------------------------- frames


def test_every_frame_of_a_training_clip_is_shifted_on_its_own_by_up_to_half_a_stride() -> None:
    dataset = training_set([("v", 8)], stride=4)
    shifts = np.array([shown(clip(dataset, 0, epoch)) for epoch in range(200)]) - (240 + (np.arange(8) - 4) * 4)
    for column in shifts.T:
        assert set(column.tolist()) == {-2, -1, 0, 1}
    assert abs(np.corrcoef(shifts.T)[0, 1:]).max() < 0.3
    assert shown(clip(training_set([("v", 8)], stride=1), 0)) == list(range(236, 244))


@pytest.mark.parametrize(
    ("stride", "expected"), [(1, {0}), (2, {-1, 0}), (5, {-2, -1, 0, 1, 2}), (16, set(range(-8, 8)))]
)
def test_jitter_stays_within_half_a_stride(stride: int, expected: set[int]) -> None:
    window = ClipWindow(frames=500, stride=stride, clip_fps=30, frame_jitter=True)
    shifts = window.jitter(np.random.default_rng(0))
    assert shifts is not None
    assert set(shifts.tolist()) == expected


def test_without_jitter_training_clips_stand_evenly() -> None:
    window = ClipWindow(frames=8, stride=4, clip_fps=30, frame_jitter=False)
    dataset = training_set([("v", 8)], window=window)
    assert {tuple(shown(clip(dataset, 0, epoch))) for epoch in range(5)} == {tuple(range(224, 256, 4))}


def test_a_clip_at_the_border_repeats_the_frames_there() -> None:
    window = ClipWindow(frames=80, stride=1, clip_fps=30, frame_jitter=True)
    dataset = training_set([("v", 0), ("v", 19)], window=window)
    assert shown(clip(dataset, 0))[:41] == [0] * 41
    assert shown(clip(dataset, 1))[-11:] == [599] * 11


# ---------------------------------------------------------------- people


def test_proposals_that_show_a_person_train_with_its_labels_and_others_not_at_all() -> None:
    near, far = (0.26, 0.25, 0.75, 0.75), (0.0, 0.0, 0.4, 0.4)
    dataset = training_set([("v", 3), ("v", 4), ("v", 5)], proposals=[persons(near, far), persons(far), None])
    sample = clip(dataset, 0)
    assert sample.labels is not None
    torch.testing.assert_close(sample.boxes, torch.tensor([[16.0, 12, 48, 36], [16.64, 12, 48, 36]]))
    assert sample.labels.tolist() == [[1, 0, 0, 0, 0]] * 2
    assert sample.labels.dtype == torch.float32
    assert [len(clip(dataset, index).boxes) for index in (1, 2)] == [1, 1]  # the truth alone


def test_too_many_boxes_are_drawn_from_all_and_keep_their_labels() -> None:
    dataset = training_set([("v", 3)], people=5, max_boxes=2)
    drawn = set()
    for epoch in range(60):
        labels = clip(dataset, 0, epoch).labels
        assert labels is not None
        assert labels.shape == (2, 5)
        drawn.add(tuple(labels.argmax(dim=1).tolist()))
    assert len(drawn) == 10  # every pair of five


def test_a_clip_whose_people_left_the_crop_has_no_boxes() -> None:
    transform = TrainTransform(short_side=(480, 480), crop=(48, 64), flip=0.5, min_visible=0.3)
    dataset = training_set([("v", 3)], transform=transform)
    counts = set()
    for epoch in range(40):
        sample = clip(dataset, 0, epoch)
        assert sample.labels is not None
        assert sample.frames.shape == (3, 8, 48, 64)
        assert sample.labels.shape == (len(sample.boxes), 5)
        counts.add(len(sample.boxes))
    assert 0 in counts


# ---------------------------------------------------------------- randomness


def wild(seed: int = 0) -> TrainingSet:
    transform = TrainTransform(short_side=(48, 60), crop=(40, 40), flip=0.5, min_visible=0.0)
    return training_set([("v", second) for second in range(2, 12)], transform=transform, seed=seed)


def same(first: ClipSample, second: ClipSample) -> bool:
    return torch.equal(first.frames, second.frames) and torch.equal(first.boxes, second.boxes)


def test_a_sample_follows_from_seed_epoch_and_index_alone() -> None:
    dataset = wild()
    forward = [clip(dataset, index, epoch=3) for index in range(10)]
    backward = [clip(dataset, index, epoch=3) for index in reversed(range(10))][::-1]
    torch.manual_seed(1)
    again = [clip(wild(), index, epoch=3) for index in range(10)]
    assert all(map(same, forward, backward))
    assert all(map(same, forward, again))
    assert not any(map(same, forward, [clip(dataset, index, epoch=4) for index in range(10)]))
    assert not any(map(same, forward, [clip(wild(seed=1), index, epoch=3) for index in range(10)]))


def test_samples_do_not_depend_on_the_number_of_workers() -> None:
    def epoch(workers: int) -> list[torch.Tensor]:
        sampler = TrainSampler(10, seed=0)
        sampler.set_position(epoch=2)
        loader = build_loader(wild(), sampler, batch=4, workers=workers)
        return [tensor for loaded in loader for batch in loaded.batches for tensor in (batch.clips, *batch.boxes)]

    alone, two = epoch(0), epoch(2)
    assert len(alone) == len(two) == 3 + 10
    assert all(map(torch.equal, alone, two))


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("video", "message"), [("broken", "broken: is cut off"), ("damaged", r"Input/output error.*damaged")]
)
def test_a_video_that_cannot_be_read_gives_a_message_instead_of_a_sample(video: str, message: str) -> None:
    dataset = training_set([("v", 3), (video, 3)])
    fault = dataset[Draw(0, 1)]
    assert isinstance(fault, Unreadable)
    assert fault.key == (video, 3_000_000)
    with pytest.raises(AssertionError, match=message):
        clip(dataset, 1)
    assert isinstance(dataset[Draw(0, 0)], ClipSample)


@pytest.mark.parametrize(("second", "readable"), [(-2, False), (-1, True), (20, True), (21, False), (902, False)])
def test_a_moment_far_outside_of_its_video_is_a_fault(second: int, readable: bool) -> None:
    sample = training_set([("v", second)])[Draw(0, 0)]
    assert isinstance(sample, ClipSample) == readable
    if isinstance(sample, Unreadable):
        assert f"lies {second}.000 s after the beginning of the file, which lasts 19.967 s" in sample.message


def test_a_data_set_of_ones_own_needs_a_reader_or_a_builder() -> None:
    class Mine(DetectionDataConfig):
        name: str = "mine"

    common: dict[str, Any] = {"clip": ClipConfig(), "transform": TransformConfig(), "num_actions": 5}
    with pytest.raises(InputError, match=r"nothing reads the data set 'mine'; .*datasets.splits.read_split.reg"):
        build_test_set(Mine(), **common)
    dataset = wild()
    build_training_set.register(Mine, lambda data, **_: dataset)
    assert build_training_set(Mine(), **common, seed=0) is dataset

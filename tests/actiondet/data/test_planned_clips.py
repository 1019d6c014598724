"""Clips that are resized, cropped and mirrored on the device of the network, beside those of processors."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import resize

from actiondet.data.labeled_videos import collate_videos
from actiondet.data.loading import Loaded, side_by_side
from actiondet.data.resizing import resized_anywhere
from actiondet.data.transforms import BoxedClip, TrainTransform
from actiondet.data.video_transforms import VideoTrainTransform
from actiondet.records import PlannedClip, PlannedClips, VideoSample

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def noise(height: int, width: int, seed: int, *, frames: int = 3) -> np.ndarray:
    """Frames in which no two neighbors are alike: what is misplaced or rounded twice shows."""
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def assert_close(planned: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal within one gray level, and nearly everywhere equal."""
    assert planned.dtype == torch.uint8
    difference = (planned.cpu().int() - expected.int()).abs()
    assert int(difference.max()) <= 1
    assert float(difference.float().mean()) < 0.01


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(64, 91), (33, 20), (120, 120), (7, 300)])
def test_resizing_on_a_device_gives_what_processors_give(size: tuple[int, int], device: str) -> None:
    video = torch.from_numpy(noise(64, 91, 0)).permute(0, 3, 1, 2)
    assert_close(resized_anywhere(video.to(device), size), resize(video, list(size), antialias=False))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("followed", [False, True])
def test_planned_clips_with_boxes_are_those_of_processors(device: str, followed: bool) -> None:
    settings: dict[str, Any] = {"short_side": (64, 80), "crop": (56, 60), "flip": 0.5, "min_visible": 0.3}
    for seed in range(12):
        boxes = np.random.default_rng(seed).uniform(0, 0.5, (4, 3, 4) if followed else (4, 4))
        boxes[..., 2:] += boxes[..., :2]
        frames = noise(50 + 9 * seed, 70 + 5 * seed, seed)
        jitter = (0.2, 0.1) if seed % 2 else None
        plain, in_view = TrainTransform(**settings, box_jitter=jitter)(
            BoxedClip.of(frames, boxes), np.random.default_rng(seed)
        )
        planned, also_in_view = TrainTransform(**settings, box_jitter=jitter, on_device=True)(
            BoxedClip.of(frames, boxes, planned=True), np.random.default_rng(seed)
        )
        clip, plain_boxes = plain.tensors()
        assert torch.equal(also_in_view, in_view)
        assert torch.equal(planned.plain_boxes(), plain_boxes)
        assert isinstance(planned.video, PlannedClip)
        assert planned.video.shape == clip.shape
        (found,) = PlannedClips.of([planned.video]).to(device)
        assert_close(found, clip)


def test_colors_change_after_all_else() -> None:
    settings: dict[str, Any] = {"short_side": (64, 64), "crop": (64, 64), "flip": 1.0, "min_visible": 0.3}
    frames, boxes = noise(64, 64, 0), np.zeros((0, 4))  # a size that needs no resizing: both are exact
    clips = []
    for planned in (False, True):
        transform = TrainTransform(**settings, color_jitter=(20, 0.1, 0.1), on_device=planned)
        clip, _ = transform(BoxedClip.of(frames, boxes, planned=planned), np.random.default_rng(0))
        clips.append(PlannedClips.of([clip.video]).to("cpu")[0] if planned else clip.tensors()[0])
    assert torch.equal(*clips)
    assert not np.array_equal(clips[0].permute(1, 2, 3, 0).numpy(), frames[:, :, ::-1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("crop", ["random_resized", "random", "corner"])
def test_planned_clips_of_videos_are_those_of_processors(
    crop: Literal["random_resized", "random", "corner"], device: str
) -> None:
    settings: dict[str, Any] = {
        "short_side": (60, 72),
        "crop": crop,
        "side": 56,
        "area": (0.08, 1.0),
        "aspect": (0.75, 4 / 3),
        "scale": (0.66, 1.0),
        "flip": 0.5,
    }
    plain, planned = [], []
    for seed in range(8):
        frames = noise(80 + seed, 110 - 7 * seed, seed)
        plain.append(VideoTrainTransform(**settings)(frames, np.random.default_rng(seed)))
        planned.append(VideoTrainTransform(**settings, on_device=True)(frames, np.random.default_rng(seed)))
    clips = side_by_side(planned)
    assert isinstance(clips, PlannedClips)
    assert clips.shape == (8, 3, 3, 56, 56)
    assert_close(clips.to(device), torch.stack(plain))


def test_a_batch_of_planned_clips_travels_to_another_process() -> None:
    plan = VideoTrainTransform(
        short_side=(60, 72), crop="random", side=56, area=(1, 1), aspect=(1, 1), scale=(1, 1), flip=1, on_device=True
    )
    samples = [
        VideoSample(side_by_side([plan(noise(80, 90 + n, n), np.random.default_rng(n))] * 2), n, n, 0) for n in (0, 1)
    ]
    loaded = collate_videos(samples)
    again: Loaded[Any] = pickle.loads(pickle.dumps(loaded))
    (batch,), (other,) = loaded.batches, again.batches
    assert len(batch) == 4
    assert batch.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(batch.clips.to("cpu"), other.clips.to("cpu"))

"""Windows and crops of whole videos: tables, and the same everything for all frames."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from actiondet.data.transforms import as_clip
from actiondet.data.video_transforms import (
    VideoTestTransform,
    VideoTrainTransform,
    corner_window,
    random_resized_window,
    random_window,
    square_windows,
)


@pytest.mark.parametrize(
    ("size", "rounding", "expected"),
    [
        ((256, 341), "down", [(0, 0), (0, 84), (0, 42)]),  # MMAction2: 0, 2 and 1 steps of (341 - 256) // 2
        ((256, 341), "up", [(0, 0), (0, 85), (0, 43)]),
        ((341, 256), "down", [(0, 0), (84, 0), (42, 0)]),
        ((341, 256), "up", [(0, 0), (85, 0), (43, 0)]),
        ((256, 256), "up", [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_three_crops_lie_at_both_ends_and_in_the_middle(
    size: tuple[int, int], rounding: Literal["down", "up"], expected: list[tuple[int, int]]
) -> None:
    windows = square_windows(*size, side=256, crops=3, rounding=rounding)
    assert [window[:2] for window in windows] == expected
    assert square_windows(*size, side=256, crops=1, rounding=rounding) == [windows[2]]


def test_a_crop_smaller_than_the_short_side_is_centerd_on_it() -> None:
    windows = square_windows(256, 340, side=224, crops=3, rounding="down")
    assert [window[:2] for window in windows] == [(16, 0), (16, 116), (16, 58)]


def test_random_resized_windows_keep_their_area_and_shape() -> None:
    random = np.random.default_rng(0)
    windows = np.array(
        [random_resized_window(256, 340, random, area=(0.08, 1.0), aspect=(0.75, 4 / 3)) for _ in range(500)]
    )
    area = windows[:, 2] * windows[:, 3] / (256 * 340)
    aspect = windows[:, 3] / windows[:, 2]
    assert area.min() > 0.078
    assert area.max() > 0.7
    assert aspect.min() > 0.73
    assert aspect.max() < 1.36
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= [256, 340]).all()


def test_where_no_window_fits_the_middle_square_is_taken() -> None:
    random = np.random.default_rng(0)
    assert random_resized_window(10, 100, random, area=(1.0, 1.0), aspect=(1.0, 1.0)) == (0, 45, 10, 10)


def test_a_random_window_reaches_the_last_pixel() -> None:
    random = np.random.default_rng(0)
    places = {random_window(4, 5, random, size=(3, 3))[:2] for _ in range(200)}
    assert places == {(top, left) for top in (0, 1) for left in (0, 1, 2)}


def test_corner_windows_are_squares_at_five_places() -> None:
    random = np.random.default_rng(0)
    windows = {corner_window(20, 30, random, scale=(0.5, 0.5)) for _ in range(200)}
    assert windows == {(0, 0, 10, 10), (0, 20, 10, 10), (10, 0, 10, 10), (10, 20, 10, 10), (5, 10, 10, 10)}


@pytest.mark.parametrize("crop", ["random_resized", "random", "corner"])
def test_every_frame_of_a_training_clip_is_cut_alike(crop: Literal["random_resized", "random", "corner"]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    transform = VideoTrainTransform(
        short_side=(36, 48), crop=crop, side=32, area=(0.3, 1.0), aspect=(0.75, 1.33), scale=(0.7, 1.0), flip=0.5
    )
    clip = transform(np.stack([picture] * 3), np.random.default_rng(4))
    assert clip.shape == (3, 3, 32, 32)
    assert clip.dtype == torch.uint8
    assert clip.is_contiguous()
    assert torch.equal(clip[:, 0], clip[:, 2])
    again = transform(np.stack([picture] * 3), np.random.default_rng(4))
    assert torch.equal(clip, again)


def test_test_crops_show_the_left_the_right_and_the_middle() -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[None, None, :, None], (2, 30, 60, 3)).copy()
    clips = VideoTestTransform(short_side=30, side=30, crops=3, rounding="down")(ramp)
    assert clips.shape == (3, 3, 2, 30, 30)
    assert clips[:, 0, 0, 0, 0].tolist() == [0, 120, 60]


def test_frames_may_be_cut_out_each_on_its_own() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    transform = VideoTrainTransform(
        short_side=(36, 48),
        crop="random",
        side=32,
        area=(0.3, 1.0),
        aspect=(0.75, 1.33),
        scale=(0.7, 1.0),
        flip=0.5,
        per_frame=True,
    )
    clip = transform(np.stack([picture] * 3), np.random.default_rng(4))
    assert clip.shape == (3, 3, 32, 32)
    assert not torch.equal(clip[:, 0], clip[:, 1])
    assert not torch.equal(clip[:, 1], clip[:, 2])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("layout", ["channels last", "a window", "channels first"])
def test_clips_are_the_frames_in_planes(mirrored: bool, layout: str) -> None:
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 9, 14, 3), dtype=np.uint8))
    video = frames.permute(0, 3, 1, 2)
    if layout == "a window":
        video = video[..., 2:7, 3:12]
    elif layout == "channels first":
        video = video.contiguous()
    clip = as_clip(video, mirrored=mirrored)
    assert clip.is_contiguous()
    assert torch.equal(clip, (video.flip(-1) if mirrored else video).transpose(0, 1))

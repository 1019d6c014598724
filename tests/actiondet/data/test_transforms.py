from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from actiondet.data.colors import rgb_to_hsv, shifted_colors
from actiondet.data.transforms import BoxedClip, TrainTransform, WholeFrameTransform
from actiondet.video.scaling import scaled_size

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "data" / "mmaction2.json").read_text())


def picture(height: int, width: int, box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """(3, height, width, 3): black frames with a rectangle in red, its left half in yellow."""
    x1, y1, x2, y2 = box
    frames = np.zeros((3, height, width, 3), dtype=np.uint8)
    frames[:, y1:y2, x1:x2, 0] = 255
    frames[:, y1:y2, x1 : (x1 + x2) // 2, 1] = 255
    return frames


def extent(mask: npt.NDArray[np.bool_]) -> list[float]:
    """x1, y1, x2, y2 around the true pixels of (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def clip_of(frames: npt.NDArray[np.uint8], *pixel_boxes: tuple[float, ...]) -> BoxedClip:
    height, width = frames.shape[1:3]
    return BoxedClip.of(frames, np.array(pixel_boxes, dtype=np.float64).reshape(-1, 4) / [width, height, width, height])


def always(**changes: Any) -> TrainTransform:
    settings: dict[str, Any] = {"short_side": (64, 80), "crop": (56, 60), "flip": 0.5, "min_visible": 0.0}
    return TrainTransform(**(settings | changes))


@pytest.mark.parametrize("seed", range(60))
def test_a_rectangle_is_found_again_where_its_box_went(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(size) for size in random.integers(50, 140, 2))
    x1, y1 = int(random.integers(0, width - 24)), int(random.integers(0, height - 24))
    x2, y2 = int(random.integers(x1 + 20, width + 1)), int(random.integers(y1 + 20, height + 1))
    transform = always(flip=float(seed % 2))
    clip, in_view = transform(clip_of(picture(height, width, (x1, y1, x2, y2)), (x1, y1, x2, y2)), random)
    frames, boxes = clip.tensors()
    assert frames.shape == (3, 3, 56, 60)
    assert frames.dtype == torch.uint8
    assert boxes.dtype == torch.float32
    assert frames.is_contiguous()
    red = frames[0, 1].numpy() > 127
    if not in_view[0]:
        assert red.sum() <= red.shape[0] + red.shape[1]
        return
    # Half a pixel of rounding in the scaled size, one of the threshold in a blurred edge.
    assert np.abs(np.array(extent(red)) - boxes[0].numpy()).max() <= 1.5
    yellow = frames[1, 1].numpy() > 127
    if yellow.any() and (red & ~yellow).any():
        mirrored = extent(yellow)[0] > extent(red & ~yellow)[0]
        assert mirrored == bool(seed % 2)


@pytest.mark.parametrize("case", GOLDEN["boxes"], ids=lambda case: f"{case['name']}-{case['width']}x{case['height']}")
def test_boxes_move_as_in_mmaction2(case: dict[str, Any]) -> None:
    frames = np.zeros((1, case["height"], case["width"], 3), dtype=np.uint8)
    clip = BoxedClip.of(frames, np.array(case["unit_boxes"]))
    clip = clip.resized(*scaled_size(*clip.size, case["short_side"]))
    if case["crop"]:
        left, top, right, bottom = case["crop"]
        clip = clip.cropped(top, left, bottom - top, right - left)
    if case["flip"]:
        clip = clip.mirrored()
    assert list(clip.size) == case["size"]
    theirs, ours = np.array(case["boxes"]), clip.tensors()[1].numpy()
    difference = np.abs(theirs - ours)
    # It ends boxes one pixel before the right and lower border of a crop; we end them at the border.
    height, width = case["size"]
    border = np.array([width, height, width, height], dtype=np.float64)
    at_border = (np.minimum(ours, border - ours) < 1 + 1e-3) if case["crop"] else np.zeros_like(ours, dtype=bool)
    assert difference[~at_border].max() < 1e-3
    assert difference.max() < 1 + 1e-3


@pytest.mark.parametrize(
    ("size", "short_side", "at_least", "expected"),
    [
        ((360, 480), 256, (1, 1), (256, 341)),
        ((480, 270), 256, (1, 1), (455, 256)),
        ((256, 256), 300, (1, 1), (300, 300)),
        ((1080, 1920), 256, (1, 1), (256, 455)),
        # a wide window in a tall video: the frame grows until it holds the window
        ((160, 90), 120, (112, 144), (256, 144)),
        ((90, 160), 120, (112, 144), (120, 213)),
        ((1, 1000), 8, (1, 1), (8, 8000)),
        ((101, 333), 100, (100, 330), (100, 330)),
    ],
)
def test_scaled_sizes(
    size: tuple[int, int], short_side: int, at_least: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert scaled_size(*size, short_side, at_least) == expected


def test_every_offset_of_the_crop_is_drawn_the_last_one_too() -> None:
    frames = np.broadcast_to(np.arange(67, dtype=np.uint8)[None, None, :, None], (1, 64, 67, 3)).copy()
    transform = always(short_side=(64, 64), crop=(62, 64), flip=0.0)
    random = np.random.default_rng(0)
    offsets = {int(transform(clip_of(frames), random)[0].tensors()[0][0, 0, 0, 0]) for _ in range(200)}
    assert offsets == {0, 1, 2, 3}


def test_both_ends_of_the_short_side_are_drawn() -> None:
    frames = np.zeros((1, 40, 80, 3), dtype=np.uint8)
    transform = always(short_side=(40, 42), crop=(40, 80), flip=0.0, min_visible=0.0)
    # A box over the whole frame: its part inside the window tells the scale.
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        clip = clip_of(frames, (10, 0, 20, 40))
        boxes = transform(clip, random)[0].tensors()[1]
        seen.add(round(float(boxes[0, 2] - boxes[0, 0]) * 4))
    assert seen == {40, 41, 42}


@pytest.mark.parametrize(
    ("box", "min_visible", "kept"),
    [
        ((0, 0, 40, 40), 0.5, True),  # half of it is in the window, columns 20 to 60
        ((0, 0, 40, 40), 0.51, False),
        ((0, 0, 21, 40), 0.04, True),
        ((0, 0, 20, 40), 0.0, False),  # touches the window from outside
        ((70, 0, 90, 40), 0.0, False),
        ((30, 10, 50, 30), 1.0, True),
        ((30, 10, 30, 30), 0.0, False),  # no area at all
    ],
)
def test_boxes_that_leave_the_window_are_dropped(
    box: tuple[int, int, int, int], min_visible: float, kept: bool
) -> None:
    class Middle(np.random.Generator):
        def integers(self, low: int, high: int, **_: Any) -> int:  # type: ignore[override]
            return 20 if (low, high) == (0, 40) else low

    transform = always(short_side=(40, 40), crop=(40, 40), flip=0.0, min_visible=min_visible)
    random = Middle(np.random.PCG64(0))
    _, in_view = transform(clip_of(np.zeros((1, 40, 80, 3), dtype=np.uint8), box), random)
    assert in_view.tolist() == [kept]


def test_a_mirror_image_maps_x_to_width_minus_x_and_twice_is_nothing() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 10, 21, 3), dtype=np.uint8)
    clip = clip_of(frames, (3, 1, 8, 9))
    once, twice = clip.mirrored(), clip.mirrored().mirrored()
    torch.testing.assert_close(once.tensors()[1], torch.tensor([[13.0, 1, 18, 9]]))
    assert torch.equal(once.tensors()[0], clip.tensors()[0].flip(-1))
    assert torch.equal(twice.tensors()[0], clip.tensors()[0])
    torch.testing.assert_close(twice.tensors()[1], clip.tensors()[1])


def test_resizing_is_bilinear_without_antialias() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
    resized = WholeFrameTransform(short_side=24)(clip_of(frames)).tensors()[0].permute(1, 0, 2, 3).float()
    source = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    exact = torch.nn.functional.interpolate(source, size=(24, 36), mode="bilinear", align_corners=False)
    smooth = torch.nn.functional.interpolate(source, size=(24, 36), mode="bilinear", antialias=True)
    assert (resized - exact).abs().max() <= 1  # uint8 arithmetic rounds
    assert (resized - smooth).abs().mean() > 10


def test_a_test_clip_shows_the_whole_frame_and_keeps_every_box() -> None:
    frames = picture(60, 90, (10, 20, 40, 50))
    clip = WholeFrameTransform(short_side=30)(clip_of(frames, (10, 20, 40, 50), (0, 0, 90, 60)))
    pixels, boxes = clip.tensors()
    assert pixels.shape == (3, 3, 30, 45)
    assert boxes.tolist() == [[5, 10, 20, 25], [0, 0, 45, 30]]
    assert extent(pixels[0, 0].numpy() > 127) == [5, 10, 20, 25]


def test_a_clip_without_boxes_passes_through() -> None:
    clip, in_view = always()(clip_of(np.zeros((2, 70, 90, 3), dtype=np.uint8)), np.random.default_rng(0))
    assert clip.tensors()[1].shape == (0, 4)
    assert in_view.shape == (0,)


def test_the_same_generator_state_gives_the_same_clip() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 70, 90, 3), dtype=np.uint8)
    first, second = (always()(clip_of(frames, (1, 2, 30, 40)), np.random.default_rng(5))[0].tensors() for _ in "ab")
    other = always()(clip_of(frames, (1, 2, 30, 40)), np.random.default_rng(6))[0].tensors()
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("seed", range(20))
def test_the_boxes_of_every_frame_move_as_a_box_of_all_frames_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = np.zeros((3, 60, 90, 3), dtype=np.uint8)
    unit_boxes = np.sort(random.random((5, 3, 2, 2)), axis=2).reshape(5, 3, 4)
    transform = always(flip=float(seed % 2), min_visible=0.3)
    clip, in_view = transform(BoxedClip.of(frames, unit_boxes), np.random.default_rng(seed))
    boxes = clip.tensors()[1]
    assert boxes.shape == (5, 3, 4)
    for frame in range(3):
        alone, visible = transform(BoxedClip.of(frames, unit_boxes[:, frame]), np.random.default_rng(seed))
        torch.testing.assert_close(boxes[:, frame], alone.tensors()[1])
        if frame == 1:
            assert in_view.tolist() == visible.tolist()


def test_nobody_to_follow_is_fine() -> None:
    clip = BoxedClip.of(np.zeros((3, 60, 90, 3), dtype=np.uint8), np.zeros((0, 3, 4), dtype=np.float32))
    assert WholeFrameTransform(short_side=30)(clip).tensors()[1].shape == (0, 3, 4)
    assert always()(clip, np.random.default_rng(0))[1].shape == (0,)


def jittered(boxes: npt.NDArray[np.float64], *, seed: int = 0, followed: bool = False) -> npt.NDArray[np.float32]:
    """Pixel boxes on frames of 100 x 100 pixels after a jitter of 0.2 across and 0.1 along."""
    unit_boxes = boxes / 100
    clip = BoxedClip.of(np.zeros((3, 100, 100, 3), np.uint8), unit_boxes)
    moved = clip.jittered((0.2, 0.1), np.random.default_rng(seed))
    assert moved.followed == followed
    found: npt.NDArray[np.float32] = moved.tensors()[1].numpy()
    return found


def test_edges_of_boxes_move_outward_and_half_as_much_inward() -> None:
    moved = jittered(np.tile([40.0, 30.0, 60.0, 70.0], (4000, 1))) - [40, 30, 60, 70]
    # Widths of 20 and heights of 40 pixels: x1 by U(-0.2, 0.1) w, y1 U(-0.1, 0.05) h, x2 and y2 the other way round.
    lowest, highest = np.array([-4, -4, -2, -2]), np.array([2, 2, 4, 4])
    assert (moved >= lowest - 1e-4).all()
    assert (moved <= highest + 1e-4).all()
    np.testing.assert_allclose(moved.mean(axis=0), (lowest + highest) / 2, atol=0.15)
    np.testing.assert_allclose(moved.std(axis=0), 6 / 12**0.5, atol=0.1)
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.08


def test_moved_edges_stay_in_the_frame_and_a_follower_moves_as_one() -> None:
    moved = jittered(np.tile([0.0, 0.0, 100.0, 100.0], (50, 1)))
    assert moved.min() == 0
    assert moved.max() == 100
    track = np.array([[[10.0, 10, 30, 50], [20, 10, 40, 50], [30, 10, 50, 50]]])
    steps = jittered(track, followed=True) - track
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-4)
    assert np.abs(steps).max() > 0.1


def test_colors_are_those_of_opencv() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    frames[0, 0, :4] = [[0, 0, 0], [255, 255, 255], [7, 7, 7], [255, 0, 0]]
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2)
    for theirs, ours in zip(frames, rgb_to_hsv(clip.float() / 255), strict=True):
        hsv = cv2.cvtColor(theirs.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        np.testing.assert_allclose(ours.permute(1, 2, 0).numpy(), hsv, atol=1e-3, rtol=1e-5)
        hsv[..., 0] = (hsv[..., 0] + 350) % 360
        hsv[..., 1:] = np.clip(hsv[..., 1:] + [0.1, -0.1], 0, 1)
        expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
        shifted = shifted_colors(torch.from_numpy(theirs).permute(2, 0, 1)[None], hue=-10, saturation=0.1, value=-0.1)
        assert shifted.dtype == torch.uint8
        np.testing.assert_allclose(shifted[0].permute(1, 2, 0).numpy(), expected, atol=0.51)
    assert torch.equal(shifted_colors(clip, hue=0, saturation=0, value=0), clip)


def test_the_colors_of_a_training_clip_shift_alike_in_all_frames() -> None:
    frames = np.full((3, 80, 80, 3), (200, 80, 40), dtype=np.uint8)
    seen = set()
    for seed in range(8):
        transform = always(color_jitter=(20.0, 0.1, 0.1))
        clip, _ = transform(clip_of(frames), np.random.default_rng(seed))
        colors = {tuple(color) for color in clip.tensors()[0].flatten(1).T.tolist()}
        assert len(colors) == 1
        seen |= colors
    assert len(seen) == 8


def test_boxes_and_places_are_drawn_as_before_where_colors_shift() -> None:
    frames = picture(90, 120, (20, 10, 60, 80))
    plain, colored = (
        always(color_jitter=jitter)(clip_of(frames, (20, 10, 60, 80)), np.random.default_rng(3))[0].tensors()
        for jitter in (None, (0.0, 0.0, 0.0))
    )
    assert all(torch.equal(one, other) for one, other in zip(plain, colored, strict=True))

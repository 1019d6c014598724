"""RandAugment on clips: frames alike, boxes with them, everything from one source of random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actiondet.data.rand_augment import OPERATIONS, augmented
from actiondet.data.transforms import BoxedClip, TrainTransform


def clip_with_square() -> BoxedClip:
    """Three gray frames of 100 x 120 with a white rectangle, and its box."""
    frames = np.full((3, 100, 120, 3), 90, dtype=np.uint8)
    frames[:, 40:60, 50:80] = 250
    return BoxedClip.of(frames, np.array([[50 / 120, 0.4, 80 / 120, 0.6]]))


def plain(video: torch.Tensor) -> torch.Tensor:
    return video.as_subclass(torch.Tensor)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_boxes_follow_what_they_show_in_all_frames_alike(number: int, sign: int) -> None:
    clip = clip_with_square()
    video, boxes = OPERATIONS[number](clip.video, clip.boxes, 0.5, sign)
    frames = plain(video)
    assert frames.dtype == torch.uint8
    assert frames.shape == (3, 3, 100, 120)
    assert torch.equal(frames[0], frames[2])
    red = frames[0, 0].float()
    # The rectangle is what differs from the gray around it (and from the gray of what comes into view).
    rectangle = (red - red[50, 0 if number != 3 or sign < 0 else 119]).abs() > 60
    if not rectangle.any():
        return  # colors that leave no contrast; boxes do not move then
    rows, columns = torch.where(rectangle)
    found = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
    torch.testing.assert_close(plain(boxes)[0], found, rtol=0, atol=2.5)


def test_most_operations_change_a_clip_and_the_draw_decides_everything() -> None:
    def drawn(seed: int, magnitude: int = 15) -> torch.Tensor:
        clip = clip_with_square()
        return plain(augmented(clip.video, clip.boxes, 2, magnitude, np.random.default_rng(seed))[0])

    original = plain(clip_with_square().video)
    results = [drawn(seed) for seed in range(30)]
    assert sum(not torch.equal(each, original) for each in results) > 20
    assert len({each.numpy().tobytes() for each in results}) > 15
    torch.manual_seed(5)  # torch's global state has no part in it
    assert all(torch.equal(drawn(seed), each) for seed, each in enumerate(results))


def test_training_clips_are_augmented_and_persons_pushed_out_of_view_are_dropped() -> None:
    def trained(seed: int, rand_augment: tuple[int, int] | None) -> tuple[torch.Tensor, bool]:
        frames = np.random.default_rng(0).integers(0, 255, (2, 80, 80, 3), dtype=np.uint8)
        clip = BoxedClip.of(frames, np.array([[0.0, 0.3, 0.2, 0.7]]))
        transform = TrainTransform(
            short_side=(80, 80), crop=(80, 80), flip=0.0, min_visible=0.5, rand_augment=rand_augment
        )
        augmented_clip, kept = transform(clip, np.random.default_rng(seed))
        return plain(augmented_clip.video), bool(kept[0])

    assert all(trained(seed, None)[1] for seed in range(40))
    assert not all(trained(seed, (2, 30))[1] for seed in range(40))
    assert any(not torch.equal(trained(seed, (2, 30))[0], trained(seed, None)[0]) for seed in range(5))

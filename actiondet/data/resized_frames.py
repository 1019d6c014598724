"""Frames at the sizes that a network is tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from actiondet.data.transforms import Frames, as_clip
from actiondet.data.video_transforms import scaled
from actiondet.video.pixels import Image


def resized_frame(frame: Image, short_sides: Sequence[int]) -> tuple[Tensor, ...]:
    """(3, 1, h, w) uint8 at each of these short sides."""
    return resized_frames(frame[np.newaxis], short_sides)[0]


def resized_frames(frames: Frames, short_sides: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Of each of (T, H, W, 3) frames what `resized_frame` gives."""
    clips = [as_clip(scaled(frames, side)) for side in short_sides]
    return list(zip(*(torch.split(clip, 1, dim=1) for clip in clips), strict=True))


def resized_images(frame: Image, short_sides: Sequence[int]) -> tuple[Image, ...]:
    """(h, w, 3) uint8 at each of these short sides: the same values as `resized_frame`, the channels last."""
    return tuple(scaled(frame[np.newaxis], side)[0].permute(1, 2, 0).contiguous().numpy() for side in short_sides)


def joined_frames(frames: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """T frames, each at some sizes, as clips (3, T, h, w) of these sizes."""
    return tuple(torch.cat(of_size, 1) for of_size in zip(*frames, strict=True))

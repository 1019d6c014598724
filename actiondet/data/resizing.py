"""Bilinear resizing of 8-bit frames on any device, with the arithmetic that torch has for processors."""

from __future__ import annotations

import torch
from torch import Tensor

from actiondet.video.scaling import neighbors


def resized_anywhere(video: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear without antialias, as torchvision's `resize` on processors.

    On processors torch resizes 8-bit frames with whole numbers as weights, first along the rows, then along the
    columns, and rounds each time; on GPUs it calculates in float. Here both do the former, in floats that hold these
    whole numbers exactly. (Processors without AVX2 calculate in float, too: at most one gray level beside.)

    Args:
        video: (T, 3, H, W) uint8.
        size: height and width wanted.

    Returns:
        (T, 3, height, width) uint8, on the device of `video`.
    """
    if video.shape[-1] != size[1]:
        video = _along_last(video, size[1])
    if video.shape[-2] != size[0]:
        video = _along_last(video.transpose(-1, -2), size[0]).transpose(-1, -2)
    return video


def _along_last(video: Tensor, length: int) -> Tensor:
    """Resize the last dimension."""
    before, after, weights, bits = neighbors(video.shape[-1], length)
    total = torch.full((), 2.0 ** (bits - 1), device=video.device)  # half a level: rounds
    for place, weight in zip((before, after), weights, strict=True):
        values = video.index_select(-1, torch.from_numpy(place).to(video.device)).float()
        total = total + values * torch.from_numpy(weight).to(video.device)
    return (total * 2.0**-bits).floor().clamp(max=255).to(torch.uint8)

"""How feature maps lose their time axis, or their size, and how boxes are cut out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torchvision.ops import roi_align

TemporalPool = Literal["avg", "max"]


def joined_maps(features: Sequence[Tensor], mode: TemporalPool) -> Tensor:
    """One map (B, C_i, T_i, H, W) per pathway, of any lengths, to one without time: (B, sum of C_i, H, W)."""
    return torch.cat([pool_time(feature, mode) for feature in features], dim=1)


def pool_time(feature: Tensor, mode: TemporalPool) -> Tensor:
    """(B, C, T, H, W) to (B, C, H, W)."""
    return pool_over(feature, 2, mode)


def pool_over(values: Tensor, axis: int, mode: TemporalPool) -> Tensor:
    """The mean or the largest of `values` along one axis, which goes."""
    return values.mean(dim=axis) if mode == "avg" else values.amax(dim=axis)


def cut_boxes(
    maps: Tensor,
    boxes: Tensor,
    map_index: Tensor,
    roi_size: int,
    stride: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign.

    Args:
        maps: (B, C, H, W).
        boxes: (P, 4) in pixels of the clips; none of them is fine.
        map_index: (P,) int64, the map that each box is cut from.
        roi_size: cells of a box.
        stride: pixels per cell of the maps.
        sampling_ratio: samples per cell and axis; 0 takes one per cell of the map.
        aligned: with the half-cell correction. A box without area then gives zeros (as in the references).

    Returns:
        (P, C, roi_size, roi_size), in float32 at least.
    """
    if boxes.ndim != 2:
        raise ValueError(f"boxes of shape {tuple(boxes.shape)}; expected (P, 4), this head follows no tracks")
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # half-precision boxes would miss by pixels
    rois = torch.cat([map_index[:, None].to(maps), boxes.to(maps)], dim=1)  # (P, 5)
    return roi_align(maps, rois, roi_size, 1 / stride, sampling_ratio, aligned)


def average_cells(maps: Tensor, size: int) -> Tensor:
    """(B, C, H, W) to (B, C, size, size): adaptive average pooling as two small matrix products.

    Written out because an exported adaptive pooling keeps the image size of its example; this one does not.
    """
    rows = _cell_weights(maps.shape[2], size, maps)  # (size, H)
    columns = _cell_weights(maps.shape[3], size, maps)  # (size, W)
    return rows @ maps @ columns.T


def _cell_weights(length: int, size: int, like: Tensor) -> Tensor:
    """(size, length): row i averages the positions floor(i L / S) to ceil((i + 1) L / S)."""
    cell = torch.arange(size, device=like.device)[:, None]
    position = torch.arange(length, device=like.device)[None, :]
    begin, end = cell * length // size, ((cell + 1) * length + size - 1) // size
    return ((position >= begin) & (position < end)).to(like) / (end - begin)


def with_nobody(people: Tensor, clip_index: Tensor) -> tuple[Tensor, Tensor]:
    """One person more, of clip -1: no clip's number, and as an index the last one.

    An exported convolution refuses to be one over nothing. With this person it is over one at least.

    Args:
        people: (P, C).
        clip_index: (P,) int64, from 0.

    Returns:
        (P + 1, C) and (P + 1,).
    """
    nobody, no_clip = people.new_zeros(1, people.shape[1]), clip_index.new_full((1,), -1)
    return torch.cat([people, nobody]), torch.cat([clip_index, no_clip])

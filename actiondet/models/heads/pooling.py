"""How feature maps lose their time axis, or their size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

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

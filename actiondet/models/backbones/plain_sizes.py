"""Sizes of patches as an exporter can follow them."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_PATCHES = 1 << 16  # along a side, in an exported network


def with_plain_sizes(x: Tensor) -> Tensor:
    """(B, C, T, H, W) with H and W as numbers of their own, for export.

    They are long expressions in the size of the picture otherwise, about which the exporter reasons for a quarter of a
    minute a block.
    """
    for axis in (3, 4):
        size = (torch.arange(x.shape[axis], device=x.device)[-1] + 1).item()
        torch._check(size >= 2)
        torch._check(size <= _MOST_PATCHES)
        x = x.index_select(axis, torch.arange(size, device=x.device))
    return x

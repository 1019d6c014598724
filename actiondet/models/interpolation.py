"""Linear interpolation along one axis, the same in every runtime."""

from __future__ import annotations

import torch
from torch import Tensor


def resized_axis(values: Tensor, axis: int, size: int) -> Tensor:
    """Interpolate along one axis, as of pixels (corners not aligned); whole numbers become float32.

    The weights come from whole numbers. The runtimes' own resizing differs in the sixth digit of the position, enough
    to round pixels otherwise.
    """
    dtype = values.dtype if values.is_floating_point() else torch.float32
    length = values.shape[axis]
    # Twice `size` times the place of each new pixel's middle among the old ones: (i + 1/2) * length / size - 1/2.
    place = ((2 * torch.arange(size, device=values.device) + 1) * length - size).clamp(min=0)
    before = place // (2 * size)
    after = (before + 1).clamp(max=length - 1)
    share = (place - before * 2 * size).to(dtype) / (2 * size)
    low, high = (values.index_select(axis, index).to(dtype) for index in (before, after))
    return low + (high - low) * share.view(-1, *[1] * (values.ndim - 1 - axis))

"""Which devices compute in double precision."""

from __future__ import annotations

import torch

WITHOUT_FLOAT64 = ("mps",)


def has_float64(device: torch.device) -> bool:
    """Whether tensors of this device may be float64; Apple's GPUs hold none."""
    return device.type not in WITHOUT_FLOAT64

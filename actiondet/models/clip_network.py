"""What detectors and recognizers share: they know how their input is normalized."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class ClipNetwork(nn.Module):
    """A network that knows how its input is normalized.

    Attributes:
        mean, std: per channel, on the scale 0..255. They are settings, not weights: a network in half precision
            keeps them exact, and its state has no entry for them.
    """

    def __init__(self, *, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"mean {tuple(mean)} and std {tuple(std)}: expected as many of each, and std above 0")
        self.mean = tuple(mean)
        self.std = tuple(std)

    def normalize(self, clips: Tensor) -> Tensor:
        """(B, C, T, H, W) uint8 clips to float32 ones, as the network was trained on."""
        mean, std = (torch.tensor(v, device=clips.device).view(-1, 1, 1, 1) for v in (self.mean, self.std))
        if clips.device.type == "cpu":
            # Narrow networks train a quarter faster on a CPU with channels last; for wide ones it is the same.
            clips = clips.contiguous(memory_format=torch.channels_last_3d)
        return (clips.float() - mean) / std

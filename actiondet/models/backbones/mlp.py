"""What follows the attention in a block of a transformer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_channels, hidden)
        self.fc2 = nn.Linear(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, in_channels) to (B, N, out_channels)."""
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]

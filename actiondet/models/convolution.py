"""A 3D convolution whose gradients are right in reduced precision, on every processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """`nn.Conv3d`; where autocast is on for the CPU, a convolution over time computes in float32.

    On processors with native bfloat16, oneDNN (seen in 3.12) computes the weight gradient of a bfloat16 convolution
    from uninitialized memory where the temporal kernel is longer than one frame and the map is about as short as the
    kernel: kernel 3 on 2 frames, kernels 5 and 7 on 2 to 4. The result is NaN, infinite, or finite and wrong.
    Convolutions over space alone and all forward results are right.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, C', T', H', W')."""
        if self.kernel_size[0] > 1 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)

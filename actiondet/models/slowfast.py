"""SlowFast: a wide slow pathway and a narrow fast one (Feichtenhofer et al., "SlowFast Networks", 2019)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.blocks import Backbone, Counts, Pathway, design_of, initialize
from actiondet.models.convolution import Conv3d
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.video.sampling import spread_frames

SlowFrames = Literal["spread", "strided"]


class SlowFast(Backbone):
    """Two ResNets over one clip: the slow one sees every alpha-th frame and what the fast one hands over.

    Args:
        depth, width, temporal_blocks, nonlocal_blocks: of the slow pathway; see Pathway.
        fast_depth: of the fast pathway; None is `depth`.
        beta_inv: channels of the slow pathway per channel of the fast one.
        alpha: frames of the fast pathway per frame of the slow one; clip lengths are multiples of it.
        slow_frames: which frames the slow pathway sees: "spread" evenly from the first to the last (PySlowFast,
            pytorchvideo, PaddleVideo), or "strided" by alpha from the first (MMAction2).
        fusion_kernel: frames that a lateral connection looks over (5 or 7).
        fusion_ratio: channels of a lateral connection per channel of the fast pathway.
        lateral_norm: lateral connections end in batch norm and ReLU (PySlowFast) or are bare convolutions
            (MMAction2's detectors, PaddleVideo's).
        fast_temporal_blocks: as `temporal_blocks`, of the fast pathway; None is every block. PySlowFast's R101 has
            (3, 4, 6, 3).
        res5_stride, res5_dilation, zero_init_residual: of both pathways; see Pathway.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        fast_depth: int | None = None,
        width: int = 64,
        beta_inv: int = 8,
        alpha: int = 4,
        slow_frames: SlowFrames = "strided",
        fusion_kernel: int = 7,
        fusion_ratio: int = 2,
        lateral_norm: bool = True,
        temporal_blocks: Counts | None = None,
        fast_temporal_blocks: Counts | None = None,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        nonlocal_blocks: NonLocalSpec | None = None,
        zero_init_residual: bool = True,
    ) -> None:
        super().__init__()
        fast_depth = depth if fast_depth is None else fast_depth
        fast_width = width // beta_inv
        slow_block = design_of(depth).block
        fast_block, every_fast_block = design_of(fast_depth)
        if slow_block is not fast_block:
            raise ValueError(f"depths {depth} and {fast_depth} have different kinds of block and cannot be joined")
        self.alpha = alpha
        self.slow_frames = slow_frames
        self.slow = Pathway(
            depth=depth,
            width=width,
            temporal_blocks=temporal_blocks,
            res5_stride=res5_stride,
            res5_dilation=res5_dilation,
            lateral_channels=fusion_ratio * fast_width,
            nonlocal_blocks=nonlocal_blocks,
            zero_init_residual=zero_init_residual,
        )
        self.fast = Pathway(
            depth=fast_depth,
            width=fast_width,
            stem_frames=5,
            temporal_blocks=every_fast_block if fast_temporal_blocks is None else fast_temporal_blocks,
            res5_stride=res5_stride,
            res5_dilation=res5_dilation,
            zero_init_residual=zero_init_residual,
        )

        def lateral(channels: int) -> Lateral:
            return Lateral(channels, channels * fusion_ratio, frames=fusion_kernel, alpha=alpha, with_norm=lateral_norm)

        self.fuse1 = lateral(fast_width)
        self.fuse2 = lateral(fast_width * fast_block.expansion)
        self.fuse3 = lateral(fast_width * fast_block.expansion * 2)
        self.fuse4 = lateral(fast_width * fast_block.expansion * 4)
        self.channels = (*self.slow.channels, *self.fast.channels)
        self.stride = 16 * res5_stride
        self.spread_frames = slow_frames == "spread"

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, 3, T, H, W) normalized clips to the slow and the fast map.

        They are (B, C_slow, T / alpha, H / stride, W / stride) and (B, C_fast, T, H / stride, W / stride).
        """
        return self.pathways(self.pick_slow_frames(clips), clips)

    def pathways(self, slow: Tensor, fast: Tensor) -> list[Tensor]:
        """The same from what each pathway sees: (B, 3, T / alpha, H, W) and (B, 3, T, H, W)."""
        slow, fast = self.slow.stem(slow), self.fast.stem(fast)
        slow = torch.cat([slow, self.fuse1(fast)], dim=1)

        slow, fast = self.slow.res2(slow), self.fast.res2(fast)
        slow = torch.cat([slow, self.fuse2(fast)], dim=1)

        slow, fast = self.slow.res3(slow), self.fast.res3(fast)
        slow = torch.cat([slow, self.fuse3(fast)], dim=1)

        slow, fast = self.slow.res4(slow), self.fast.res4(fast)
        slow = torch.cat([slow, self.fuse4(fast)], dim=1)

        return [self.slow.res5(slow), self.fast.res5(fast)]

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Both pathways from "stem" to "res5", with what hands the fast one's maps to the slow one behind a stage."""
        names = ("stem", "res2", "res3", "res4", "res5")
        return {
            name: (f"slow.{name}", f"fast.{name}", *((f"fuse{place}",) if place <= 4 else ()))
            for place, name in enumerate(names, start=1)
        }

    def pick_slow_frames(self, clips: Tensor) -> Tensor:
        """(B, C, T, H, W) to the (B, C, T / alpha, H, W) frames that the slow pathway sees."""
        frames = clips.shape[2]
        if frames % self.alpha:
            raise ValueError(f"clips of {frames} frames; alpha {self.alpha} needs a multiple of {self.alpha}")
        if self.slow_frames == "strided":
            return clips[:, :, :: self.alpha]
        return clips[:, :, spread_frames(frames, frames // self.alpha)]


class Lateral(nn.Module):
    """What the fast pathway hands to the slow one: a convolution over time that keeps every alpha-th step."""

    def __init__(self, channels: int, out_channels: int, *, frames: int, alpha: int, with_norm: bool) -> None:
        super().__init__()
        self.conv = Conv3d(channels, out_channels, (frames, 1, 1), (alpha, 1, 1), (frames // 2, 0, 0), bias=False)
        self.norm = nn.BatchNorm3d(out_channels) if with_norm else None
        initialize(self)

    def forward(self, fast: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, out_channels, T / alpha, H, W)."""
        x: Tensor = self.conv(fast)
        return x if self.norm is None else F.relu(self.norm(x), inplace=True)

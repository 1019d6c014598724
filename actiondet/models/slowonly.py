"""SlowOnly: the slow pathway of SlowFast alone (Feichtenhofer et al., "SlowFast Networks", 2019)."""

from __future__ import annotations

from torch import Tensor

from actiondet.models.blocks import Backbone, Counts, Pathway, design_of
from actiondet.models.nonlocal_block import NonLocalSpec


class SlowOnly(Pathway, Backbone):
    """A ResNet that sees few frames, far apart, and looks over time in its last two stages only.

    Args:
        depth: 18, 50 or 101.
        width: channels of the stem (64 in the papers).
        in_channels: 3 for RGB, 2 for optical flow.
        temporal_blocks: how many blocks at the beginning of each stage look over three frames; None is every block
            of res4 and res5. PySlowFast's R101 has (0, 0, 6, 3).
        res5_stride: 2 for recognition; 1 for detection, which needs the finer map.
        res5_dilation: 2 in the papers' and PySlowFast's detectors, 1 in MMAction2's.
        nonlocal_blocks: non-local blocks, or None.
        zero_init_residual: every residual block begins as the identity; see `initialize`.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        width: int = 64,
        in_channels: int = 3,
        temporal_blocks: Counts | None = None,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        nonlocal_blocks: NonLocalSpec | None = None,
        zero_init_residual: bool = True,
    ) -> None:
        _, (_, _, all4, all5) = design_of(depth)
        super().__init__(
            depth=depth,
            width=width,
            in_channels=in_channels,
            stem_frames=1,
            temporal_blocks=(0, 0, all4, all5) if temporal_blocks is None else temporal_blocks,
            res5_stride=res5_stride,
            res5_dilation=res5_dilation,
            nonlocal_blocks=nonlocal_blocks,
            zero_init_residual=zero_init_residual,
        )
        self.channels = (self.out_channels,)
        self.stride = 16 * res5_stride

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, in_channels, T, H, W) normalized clips to one map (B, C, T, H / stride, W / stride)."""
        x = self.stem(clips)  # (B, width, T, H / 4, W / 4)
        x = self.res2(x)
        x = self.res3(x)
        x = self.res4(x)
        return [self.res5(x)]

"""SlowOnly: the slow pathway of SlowFast alone (Feichtenhofer et al., "SlowFast Networks", 2019)."""

from __future__ import annotations

from torch import Tensor

from actiondet.models.blocks import Pathway


class SlowOnly(Pathway):
    """A ResNet that sees few frames, far apart, and looks over time in its last two stages only; see Pathway."""

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, in_channels, T, H, W) normalized clips to one map (B, C, T, H / stride, W / stride)."""
        x = self.stem(clips)  # (B, width, T, H / 4, W / 4)
        x = self.res2(x)
        x = self.res3(x)
        x = self.res4(x)
        return [self.res5(x)]

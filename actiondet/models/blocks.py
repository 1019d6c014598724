"""What the networks are made of: a stem, residual blocks, and a pathway that stacks them.

Names follow the SlowFast papers: the stem is followed by the stages res2 to res5, and the convolutions of a block
are called a, b, c. Every published toolkit's names map onto these one to one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.convolution import Conv3d
from actiondet.models.nonlocal_block import NonLocalBlock, NonLocalSpec

Counts = tuple[int, int, int, int]
"""One number for each of the stages res2, res3, res4 and res5."""


class Backbone(nn.Module):
    """What a head may ask of a backbone: call it with clips, and it returns one feature map per pathway.

    Attributes:
        channels: channels of each returned map (B, C, T', H', W').
        stride: pixels of the clip per cell of the maps.
        spread_frames: a map of fewer frames than the clip shows frames spread evenly from the first to the last one,
            instead of every n-th.
    """

    channels: tuple[int, ...]
    stride: int
    spread_frames: bool = False

    def stages(self) -> dict[str, tuple[str, ...]]:
        """The stages that can be frozen or learn at rates of their own, from the clip on.

        Returns:
            By the name of a stage, those of its modules and weights in this network; here each module is a stage.
        """
        return {name: (name,) for name, _ in self.named_children()}

    def summarize(self) -> bool:
        """Return from now on what a recognizer classifies instead of a map, as (B, C, 1, 1, 1).

        Returns:
            False where the backbone has nothing but maps, which the recognizer then averages itself.
        """
        return False


class Stem(nn.Module):
    """Convolution, norm, ReLU and max pooling: a quarter of the height and width, all frames kept."""

    def __init__(self, *, in_channels: int, width: int, frames: int) -> None:
        super().__init__()
        self.conv = Conv3d(in_channels, width, (frames, 7, 7), (1, 2, 2), (frames // 2, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(width)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, width, T, H / 4, W / 4)."""
        x = F.relu(self.norm(self.conv(clips)), inplace=True)
        return F.max_pool3d(x, kernel_size=(1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))


class ResidualBlock(nn.Module):
    """What both kinds of block share: the shortcut, and the optional non-local block after the last ReLU.

    Args:
        in_channels: of the maps that come in.
        width: channels of the convolutions; the last has `expansion` times as many.
        stride, dilation: of the 3x3 convolutions, over space.
        temporal: the first convolution also looks over three frames.
        nonlocal_spec: kind of the non-local block; None for none.
    """

    expansion: int

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        stride: int,
        dilation: int,
        temporal: bool,
        nonlocal_spec: NonLocalSpec | None,
    ) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.has_shortcut = in_channels != out_channels or stride != 1
        if self.has_shortcut:
            self.shortcut_conv = Conv3d(in_channels, out_channels, 1, (1, stride, stride), bias=False)
            self.shortcut_norm = nn.BatchNorm3d(out_channels)
        self.nonlocal_block: NonLocalBlock | None = None
        if nonlocal_spec is not None:
            self.nonlocal_block = NonLocalBlock(out_channels, spec=nonlocal_spec)
        self.add_convolutions(in_channels, width, stride, dilation, frames=3 if temporal else 1)

    def add_convolutions(self, in_channels: int, width: int, stride: int, dilation: int, *, frames: int) -> None:
        """Add what `residual` needs."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, width * expansion, T, H / stride, W / stride)."""
        shortcut = self.shortcut_norm(self.shortcut_conv(x)) if self.has_shortcut else x
        x = F.relu(self.residual(x) + shortcut, inplace=True)
        return x if self.nonlocal_block is None else self.nonlocal_block(x)

    def residual(self, x: Tensor) -> Tensor:
        """What the block adds to its shortcut."""
        raise NotImplementedError


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (ResNet-18)."""

    expansion = 1

    def add_convolutions(self, in_channels: int, width: int, stride: int, dilation: int, *, frames: int) -> None:
        """a and b."""
        around = (dilation, dilation)
        self.conv_a = Conv3d(
            in_channels, width, (frames, 3, 3), (1, stride, stride), (frames // 2, *around), (1, *around), bias=False
        )
        self.norm_a = nn.BatchNorm3d(width)
        self.conv_b = Conv3d(width, width, (1, 3, 3), 1, (0, *around), (1, *around), bias=False)
        self.norm_b = nn.BatchNorm3d(width)

    def residual(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, width, T, H / stride, W / stride)."""
        x = F.relu(self.norm_a(self.conv_a(x)), inplace=True)
        return self.norm_b(self.conv_b(x))  # type: ignore[no-any-return]


class Bottleneck(ResidualBlock):
    """1x1, 3x3, 1x1 convolutions (ResNet-50 and deeper)."""

    expansion = 4

    def add_convolutions(self, in_channels: int, width: int, stride: int, dilation: int, *, frames: int) -> None:
        """a, b and c."""
        around = (dilation, dilation)
        self.conv_a = Conv3d(in_channels, width, (frames, 1, 1), padding=(frames // 2, 0, 0), bias=False)
        self.norm_a = nn.BatchNorm3d(width)
        self.conv_b = Conv3d(width, width, (1, 3, 3), (1, stride, stride), (0, *around), (1, *around), bias=False)
        self.norm_b = nn.BatchNorm3d(width)
        self.conv_c = Conv3d(width, width * self.expansion, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(width * self.expansion)

    def residual(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, 4 * width, T, H / stride, W / stride)."""
        x = F.relu(self.norm_a(self.conv_a(x)), inplace=True)
        x = F.relu(self.norm_b(self.conv_b(x)), inplace=True)
        return self.norm_c(self.conv_c(x))  # type: ignore[no-any-return]


class Design(NamedTuple):
    """The kind of block and the number of blocks that a depth stands for."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks: Counts


DESIGNS = {
    18: Design(BasicBlock, (2, 2, 2, 2)),
    50: Design(Bottleneck, (3, 4, 6, 3)),
    101: Design(Bottleneck, (3, 4, 23, 3)),
}


def design_of(depth: int) -> Design:
    """The design of a ResNet of `depth` layers."""
    if depth not in DESIGNS:
        raise ValueError(f"unknown ResNet depth {depth}; expected one of {', '.join(map(str, DESIGNS))}")
    return DESIGNS[depth]


class Pathway(Backbone):
    """A ResNet over clips: a stem, then the stages res2 to res5, which the networks call one by one.

    Time is never shortened.

    Args:
        depth: 18, 50 or 101.
        width: channels of the stem (64 in the papers); the stages have 1, 2, 4 and 8 times that, times the
            expansion of the block.
        in_channels: channels of the clip: 3 for RGB, 2 for optical flow.
        stem_frames: frames the stem looks over (1 in a slow pathway, 5 in a fast one).
        temporal_blocks: how many blocks at the beginning of each stage look over three frames; None is every block
            of res4 and res5. PySlowFast's R101 has (0, 0, 6, 3).
        res5_stride: 2 for recognition; 1 for detection, which needs the finer map.
        res5_dilation: 2 in the papers' and PySlowFast's detectors, 1 in MMAction2's and PaddleVideo's.
        lateral_channels: channels that another pathway adds to the output of the stem; the stages res2 to res4
            receive 1, 2 and 4 times as many, times the expansion.
        nonlocal_blocks: which blocks are followed by a non-local block, and its kind; None for none.
        zero_init_residual: every block begins as the identity; see `initialize`.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        width: int = 64,
        in_channels: int = 3,
        stem_frames: int = 1,
        temporal_blocks: Counts | None = None,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        lateral_channels: int = 0,
        nonlocal_blocks: NonLocalSpec | None = None,
        zero_init_residual: bool = True,
    ) -> None:
        super().__init__()
        block, blocks = design_of(depth)
        temporal = (0, 0, *blocks[2:]) if temporal_blocks is None else temporal_blocks
        _check_positions(blocks, temporal, nonlocal_blocks, depth)
        self.channels = (8 * width * block.expansion,)
        self.stride = 16 * res5_stride
        self.res5_dilation = res5_dilation
        self.nonlocal_blocks = nonlocal_blocks
        self.stem = Stem(in_channels=in_channels, width=width, frames=stem_frames)

        def stage(index: int, stride: int, dilation: int = 1) -> nn.Sequential:
            """Stage res{index + 2}."""
            scale = 2**index  # the width doubles from stage to stage
            incoming = (width + lateral_channels) * (1 if index == 0 else scale // 2 * block.expansion)
            stacked = [
                block(
                    in_channels=incoming if i == 0 else width * scale * block.expansion,
                    width=width * scale,
                    stride=stride if i == 0 else 1,
                    dilation=dilation,
                    temporal=i < temporal[index],
                    nonlocal_spec=nonlocal_blocks if nonlocal_blocks and i in nonlocal_blocks.after[index] else None,
                )
                for i in range(blocks[index])
            ]
            return nn.Sequential(*stacked)

        self.res2 = stage(0, stride=1)
        self.res3 = stage(1, stride=2)
        self.res4 = stage(2, stride=2)
        self.res5 = stage(3, stride=res5_stride, dilation=res5_dilation)
        initialize(self, zero_init_residual=zero_init_residual)


def _check_positions(blocks: Counts, temporal: Counts, spec: NonLocalSpec | None, depth: int) -> None:
    for index, count in enumerate(blocks):
        if not 0 <= temporal[index] <= count:
            raise ValueError(f"{temporal[index]} temporal blocks in res{index + 2}: it has {count} at depth {depth}")
        for place in spec.after[index] if spec else ():
            if not 0 <= place < count:
                raise ValueError(f"a non-local block after block {place} of res{index + 2}: it has 0 to {count - 1}")


def initialize(module: nn.Module, *, zero_init_residual: bool = True) -> None:
    """Start from scratch as the papers do: He's normal fan-out convolutions, and blocks that begin as the identity.

    With `zero_init_residual` the last norm of each block scales by zero at first (Goyal et al. 2017), which steadies
    large batches and deep networks. A shallow one in a short training learns several epochs sooner without.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, BasicBlock) and zero_init_residual:
            nn.init.zeros_(part.norm_b.weight)
        elif isinstance(part, Bottleneck) and zero_init_residual:
            nn.init.zeros_(part.norm_c.weight)
        elif isinstance(part, NonLocalBlock):
            nn.init.zeros_(part.norm.weight)

"""The plain video transformer of VideoMAE, VideoMAE V2, MVD and UMT: patches, blocks of full attention, no stages.

Tong et al. 2022 (VideoMAE), Wang et al. 2023 (VideoMAE V2), Wang et al. 2023 (MVD), Li et al. 2023 (UMT).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from actiondet.models.backbones.mlp import MLP
from actiondet.models.backbones.plain_sizes import with_plain_sizes
from actiondet.models.blocks import Backbone
from actiondet.models.convolution import Conv3d

_EPS = 1e-6


class Vit(Backbone):
    """Attention between all patches of a clip.

    Pictures may have any size: the table of positions is resized over height and width. The number of frames is
    fixed, since nothing resizes the table over time.

    Args:
        depth: blocks.
        width: channels: 384 in S, 768 in B, 1024 in L, 1280 in H, 1408 in g.
        heads: of the attention.
        in_channels: 3 for RGB.
        mlp_ratio: hidden channels of the MLPs per channel.
        patch: side of a patch in pixels.
        tubelet: frames of a patch: 2 in VideoMAE, 1 in UMT.
        frames, image: length and side of the clips that the table of positions is made for.
        layer_scale: initial factor of each channel behind attention and MLP; None has no such factors.
        drop_path: share of the samples for which the last block is skipped in training; it rises linearly from 0.
        remainder: what becomes of pixels beyond the last whole patch, right and bottom: they are left out ("drop",
            MMAction2), or filled up with zeros, which is the mean color, to a whole patch ("pad", the other toolkits).
        checkpointing: recompute each block in the backward pass instead of keeping what it computed.
    """

    def __init__(
        self,
        *,
        depth: int = 12,
        width: int = 768,
        heads: int = 12,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        patch: int = 16,
        tubelet: int = 2,
        frames: int = 16,
        image: int = 224,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        remainder: Literal["drop", "pad"] = "drop",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.channels = (width,)
        self.stride = patch
        self.heads, self.tubelet, self.frames, self.image, self.remainder = heads, tubelet, frames, image, remainder
        self.checkpointing = checkpointing
        self.summarizes = False
        size = (tubelet, patch, patch)
        self.patch = Conv3d(in_channels, width, size, size)
        # Not among the weights: it is a formula.
        side = image // patch
        table = sine_positions(frames // tubelet * side * side, width).view(frames // tubelet, side, side, width)
        self.positions: Tensor
        self.register_buffer("positions", table, persistent=False)
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        self.blocks = nn.ModuleList(
            VitBlock(width, heads, round(width * mlp_ratio), layer_scale=layer_scale, drop_path=rate) for rate in rates
        )
        self.norm = nn.LayerNorm(width, eps=_EPS)
        _initialize(self)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, in_channels, T, H, W) clips to one map (B, C, T / tubelet, H / patch, W / patch).

        A recognizer's network returns the normalized mean of all patches, as a map (B, C, 1, 1, 1).
        """
        if clips.shape[2] != self.frames:
            raise ValueError(f"a clip of {clips.shape[2]} frames; this network takes {self.frames}")
        if self.remainder == "pad":
            right, below = -clips.shape[4] % self.stride, -clips.shape[3] % self.stride
            clips = F.pad(clips, (0, right, 0, below))
        patches = self.patch(clips)  # (B, C, T', H', W')
        if self.remainder == "pad" and torch.compiler.is_exporting():  # else their expressions are short
            patches = with_plain_sizes(patches)
        shape = patches.shape
        x = patches.flatten(2).transpose(1, 2)  # (B, N, C)
        x = x + self._positions_of(shape[3], shape[4]).to(x.dtype)
        for block in self.blocks:
            if self.checkpointing and self.training and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        if self.summarizes:
            return [self.fc_norm(x.mean(dim=1))[:, :, None, None, None]]
        return [self.norm(x).transpose(1, 2).unflatten(2, (shape[2], shape[3], shape[4]))]

    def stages(self) -> dict[str, tuple[str, ...]]:
        """The "stem" that cuts patches, "block0" and so on, and the last "norm"."""
        blocks = {f"block{place}": (f"blocks.{place}",) for place in range(len(self.blocks))}
        return {"stem": ("patch",), **blocks, "norm": ("norm", "fc_norm")}

    def summarize(self) -> bool:
        """Normalize the mean of the patches from now on, instead of every patch: what recognizers are trained with."""
        self.summarizes = True
        self.fc_norm = self.norm
        del self.norm
        return True

    def _positions_of(self, height: int, width: int) -> Tensor:
        """(N, C) positions of a grid of this many patches: the table, resized bicubically.

        The table's own grid comes back as it is, without a branch that would fix the sizes of an exported network.
        """
        images = self.positions.permute(0, 3, 1, 2)  # (T', C, H', W')
        resized = F.interpolate(images, (height, width), mode="bicubic", align_corners=False)
        return resized.permute(0, 2, 3, 1).flatten(0, 2)


class VitBlock(nn.Module):
    """Attention, then an MLP, each behind a layer norm and added to its input."""

    def __init__(self, width: int, heads: int, hidden: int, *, layer_scale: float | None, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = MLP(width, hidden, width)
        self.scale1 = self.scale2 = None
        if layer_scale is not None:
            self.scale1 = nn.Parameter(torch.full((width,), layer_scale))
            self.scale2 = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to the same."""
        x = x + self._branch(self.attention(self.norm1(x)), self.scale1)
        return x + self._branch(self.mlp(self.norm2(x)), self.scale2)

    def _branch(self, x: Tensor, scale: Tensor | None) -> Tensor:
        """Scale a branch and leave it out for some of the samples in training."""
        if scale is not None:
            x = x * scale
        if self.drop_path == 0 or not self.training:
            return x
        kept = 1 - self.drop_path
        return x * x.new_empty(len(x), 1, 1).bernoulli_(kept) / kept


class Attention(nn.Module):
    """Full attention; queries and values have a bias, keys have none, since it would cancel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to the same."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)  # (B, N, 3 C)
        q, k, v = qkv.view(*qkv.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, C / heads) each
        # Fused: an explicit (N, N) matrix of a large picture would take hundreds of MiB a block.
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def sine_positions(count: int, width: int) -> Tensor:
    """(count, width) float32 positions by one running number n: sin(a) in even columns, cos(a) in odd ones.

    The angle a of column j is n / 10000^(2 floor(j / 2) / width). Computed in float64 and rounded once; in float32 the
    largest angles are off by 1e-4.
    """
    columns = torch.arange(width, dtype=torch.float64)
    rates = 10000 ** (-2 * torch.div(columns, 2, rounding_mode="floor") / width)
    angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).float()


def _initialize(network: Vit) -> None:
    """Xavier's uniform weights; narrow networks that are trained for few epochs do not learn from smaller ones."""
    nn.init.xavier_uniform_(network.patch.weight.view(network.patch.out_channels, -1))
    assert network.patch.bias is not None
    nn.init.zeros_(network.patch.bias)
    for module in network.blocks.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

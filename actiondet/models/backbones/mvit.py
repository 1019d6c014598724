"""MViT: a transformer whose attention pools its tokens (Fan et al. 2021, version 1; Li et al. 2022, version 2).

Tokens begin as patches of 4 x 4 pixels and two frames. At a few blocks the queries are pooled to half the height and
width while the channels double, so the network has stages as a ResNet has. Keys and values are pooled more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.backbones.mlp import MLP
from actiondet.models.backbones.plain_sizes import with_plain_sizes
from actiondet.models.blocks import Backbone
from actiondet.models.convolution import Conv3d
from actiondet.models.interpolation import resized_axis
from actiondet.models.precision import has_float64

Grid = tuple[int, int, int]
"""How many tokens there are along (time, height, width)."""

_PATCH_FRAMES, _PATCH_PIXELS = 2, 4  # strides of the patch embedding
_EPS = 1e-6


class MViT(Backbone):
    """Pooling attention over patches, in stages.

    Any picture size and any number of frames will do: position tables are resized where the grid differs from the one
    that they are made for.

    Args:
        depth: blocks.
        width: channels of the patches; they double at every block of `widen_at`.
        heads: of the first stage; they double with the channels.
        in_channels: 3 for RGB.
        mlp_ratio: hidden channels of the MLPs per channel of the attention.
        frames, image: length and side of the clips that the position tables are made for.
        widen_at: indices of the blocks at which channels and heads double.
        pool_at: indices of the blocks that halve height and width.
        kv_stride: of the pooling of keys and values in the first stage; halved at every block of `pool_at`.
        pool_kernel: side of the pooling convolutions over time, height and width; None takes single frames and
            stride + 1 pixels, and no convolution where nothing is strided.
        pool_every_query: convolve the queries of every block (version 2) or where they are strided alone (version 1).
        pool_first: pool before the projections to queries, keys and values (MeMViT).
        separate_qkv: three linear layers for queries, keys and values instead of one.
        widen_in: channels double in the "attention" of a block of `widen_at` (version 2) or in the "mlp" of the block
            before it (version 1).
        residual_pooling: add the pooled queries to what attention returns (version 2).
        relative_positions: axes with relative positions: "space_time" (version 2), "space" or "none".
        absolute_positions: "separate" tables for space and time (version 1), one "joint" table, or "none".
        class_token: a token beside the patches; recognizers classify it, detectors leave it out.
        norm_stem: normalize the patches before the first block.
        drop_path: share of the samples for which the last block is skipped in training; it rises linearly from 0.
        initialization: of the linear layers: as published, or as by Glorot and Bengio, which narrow networks need.
    """

    def __init__(
        self,
        *,
        depth: int = 16,
        width: int = 96,
        heads: int = 1,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        frames: int = 16,
        image: int = 224,
        widen_at: Sequence[int] = (1, 3, 14),
        pool_at: Sequence[int] = (1, 3, 14),
        kv_stride: int = 8,
        pool_kernel: int | None = 3,
        pool_every_query: bool = True,
        pool_first: bool = False,
        separate_qkv: bool = False,
        widen_in: Literal["attention", "mlp"] = "attention",
        residual_pooling: bool = True,
        relative_positions: Literal["space_time", "space", "none"] = "space_time",
        absolute_positions: Literal["separate", "joint", "none"] = "none",
        class_token: bool = True,
        norm_stem: bool = False,
        drop_path: float = 0.0,
        initialization: Literal["truncated_normal", "xavier"] = "truncated_normal",
    ) -> None:
        super().__init__()
        self.patch = Conv3d(in_channels, width, (3, 7, 7), (_PATCH_FRAMES, _PATCH_PIXELS, _PATCH_PIXELS), (1, 3, 3))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.returns_token = False
        self.pool_at, self.kv_stride = tuple(pool_at), kv_stride
        self.residual_pooling, self.pool_first = residual_pooling, pool_first
        side = image // _PATCH_PIXELS
        self.grid: Grid = (frames // _PATCH_FRAMES, side, side)
        self.positions = _absolute_positions(absolute_positions, self.grid, width, class_token=class_token)
        self.norm_stem = nn.LayerNorm(width, _EPS) if norm_stem else None

        blocks = []
        self.stride = _PATCH_PIXELS
        channels = width
        for i in range(depth):
            q_stride = 2 if i in pool_at else 1
            kv_stride = max(kv_stride // q_stride, 1)
            heads *= 2 if i in widen_at else 1
            out_channels = channels * (2 if (i if widen_in == "attention" else i + 1) in widen_at else 1)
            attention = PoolingAttention(
                in_channels=channels,
                width=out_channels if widen_in == "attention" else channels,
                heads=heads,
                grid=(self.grid[0], side, side),
                q_stride=q_stride,
                kv_stride=kv_stride,
                pool_kernel=pool_kernel,
                pool_query=pool_every_query or q_stride > 1,
                pool_first=pool_first,
                separate_qkv=separate_qkv,
                residual_pooling=residual_pooling,
                relative_positions=relative_positions,
                class_token=class_token,
            )
            skipped = drop_path * i / max(depth - 1, 1)
            blocks.append(MViTBlock(channels, attention, out_channels, q_stride, mlp_ratio, skipped))
            channels = out_channels
            self.stride *= q_stride
            side //= q_stride  # the tables of the published networks are made so, though maps round up
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(channels, _EPS)
        self.channels = (channels,)
        _initialize(self, initialization)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, in_channels, T, H, W) normalized clips to one map (B, C, T / 2, H / stride, W / stride), rounded up.

        A recognizer's network with a class token returns that alone, as a map (B, C, 1, 1, 1).
        """
        tokens, grid = self.tokens(clips)
        if self.returns_token:
            return [tokens[:, 0, :, None, None, None]]
        return [_as_map(_patches(tokens, self.class_token is not None), grid)]

    def stages(self) -> dict[str, tuple[str, ...]]:
        """The "stem" (patches, class token, positions), "block0" and so on, and the last "norm"."""
        blocks = {f"block{place}": (f"blocks.{place}",) for place in range(len(self.blocks))}
        return {"stem": ("patch", "class_token", "positions", "norm_stem"), **blocks, "norm": ("norm",)}

    def summarize(self) -> bool:
        """Return the class token from now on, if there is one."""
        self.returns_token = self.class_token is not None
        return self.returns_token

    def tokens(self, clips: Tensor) -> tuple[Tensor, Grid]:
        """(B, in_channels, T, H, W) clips to (B, N, C) tokens, the class token first, and the grid of the others."""
        x = self.patch(clips)
        if torch.compiler.is_exporting():
            x = with_plain_sizes(x)
        grid: Grid = (x.shape[2], x.shape[3], x.shape[4])
        x = x.flatten(2).transpose(1, 2)  # (B, T' H' W', C)
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        if self.positions is not None:
            x = x + self.positions(grid)
        if self.norm_stem is not None:
            x = self.norm_stem(x)
        for block in self.blocks:
            x, grid = block(x, grid)
        return self.norm(x), grid


class MViTBlock(nn.Module):
    """Pooling attention and an MLP, each beside a shortcut."""

    def __init__(
        self,
        in_channels: int,
        attention: PoolingAttention,
        out_channels: int,
        stride: int,
        mlp_ratio: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.class_token = attention.class_token
        self.stride = stride
        self.drop_path = drop_path
        width = attention.proj.out_features
        self.widens_in_attention = width == out_channels
        self.norm1 = nn.LayerNorm(in_channels, _EPS)
        self.attention = attention
        self.norm2 = nn.LayerNorm(width, _EPS)
        self.mlp = MLP(width, int(width * mlp_ratio), out_channels)
        self.widen = nn.Linear(in_channels, out_channels) if in_channels != out_channels else None

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, C) tokens of a grid to (B, N', C') tokens of the grid that the queries have."""
        normed = self.norm1(x)
        attended, new_grid = self.attention(normed, grid)
        if self.widen is not None and self.widens_in_attention:
            x = self.widen(normed)  # of the normed tokens, as the published networks do it
        x = self._pool_shortcut(x, grid) + self._dropped(attended)
        normed = self.norm2(x)
        hidden = self.mlp(normed)
        if self.widen is not None and not self.widens_in_attention:
            x = self.widen(normed)
        return x + self._dropped(hidden), new_grid

    def _pool_shortcut(self, x: Tensor, grid: Grid) -> Tensor:
        if self.stride == 1:
            return x
        maps = _as_map(_patches(x, self.class_token), grid)
        kernel = self.stride + 1
        maps = F.max_pool3d(maps, (1, kernel, kernel), (1, self.stride, self.stride), (0, kernel // 2, kernel // 2))
        pooled = maps.flatten(2).transpose(1, 2)
        return torch.cat([x[:, :1], pooled], dim=1) if self.class_token else pooled

    def _dropped(self, x: Tensor) -> Tensor:
        """Nothing for some of the samples in training (stochastic depth)."""
        if not self.training or self.drop_path == 0:
            return x
        kept = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.drop_path
        return x * (kept / (1 - self.drop_path)).to(x.dtype)


class PoolingAttention(nn.Module):
    """Attention between pooled queries and keys, with relative positions."""

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        heads: int,
        grid: Grid,
        q_stride: int,
        kv_stride: int,
        pool_kernel: int | None,
        pool_query: bool,
        pool_first: bool,
        separate_qkv: bool,
        residual_pooling: bool,
        relative_positions: Literal["space_time", "space", "none"],
        class_token: bool,
    ) -> None:
        super().__init__()
        if width % heads or in_channels % heads:
            raise ValueError(f"{width} channels are not a multiple of {heads} heads")
        self.heads = heads
        self.head_width = width // heads
        self.pool_first = pool_first
        self.residual_pooling = residual_pooling
        self.class_token = class_token
        self.qkv: nn.Linear | None = None
        if separate_qkv or pool_first:
            self.q, self.k, self.v = (nn.Linear(in_channels, width) for _ in range(3))
        else:
            self.qkv = nn.Linear(in_channels, 3 * width)
        self.proj = nn.Linear(width, width)

        pooled_width = in_channels // heads if pool_first else self.head_width
        self.pool_q = _head_pool(pooled_width, pool_kernel, q_stride) if pool_query else None
        self.pool_k = _head_pool(pooled_width, pool_kernel, kv_stride)
        self.pool_v = _head_pool(pooled_width, pool_kernel, kv_stride)

        time, side, _ = grid
        span = 2 * max(side // q_stride, side // kv_stride) - 1
        has_space, has_time = relative_positions != "none", relative_positions == "space_time"
        self.relative_h = nn.Parameter(torch.zeros(span, self.head_width)) if has_space else None
        self.relative_w = nn.Parameter(torch.zeros(span, self.head_width)) if has_space else None
        self.relative_t = nn.Parameter(torch.zeros(2 * time - 1, self.head_width)) if has_time else None

    def forward(self, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, in_channels) tokens of a grid to (B, N', width) tokens of the grid that the queries have."""
        q, k, v = self._inputs(x)
        q, q_grid = _pool_tokens(q, self.pool_q, grid, self.class_token)
        k, k_grid = _pool_tokens(k, self.pool_k, grid, self.class_token)
        v, _ = _pool_tokens(v, self.pool_v, grid, self.class_token)
        if self.pool_first:
            q, k, v = (
                _split_heads(layer(_merge_heads(each)), self.heads)
                for layer, each in ((self.q, q), (self.k, k), (self.v, v))
            )

        # Query and key get one more channel per row, column and frame of the keys: the query's says what its relative
        # position to that row (column, frame) adds, the key's whether it is there. Their product is the sum of both
        # parts, so that fused attention can compute it and no (N', N) table of positions is held.
        query, key = q * self.head_width**-0.5, k
        if terms := self._relative_terms(_patches(q, self.class_token), q_grid, k_grid):
            axes = [axis for axis, _ in terms]
            rows = torch.cat([term for _, term in terms], dim=-1)
            places = torch.cat([_places(k_grid, axis, k) for axis in axes], dim=-1)
            if self.class_token:
                rows, places = F.pad(rows, (0, 0, 1, 0)), F.pad(places, (0, 0, 1, 0))
            query = torch.cat([query, rows], dim=-1)
            key = torch.cat([key, places.expand(*k.shape[:2], -1, -1)], dim=-1)
        # Fused kernels want values as wide as the queries: zeros cost less than the (N', N) table without them.
        value = F.pad(v, (0, query.shape[-1] - self.head_width))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., : self.head_width]
        if self.residual_pooling:
            if self.class_token:
                attended = torch.cat([attended[:, :, :1], attended[:, :, 1:] + q[:, :, 1:]], dim=2)
            else:
                attended = attended + q
        return self.proj(_merge_heads(attended)), q_grid

    def _inputs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is pooled to queries, keys and values: three of (B, heads, N, D)."""
        if self.pool_first:
            x = _split_heads(x, self.heads)
            return x, x, x
        if self.qkv is None:
            q, k, v = self.q(x), self.k(x), self.v(x)
        else:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        return _split_heads(q, self.heads), _split_heads(k, self.heads), _split_heads(v, self.heads)

    def _relative_terms(self, q: Tensor, q_grid: Grid, k_grid: Grid) -> list[tuple[int, Tensor]]:
        """For each axis with relative positions: what they add to the logits, (B, heads, N', size of the keys)."""
        q = q.reshape(*q.shape[:2], *q_grid, self.head_width)  # (B, heads, T, H, W, D)
        terms = []
        for axis, table in enumerate((self.relative_t, self.relative_h, self.relative_w)):
            if table is not None:
                rows = relative_rows(table, q_grid[axis], k_grid[axis])  # (size of the queries, of the keys, D)
                here = "thw"[axis]
                terms.append((axis, torch.einsum(f"bnthwd,{here}kd->bnthwk", q, rows).flatten(2, 4)))
        return terms


class HeadPool(nn.Module):
    """Pools tokens with a convolution per channel, the same for all heads, and normalizes them."""

    def __init__(self, width: int, kernel: Grid, stride: int) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = Conv3d(width, width, kernel, (1, stride, stride), padding, groups=width, bias=False)
        self.norm = nn.LayerNorm(width, _EPS)

    def forward(self, patches: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """(B, N, D) patches of a grid to (B, N', D) ones of the pooled grid, not normalized yet."""
        maps = self.conv(_as_map(patches, grid))
        return maps.flatten(2).transpose(1, 2), (maps.shape[2], maps.shape[3], maps.shape[4])


class SeparatePositions(nn.Module):
    """One table for places in the picture, one for moments, and the class token's own row."""

    def __init__(self, grid: Grid, width: int, *, class_token: bool) -> None:
        super().__init__()
        time, height, width_of_grid = self.grid = grid
        self.space = nn.Parameter(torch.zeros(1, height * width_of_grid, width))
        self.time = nn.Parameter(torch.zeros(1, time, width))
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None

    def forward(self, grid: Grid) -> Tensor:
        """(1, N, C): what is added to the tokens of a grid."""
        space = self.space.reshape(1, *self.grid[1:], -1)
        space = resized_axis(resized_axis(space, 1, grid[1]), 2, grid[2])
        rows = (resized_axis(self.time, 1, grid[0])[:, :, None, None] + space[:, None]).flatten(1, 3)
        return rows if self.token is None else torch.cat([self.token, rows], dim=1)


class JointPositions(nn.Module):
    """One table for everything, the class token's row first."""

    def __init__(self, grid: Grid, width: int, *, class_token: bool) -> None:
        super().__init__()
        self.grid = grid
        self.class_token = class_token
        self.table = nn.Parameter(torch.zeros(1, grid[0] * grid[1] * grid[2] + class_token, width))

    def forward(self, grid: Grid) -> Tensor:
        """(1, N, C): what is added to the tokens of a grid."""
        table = _patches(self.table, self.class_token).reshape(1, *self.grid, -1)
        for axis, size in enumerate(grid):
            table = resized_axis(table, axis + 1, size)
        rows = table.flatten(1, 3)
        return torch.cat([self.table[:, :1], rows], dim=1) if self.class_token else rows


def relative_rows(table: Tensor, queries: int, keys: int) -> Tensor:
    """The row of a table of relative positions (L, D) for every pair along an axis: (queries, keys, D).

    Where the axes differ in length, the places of the shorter one are spread over the longer one and rounded down. The
    positions are computed in single precision in the order of the published networks: at a few sizes (78 queries
    and 10 keys of MViTv2-L are among them) exact numbers would round to the neighboring row.
    """
    table = resized_axis(table, 0, 2 * torch.sym_max(queries, keys) - 1)  # type: ignore[arg-type]  # numbers, or symbols
    device = table.device if has_float64(table.device) else "cpu"
    query, key = (torch.arange(size, device=device) for size in (queries, keys))
    # Sizes as tensors: in an exported network they are numbers of double precision as well.
    q_size, k_size = (query[-1:] + 1).double(), (key[-1:] + 1).double()
    longest = torch.maximum(q_size, k_size)
    per_query, per_key = longest / q_size, longest / k_size
    distance = query.float()[:, None] * per_query.float() - key.float() * per_key.float()
    return table[(distance + ((k_size - 1) * per_key).float()).long().to(table.device)]


def _absolute_positions(
    kind: Literal["separate", "joint", "none"], grid: Grid, width: int, *, class_token: bool
) -> nn.Module | None:
    if kind == "none":
        return None
    return (SeparatePositions if kind == "separate" else JointPositions)(grid, width, class_token=class_token)


def _head_pool(width: int, kernel: int | None, stride: int) -> HeadPool | None:
    if kernel is None:
        return HeadPool(width, (1, stride + 1, stride + 1), stride) if stride > 1 else None
    return HeadPool(width, (kernel, kernel, kernel), stride)


def _pool_tokens(x: Tensor, pool: HeadPool | None, grid: Grid, class_token: bool) -> tuple[Tensor, Grid]:
    """(B, heads, N, D) tokens pooled and normalized, the class token normalized only."""
    if pool is None:
        return x, grid
    pooled, new_grid = pool(_patches(x, class_token).flatten(0, 1), grid)
    pooled = pooled.reshape(*x.shape[:2], -1, x.shape[-1])
    return pool.norm(torch.cat([x[:, :, :1], pooled], dim=2) if class_token else pooled), new_grid


def _patches(tokens: Tensor, class_token: bool) -> Tensor:
    """(..., N, C) tokens without the class token."""
    return tokens[..., 1:, :] if class_token else tokens


def _as_map(patches: Tensor, grid: Grid) -> Tensor:
    """(B, T H W, C) to (B, C, T, H, W)."""
    return patches.transpose(1, 2).reshape(patches.shape[0], patches.shape[2], *grid)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads D) to (B, heads, N, D)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _merge_heads(x: Tensor) -> Tensor:
    """(B, heads, N, D) to (B, N, heads D)."""
    return x.transpose(1, 2).flatten(2)


def _places(grid: Grid, axis: int, like: Tensor) -> Tensor:
    """(T H W, size of the axis): 1 where the token lies at that place of the axis, else 0."""
    size = grid[axis]
    index = torch.arange(size, device=like.device)
    one_hot = (index[:, None] == index).to(like.dtype)  # (size, size)
    shape = [size if each == axis else 1 for each in range(3)]
    return one_hot.view(*shape, size).expand(*grid, size).flatten(0, 2)


def _initialize(network: MViT, initialization: Literal["truncated_normal", "xavier"]) -> None:
    """Truncated normal weights as published, or Xavier's uniform ones; truncated normal position tables; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            if initialization == "xavier":
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        for name, parameter in module.named_parameters(recurse=False):
            if name.startswith("relative_") or isinstance(module, SeparatePositions | JointPositions | MViT):
                nn.init.trunc_normal_(parameter, std=0.02)

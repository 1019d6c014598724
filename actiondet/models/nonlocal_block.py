"""Non-local block: every position of a clip looks at every other (Wang et al., "Non-local Neural Networks", 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class NonLocalSpec:
    """Where non-local blocks stand and what kind they are.

    Attributes:
        after: for each of res2 to res5 the residual blocks (from 0) that a non-local block follows.
        attention: attention weights are a softmax of the scaled products, or the products divided by their number.
        pool: frames, height, width over which keys and values are max-pooled; None looks at every position.
        pool_first: keys and values are pooled before their projection (PySlowFast) or after it (MMAction2): both
            have published weights, and they are not the same function.
    """

    after: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    attention: Literal["softmax", "dot_product"] = "softmax"
    pool: tuple[int, int, int] | None = (1, 2, 2)
    pool_first: bool = False


class NonLocalBlock(nn.Module):
    """Adds to every position a weighted sum over all (pooled) positions of the clip.

    The papers' names: theta projects the queries, phi the keys, g the values, and out brings the result back.
    """

    def __init__(self, channels: int, *, spec: NonLocalSpec) -> None:
        super().__init__()
        inner = channels // 2
        self.spec = spec
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1, bias=False)
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to the same shape."""
        if self.spec.pool_first:
            pooled = self._pool(x)
            keys, values = self.phi(pooled), self.g(pooled)
        else:
            keys, values = self._pool(self.phi(x)), self._pool(self.g(x))
        # (B, 1, positions, C/2): attention of one head, laid out as torch's fused kernels want it.
        queries, keys, values = (t.flatten(2).mT[:, None].contiguous() for t in (self.theta(x), keys, values))
        if self.spec.attention == "softmax":
            y = F.scaled_dot_product_attention(queries, keys, values)  # never holds the weights of all pairs
        else:
            # Without a softmax the sum over positions may come first: C/2 x C/2 numbers instead of THW x N. Its factors
            # are made smaller, because float16 could not hold it before it is divided.
            share = keys.shape[2] ** -0.5
            y = queries @ ((keys * share).mT @ (values * share))
        y = y[:, 0].mT  # (B, C/2, THW)
        y = y.reshape(x.shape[0], -1, *x.shape[2:])  # (B, C/2, T, H, W)
        return x + self.norm(self.out(y))  # type: ignore[no-any-return]

    def _pool(self, x: Tensor) -> Tensor:
        return x if self.spec.pool is None else F.max_pool3d(x, self.spec.pool)

"""Batch norm over parts of a batch or over several processes, and its statistics measured again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed import ProcessGroup


class SplitBatchNorm3d(nn.BatchNorm3d):
    """Batch norm of each of `splits` parts of a batch by itself (Wu et al. 2020, section 3.3).

    A batch of 64 clips in 8 splits is normalized as 8 clips on each of 8 devices would be, so that a large batch
    regularises as much as a small one. Sample i belongs to split i mod `splits`, as in PySlowFast. What is kept for
    evaluation is aggregated in every step: the mean of the splits' means, and the mean of their variances plus the
    variance of their means. So the weights have the names and shapes of plain batch norm.

    Attributes:
        splits: 1 is plain batch norm. A batch that cannot be divided so (a video could not be read) is divided into
            as many as it can.
        group: processes whose batches, of one size, are normalized as one; None for this process alone.
    """

    splits: int = 1
    group: ProcessGroup | None = None

    @classmethod
    def taking_over(cls, norm: nn.BatchNorm3d) -> SplitBatchNorm3d:
        """The same layer with the very same weights and statistics."""
        split = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        split.weight, split.bias = norm.weight, norm.bias
        split.running_mean, split.running_var = norm.running_mean, norm.running_var
        split.num_batches_tracked = norm.num_batches_tracked
        return split.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize (N, C, T, H, W)."""
        count, channels = input.shape[:2]
        splits = math.gcd(count, self.splits)
        if self.training and self.group is not None:
            return self._over_processes(input, self.group)
        if not self.training or splits == 1:
            return super().forward(input)
        means, variances = self.weight.new_zeros(2, splits * channels)  # float32, too, where `input` is not
        folded = input.reshape(count // splits, splits * channels, *input.shape[2:])
        # Momentum 1: what comes back in `means` and `variances` are those of this batch.
        normed = F.batch_norm(
            folded,
            means,
            variances,
            self.weight.repeat(splits),
            self.bias.repeat(splits),
            training=True,
            momentum=1.0,
            eps=self.eps,
        )
        self._keep(*aggregate(means.view(splits, -1), variances.view(splits, -1)))
        return normed.reshape(input.shape)

    def _over_processes(self, input: Tensor, group: ProcessGroup) -> Tensor:
        clips = input.float()
        axes = (0, 2, 3, 4)
        moments: Tensor = _GroupSum.apply(torch.stack([clips.mean(axes), clips.square().mean(axes)]), group)
        mean, square = (moments / group.size()).unbind()
        variance = (square - mean.square()).clamp(min=0)
        number = clips[:, 0].numel() * group.size()
        self._keep(mean, variance * number / (number - 1))
        scale = (self.weight * (variance + self.eps).rsqrt()).view(-1, 1, 1, 1)
        return ((clips - mean.view(-1, 1, 1, 1)) * scale + self.bias.view(-1, 1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        """Let the running statistics follow those of a batch."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


class _GroupSum(torch.autograd.Function):
    """The sum over a group of processes; the gradient of each summand is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        total = value.clone()
        torch.distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        torch.distributed.all_reduce(total, group=ctx.group)
        return total, None


def aggregate(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of everything, from those of equal parts, (parts, C) each."""
    return means.mean(0), variances.mean(0) + means.var(0, unbiased=False)


def use_split_norm(network: nn.Module) -> None:
    """Put a SplitBatchNorm3d in the place of every BatchNorm3d of `network`, which keeps its weights."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm3d:
                setattr(module, name, SplitBatchNorm3d.taking_over(child))


def set_splits(network: nn.Module, splits: int, *, group: ProcessGroup | None = None) -> None:
    """Choose into how many parts the split norms of `network` divide a batch, or whose batches they take as one."""
    for module in network.modules():
        if isinstance(module, SplitBatchNorm3d):
            module.splits, module.group = splits, group


@torch.no_grad()
def measure_norm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace the statistics of batch norms by those of all of `batches` (Wu and Johnson 2021), but frozen ones.

    The running ones lag behind the weights, and mix clips of different sizes where these changed. The variance is that
    of everything together, as fvcore and so PySlowFast take it: the mean of the batches' own variances, which
    PaddleVideo takes, lacks what differs between batches, much when these are small.

    Args:
        network: in whatever mode; left in that mode.
        batches: inputs of the network; each weighs the same.

    Returns:
        How many batches there were; with none, nothing changes.
    """
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and any(weight.requires_grad for weight in module.parameters())
    ]
    means: list[list[Tensor]] = [[] for _ in norms]
    variances: list[list[Tensor]] = [[] for _ in norms]
    count = 0
    with _last_batch_only(network, norms):
        for batch in batches:
            network(batch)
            count += 1
            for norm, own_means, own_variances in zip(norms, means, variances, strict=True):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                own_means.append(norm.running_mean.clone())
                own_variances.append(norm.running_var.clone())
    for norm, own_means, own_variances in zip(norms, means, variances, strict=True):
        if count and norm.running_mean is not None and norm.running_var is not None:
            mean, variance = aggregate(torch.stack(own_means), torch.stack(own_variances))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    return count


@contextmanager
def _last_batch_only(network: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Only the norms in training mode (no dropout), their statistics those of the last batch."""
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

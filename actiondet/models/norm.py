"""Batch norm over parts of a batch, and its statistics measured anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SplitBatchNorm3d(nn.BatchNorm3d):
    """Batch norm of each of `splits` parts of a batch by itself (Wu et al. 2020, section 3.3).

    A batch of 64 clips in 8 splits is normalised as 8 clips on each of 8 devices would be, so that a large batch
    regularises as much as a small one. Sample i belongs to split i mod `splits`, as in PySlowFast. What is kept for
    evaluation is aggregated in every step: the mean of the splits' means, and the mean of their variances plus the
    variance of their means. So the weights have the names and shapes of plain batch norm.

    Attributes:
        splits: 1 is plain batch norm.
    """

    splits: int = 1

    @classmethod
    def taking_over(cls, norm: nn.BatchNorm3d) -> SplitBatchNorm3d:
        """The same layer with the very same weights and statistics."""
        split = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        split.weight, split.bias = norm.weight, norm.bias
        split.running_mean, split.running_var = norm.running_mean, norm.running_var
        split.num_batches_tracked = norm.num_batches_tracked
        return split.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, T, H, W).

        Raises:
            ValueError: N is no multiple of `splits`.
        """
        if not self.training or self.splits == 1:
            return super().forward(input)
        count, channels = input.shape[:2]
        if count % self.splits:
            raise ValueError(f"a batch of {count} clips cannot be split into {self.splits}")
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        means, variances = input.new_zeros(2, self.splits * channels)
        folded = input.reshape(count // self.splits, self.splits * channels, *input.shape[2:])
        # Momentum 1: what comes back in `means` and `variances` are those of this batch.
        normed = F.batch_norm(
            folded,
            means,
            variances,
            self.weight.repeat(self.splits),
            self.bias.repeat(self.splits),
            training=True,
            momentum=1.0,
            eps=self.eps,
        )
        with torch.no_grad():
            mean, variance = aggregate(means.view(self.splits, -1), variances.view(self.splits, -1))
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return normed.reshape(input.shape)


def aggregate(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of everything, from those of equal parts, (parts, C) each."""
    return means.mean(0), variances.mean(0) + means.var(0, unbiased=False)


def use_split_norm(network: nn.Module) -> None:
    """Put a SplitBatchNorm3d in the place of every BatchNorm3d of `network`, which keeps its weights."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm3d:
                setattr(module, name, SplitBatchNorm3d.taking_over(child))


def set_splits(network: nn.Module, splits: int) -> None:
    """Choose into how many parts the split norms of `network` divide a batch."""
    for module in network.modules():
        if isinstance(module, SplitBatchNorm3d):
            module.splits = splits


@torch.no_grad()
def measure_norm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace the running statistics of every batch norm by those of all of `batches` (Wu and Johnson 2021).

    The running ones lag behind the weights, and mix clips of different sizes where these changed. The variance is that
    of everything together, as fvcore and so PySlowFast take it: the mean of the batches' own variances, which
    PaddleVideo takes, lacks what differs between batches, much when these are small.

    Args:
        network: in whatever mode; left in that mode.
        batches: inputs of the network; each weighs the same.

    Returns:
        How many batches there were; with none, nothing changes.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
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

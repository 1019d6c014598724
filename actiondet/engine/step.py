"""One change of the weights of any network, in one process or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor
from torch.optim import Optimizer

from actiondet.engine.devices import total

Batch = TypeVar("Batch")


def train_step(
    network: _FabricModule,
    batches: Sequence[Batch],
    optimizer: Optimizer,
    loss: Callable[[Batch, Tensor], Tensor],
    *,
    terms: int,
    fabric: Fabric,
    clip_grad_norm: float | None = None,
) -> float:
    """Change the weights once, by the gradients of some batches together.

    Every term of the loss (a clip, or a person) weighs the same, in whichever batch and process it is.

    Args:
        network: as `fabric.setup` returns it, in training mode.
        batches: of this process.
        optimizer: as `fabric.setup` returns it.
        loss: from a batch, and the number that its sum of loss terms is divided by, to the loss.
        terms: how many terms `batches` have.
        fabric: of the process.
        clip_grad_norm: largest norm of the gradients; None leaves them.

    Returns:
        The mean loss of a term, over all processes.
    """
    # DDP averages gradients over the processes, hence the mean and not the sum.
    normalizer = torch.tensor(max(total(fabric, float(terms)), 1.0) / fabric.world_size, device=fabric.device)
    summed = torch.zeros((), device=fabric.device)
    for position, batch in enumerate(batches):
        with fabric.no_backward_sync(network, enabled=position + 1 < len(batches)):
            part = loss(batch, normalizer)
            fabric.backward(part)
        summed += part.detach()
    if clip_grad_norm is not None:
        fabric.clip_gradients(network, optimizer, max_norm=clip_grad_norm, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad()
    return total(fabric, summed) / fabric.world_size

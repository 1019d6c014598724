"""How wrong the logits are: functions of tensors, with one count to divide by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def action_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    multi_label: bool,
    focal_gamma: float = 0.0,
    focal_alpha: float = 1.0,
    example_weights: Tensor | None = None,
    count_idle: bool = False,
    normalizer: Tensor | float | None = None,
) -> Tensor:
    """Mean loss over the people who do something; people without any label do not count.

    Args:
        logits: (P, C).
        labels: (P, C), 1 where the person does the action.
        multi_label: binary cross-entropy of every action; else cross-entropy with the labels, scaled to the sum 1,
            as the target.
        focal_gamma, focal_alpha: turn each element l into alpha * (1 - exp(-l)) ** gamma * l, as MMAction2 does:
            alpha is a plain factor. Gamma 0 and alpha 1 change nothing.
        example_weights: (C,) how many times an example of each action counts: where `multi_label`, the element of a
            person who does it; else the person's share of it. None counts each once.
        count_idle: people without any label count too, as examples of none of the actions; for `multi_label`.
        normalizer: divide by this instead of the number of elements; with `count_elements` summed over processes,
            these share one mean.

    Returns:
        A scalar, at least in float32. Without any label it is 0 and still part of the graph.
    """
    counted = _counted(labels, multi_label=multi_label, count_idle=count_idle)
    logits = logits[counted].to(torch.promote_types(logits.dtype, torch.float32))
    labels = labels[counted].to(logits.dtype)
    targets = labels if multi_label else labels / labels.sum(dim=1, keepdim=True)
    if multi_label:
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")  # (P', C)
    else:
        loss = F.cross_entropy(logits, targets, reduction="none")  # (P',)
    if focal_gamma:
        # Not quite 0 at certainty: there a power below 1 would have an infinite gradient.
        error = (1 - torch.exp(-loss)).clamp(min=torch.finfo(loss.dtype).tiny)
        loss = error**focal_gamma * loss
    if example_weights is not None:
        weights = example_weights.to(loss)
        loss = loss * (1 + targets * (weights - 1) if multi_label else targets @ weights)
    elements: Tensor | float = max(loss.numel(), 1) if normalizer is None else normalizer
    return focal_alpha * loss.sum() / elements


def _counted(labels: Tensor, *, multi_label: bool, count_idle: bool) -> Tensor:
    """(P,) bool: who counts; a softmax has no target for people without a label."""
    if multi_label and count_idle:
        return torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    return labels.sum(dim=1) > 0


def count_elements(labels: Tensor, *, multi_label: bool, count_idle: bool = False) -> Tensor:
    """The number that `action_loss` divides by: people who count, times actions where `multi_label`."""
    people = _counted(labels, multi_label=multi_label, count_idle=count_idle).sum()
    return people * labels.shape[1] if multi_label else people

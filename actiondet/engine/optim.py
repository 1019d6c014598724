"""Learning rates as pure arithmetic, and the optimizers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal

from torch import nn, optim

from actiondet.config.schema import AdamWConfig, OptimizerConfig, ScheduleConfig, SGDConfig

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def scaled_learning_rate(base_lr: float, *, batch: int, processes: int, accumulate: int, base_batch: int) -> float:
    """The linear scaling rule (Goyal et al. 2017): `base_lr` belongs to a total batch of `base_batch` clips."""
    return base_lr * (batch * processes * accumulate) / base_batch


def schedule_factor(schedule: ScheduleConfig, *, epoch: int, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by at `step` (from 0) of `epoch` (from 0): warm-up times policy."""
    warmup = warmup_factor(
        schedule.warmup_epochs,
        start=schedule.warmup_start,
        by=schedule.warmup_by,
        epoch=epoch,
        step=step,
        steps_per_epoch=steps_per_epoch,
    )
    moment = float(epoch) if schedule.update_every == "epoch" else epoch + step / steps_per_epoch
    if schedule.policy == "step":
        passed = sum(edge <= moment for edge in schedule.steps)
        return warmup * ((1.0, *schedule.factors)[passed] if schedule.factors else schedule.gamma**passed)
    if schedule.policy == "cosine":
        begin = schedule.warmup_epochs if schedule.cosine_from == "warmup" else 0.0
        return warmup * cosine_factor(moment, begin=begin, end=epochs, final=schedule.final)
    return warmup


def warmup_factor(
    warmup_epochs: float,
    *,
    start: float,
    by: Literal["iteration", "epoch"],
    epoch: int,
    step: int,
    steps_per_epoch: int,
) -> float:
    """Rises linearly from `start`; the last warm-up iteration (or epoch) is already at 1."""
    done, length = (
        (epoch, warmup_epochs) if by == "epoch" else (epoch * steps_per_epoch + step, warmup_epochs * steps_per_epoch)
    )
    if length <= 1:
        return 1.0
    return start + (1 - start) * min(1.0, done / (length - 1))


def cosine_factor(moment: float, *, begin: float, end: float, final: float) -> float:
    """Half a cosine from 1 at `begin` to `final` at `end` (Loshchilov and Hutter 2017)."""
    if end <= begin:
        return 1.0
    share = min(max((moment - begin) / (end - begin), 0.0), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))


def parameter_groups(
    model: nn.Module, *, weight_decay: float, norm_weight_decay: float | None
) -> list[dict[str, object]]:
    """The trainable weights, the scale and shift of norm layers with a decay of their own if one is given."""
    if norm_weight_decay is None:
        return [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]
    norm: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for module in model.modules():
        own = [weight for weight in module.parameters(recurse=False) if weight.requires_grad]
        (norm if isinstance(module, NORMS) else other).extend(own)
    return [{"params": other, "weight_decay": weight_decay}, {"params": norm, "weight_decay": norm_weight_decay}]


@functools.singledispatch
def build_optimizer(config: OptimizerConfig, groups: Sequence[dict[str, object]], *, lr: float) -> optim.Optimizer:
    """The optimizer that `config` describes; a user's own config class registers its own function here."""
    raise TypeError(f"no optimizer is registered for {type(config).__name__}")


@build_optimizer.register
def _(config: SGDConfig, groups: Sequence[dict[str, object]], *, lr: float) -> optim.Optimizer:
    return optim.SGD(
        groups, lr=lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )


@build_optimizer.register
def _(config: AdamWConfig, groups: Sequence[dict[str, object]], *, lr: float) -> optim.Optimizer:
    return optim.AdamW(groups, lr=lr, betas=config.betas, weight_decay=config.weight_decay)

"""The optimizers, and which weights they treat alike."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from torch import nn, optim

from actiondet.config.schema import AdamWConfig, OptimizerConfig, SGDConfig
from evaluation.errors import InputError

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


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


def build_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, object]]:
    """The trainable weights as `config` groups them.

    Raises:
        InputError: rates by layer for a network that has no layers.
    """
    if config.layer_decay is not None:
        return layered_groups(model, weight_decay=config.weight_decay, layer_decay=config.layer_decay)
    return parameter_groups(model, weight_decay=config.weight_decay, norm_weight_decay=config.norm_weight_decay)


def layered_groups(model: nn.Module, *, weight_decay: float, layer_decay: float) -> list[dict[str, object]]:
    """The trainable weights of a transformer by their layers (Clark et al. 2020, Bao et al. 2022).

    The rate of a group is the full one times its "rate_share", layer_decay to the power of the layers above it. What
    comes before the blocks is layer 0, block i layer i + 1, everything else the last one. Vectors have no weight decay.

    Raises:
        InputError: the network has no blocks one after the other.
    """
    backbone = getattr(model, "backbone", None)
    blocks = getattr(backbone, "blocks", None)
    if not isinstance(blocks, nn.ModuleList):
        raise InputError("train.optimizer.layer_decay is for backbones made of blocks, such as vit; set it to null")
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups.setdefault((layer_number(name, len(blocks)), weight.ndim > 1), []).append(weight)
    return [
        {
            "params": groups[layer, decays],
            "weight_decay": weight_decay if decays else 0.0,
            "rate_share": layer_decay ** (len(blocks) + 1 - layer),
        }
        for layer, decays in sorted(groups)
    ]


def layer_number(name: str, depth: int) -> int:
    """The layer of a weight of a network by its name: 0 before the blocks, depth + 1 behind them."""
    if match := re.match(r"backbone\.blocks\.(\d+)\.", name):
        return int(match[1]) + 1
    begins = re.match(r"backbone\.(patch|class_token|positions|norm_stem)(\.|$)", name)
    return 0 if begins else depth + 1


def set_rates(optimizer: optim.Optimizer, rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_share", 1.0)


def full_rate(optimizer: optim.Optimizer) -> float:
    """The rate of the groups that learn at the full one."""
    return max(float(group["lr"]) for group in optimizer.param_groups)


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

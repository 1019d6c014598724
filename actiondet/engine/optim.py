"""The optimizers, and which weights they treat alike."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn, optim

from actiondet.config.schema import AdamWConfig, OptimizerConfig, SGDConfig
from actiondet.models.detector import ActionDetector
from actiondet.models.parts import belongs, part_of
from actiondet.models.recognizer import ActionRecognizer
from evaluation.errors import InputError

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(model: nn.Module, *, weight_decay: float, norm_weight_decay: float | None) -> list[dict[str, Any]]:
    """The trainable weights, the scale and shift of norm layers with a decay of their own if one is given."""
    if norm_weight_decay is None:
        return [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]
    norm: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for module in model.modules():
        own = [weight for weight in module.parameters(recurse=False) if weight.requires_grad]
        (norm if isinstance(module, NORMS) else other).extend(own)
    return [{"params": other, "weight_decay": weight_decay}, {"params": norm, "weight_decay": norm_weight_decay}]


def build_groups(model: ActionDetector | ActionRecognizer, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The trainable weights as `config` groups them.

    Raises:
        InputError: rates by layer for a network that has no layers, or of parts that it does not have.
    """
    if config.layer_decay is not None:
        groups = layered_groups(model, weight_decay=config.weight_decay, layer_decay=config.layer_decay)
    else:
        groups = parameter_groups(model, weight_decay=config.weight_decay, norm_weight_decay=config.norm_weight_decay)
    return groups if config.part_rates is None else groups_by_part(model, groups, config.part_rates)


def groups_by_part(
    model: ActionDetector | ActionRecognizer, groups: Sequence[dict[str, Any]], part_rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The same groups, divided into weights that learn at the same share of the rate.

    Args:
        model: whose weights.
        groups: of its trainable weights.
        part_rates: by part ("backbone", "head" or a stage), a factor of the rate; a stage's wins over the backbone's.

    Raises:
        InputError: a part that the model does not have, or that is frozen.
    """
    shares: dict[int, float] = {}
    for part in sorted(part_rates, key=lambda part: part != "backbone"):  # stages last: they win
        key = f"train.optimizer.part_rates.{part}"
        beginnings = part_of(model, part, key=key)
        weights = [weight for name, weight in model.named_parameters() if belongs(name, beginnings)]
        if not any(weight.requires_grad for weight in weights):
            raise InputError(f"{key}: this part does not learn, train.freeze keeps it as it is; leave its rate out")
        shares |= {id(weight): part_rates[part] for weight in weights}
    divided = []
    for group in groups:
        by_share: dict[float, list[nn.Parameter]] = {}
        for weight in group["params"]:
            by_share.setdefault(shares.get(id(weight), 1.0), []).append(weight)
        divided += [
            {**group, "params": weights, "rate_share": group.get("rate_share", 1.0) * share}
            for share, weights in by_share.items()
        ]
    return divided


def layered_groups(model: nn.Module, *, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
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
    """The full rate, of which every group learns at its share."""
    rates = [(float(group.get("rate_share", 1.0)), float(group["lr"])) for group in optimizer.param_groups]
    full = [rate for share, rate in rates if share == 1.0]
    return full[0] if full else rates[0][1] / rates[0][0]


@functools.singledispatch
def build_optimizer(config: OptimizerConfig, groups: Sequence[dict[str, Any]], *, lr: float) -> optim.Optimizer:
    """The optimizer that `config` describes; a user's own config class registers its own function here."""
    raise TypeError(f"no optimizer is registered for {type(config).__name__}")


@build_optimizer.register
def _(config: SGDConfig, groups: Sequence[dict[str, Any]], *, lr: float) -> optim.Optimizer:
    return optim.SGD(
        groups, lr=lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )


@build_optimizer.register
def _(config: AdamWConfig, groups: Sequence[dict[str, Any]], *, lr: float) -> optim.Optimizer:
    return optim.AdamW(groups, lr=lr, betas=config.betas, weight_decay=config.weight_decay)

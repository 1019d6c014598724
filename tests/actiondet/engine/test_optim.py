"""Optimizers, and the groups of weights that they treat alike."""

from __future__ import annotations

import torch
from torch import nn

from actiondet.config.schema import AdamWConfig, SGDConfig
from actiondet.engine.optim import build_optimizer, parameter_groups


def test_norm_layers_get_their_own_decay_and_every_weight_one_group() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Flatten(), nn.Linear(4, 2))
    groups = parameter_groups(model, weight_decay=0.1, norm_weight_decay=0.0)
    optimizer = build_optimizer(SGDConfig(weight_decay=0.1), groups, lr=0.5)
    decays = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    assert len(decays) == len(list(model.parameters()))
    assert {decays[id(weight)] for weight in model[1].parameters()} == {0.0}
    assert {decays[id(weight)] for weight in model[0].parameters()} == {0.1}


def test_frozen_weights_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    groups = parameter_groups(model, weight_decay=0.1, norm_weight_decay=None)
    optimizer = build_optimizer(AdamWConfig(weight_decay=0.1), groups, lr=0.5)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [weight.shape for group in optimizer.param_groups for weight in group["params"]] == [(2, 3)]

"""How many times an example of an action counts in the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from actiondet.config.schema import ClassWeight
from actiondet.datasets.classes import find_action
from evaluation.formats.action_list import ActionList
from evaluation.records import IntArray


def example_weights(setting: ClassWeight, actions: ActionList, counts: IntArray) -> Tensor | None:
    """How many times an example of each action counts, as `train.loss.class_weight` says.

    "balanced" is scikit-learn's: the mean number of examples of an action, divided by those of this one. An action
    without an example weighs 1, like one that the setting does not name.

    Args:
        setting: of the loss.
        actions: of the network.
        counts: (C,) training examples of each column.

    Returns:
        (C,) float32; None where each counts once.

    Raises:
        InputError: the setting names an action that the data set lacks.
    """
    if setting is None:
        return None
    weights = torch.ones(len(counts))
    if setting == "balanced":
        examples = torch.from_numpy(counts).float()
        seen = examples > 0
        weights[seen] = examples[seen].mean() / examples[seen]
        return weights
    columns = dict(zip(actions.ids, actions.columns.tolist(), strict=True))
    for name, weight in setting.items():
        action = int(name) if name.isdecimal() else name
        label = find_action(actions, action, key="train.loss.class_weight", source="the network")
        weights[columns[label]] = weight
    return weights

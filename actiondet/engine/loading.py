"""A detector ready for use: network, weights, what it was trained as, and which actions it knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from actiondet.config import DetectionConfig, import_modules, load_config
from actiondet.config.schema import AvaConfig, MultiSportsConfig
from actiondet.data.multisports import action_list, read_part_truth
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.weights import load_weights
from actiondet.models.weights.download import PUBLISHED, choose_weights
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, read_action_list
from evaluation.label_lists import label_list

RANDOM = "random"
AVA_ACTIONS, MULTISPORTS_ACTIONS = 80, 66
_AVA_LISTS = {"ava_action_list_v2.1.pbtxt", "ava_action_list_v2.2.pbtxt"}


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A network and what its scores mean.

    Attributes:
        config: what it was trained as.
        network: the detector.
        actions: ids and names; column c of the scores is id c + 1.
        weights: where they come from; None if the network, or its head, is random and its labels mean nothing.
        report: what loading another toolkit's weights did; empty for ours.
    """

    config: DetectionConfig
    network: ActionDetector
    actions: ActionList
    weights: Path | None
    report: str = ""

    def __str__(self) -> str:
        if self.weights is None:
            return "random weights: the labels mean nothing"
        some = ", ".join(self.actions.names[:4]) + (", ..." if len(self.actions) > 4 else "")
        return (
            f"{self.weights}, {len(self.actions)} actions ({some}); "
            "in videos unlike those it was trained on, labels are guesses"
        )


def from_checkpoint(path: str | os.PathLike[str]) -> TrainedDetector:
    """Everything from one checkpoint of ours.

    Raises:
        InputError: it cannot be read.
    """
    checkpoint = load_checkpoint(Path(path))
    network = build_detector(checkpoint.config.model)
    load_weights(network, path)
    return TrainedDetector(checkpoint.config, network, checkpoint.actions, Path(path))


def from_config(
    config_path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None, *, modules: Sequence[str] = ()
) -> TrainedDetector:
    """The network of a configuration with the weights of a file, ours or another toolkit's, or with random ones.

    Args:
        config_path: the YAML file.
        weights: None leaves the network random (always the same numbers).
        modules: modules to import first, whose classes join the open families.

    Raises:
        InputError: a file cannot be read, or the weights belong to another network.
    """
    config = load_config(Path(config_path), modules=modules)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_detector(config.model)
    if weights is None:
        return TrainedDetector(config, network, named_actions(config), None)
    report = load_weights(network, weights)
    if report.origin == "actiondet":
        return TrainedDetector(config, network, load_checkpoint(Path(weights)).actions, Path(weights))
    trained = None if report.lacks_head else Path(weights)
    return TrainedDetector(config, network, named_actions(config), trained, str(report))


def from_names(
    config: str | os.PathLike[str] | None, weights: str | os.PathLike[str] | None, *, modules: Sequence[str] = ()
) -> TrainedDetector:
    """The network that a command line names.

    Args:
        config: zoo name or YAML file; None takes what the checkpoint `weights` carries.
        weights: a file; with a configuration also "published" or "random", and None takes the published ones if there
            are any.
        modules: modules to import first, whose classes join the open families.

    Raises:
        InputError: a file is missing, or the weights belong to another network.
    """
    if config is None:
        import_modules(modules)
        if weights is None:
            raise InputError("there is neither a configuration nor a checkpoint to take the network from; give one")
        return from_checkpoint(weights)
    published = load_config(Path(config), modules=modules).published.weights
    if (weights is None and published is None) or (weights is not None and os.fspath(weights) == RANDOM):
        return from_config(config, modules=modules)
    chosen = choose_weights(PUBLISHED if weights is None else os.fspath(weights), published)
    return from_config(config, chosen, modules=modules)


def named_actions(config: DetectionConfig) -> ActionList:
    """The actions that the configuration's files name, or the published list of the data set; else numbers."""
    if isinstance(config.data, AvaConfig) and Path(config.data.actions).is_file():
        return read_action_list(config.data.actions)
    if isinstance(config.data, MultiSportsConfig) and Path(config.data.val.truth).is_file():
        return action_list(read_part_truth(config.data, "val", num_actions=config.model.num_actions))
    published = _published_list(config)
    if published is not None:
        return published
    first = 0 if isinstance(config.data, MultiSportsConfig) else 1
    ids = tuple(range(first, config.model.num_actions + first))
    return ActionList(ids, tuple(f"action {label}" for label in ids), (None,) * len(ids))


def _published_list(config: DetectionConfig) -> ActionList | None:
    """The list that travels with the package, if the configuration is of AVA or MultiSports."""
    if isinstance(config.data, AvaConfig) and Path(config.data.actions).name in _AVA_LISTS:
        return label_list("ava") if config.model.num_actions == AVA_ACTIONS else None
    multisports = isinstance(config.data, MultiSportsConfig) and config.published.weights is not None
    return label_list("multisports") if multisports and config.model.num_actions == MULTISPORTS_ACTIONS else None

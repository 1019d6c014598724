"""A trained network ready for use: its weights, what it was trained as, and what its scores stand for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

import torch
from lightning_fabric import Fabric

from actiondet.config import DetectionConfig, RecognitionConfig, import_modules, load_config
from actiondet.engine.action_names import head_columns, named_actions
from actiondet.engine.checkpoint import is_checkpoint, parse_checkpoint, stored_actions
from actiondet.engine.log import log_line
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import OriginName, Report, load_weights
from actiondet.models.weights.download import PUBLISHED, choose_weights
from actiondet.models.weights.files import read_content
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList

RANDOM = "random"
Config = TypeVar("Config", bound=DetectionConfig | RecognitionConfig, covariant=True)
Network = TypeVar("Network", bound=ActionDetector | ActionRecognizer, covariant=True)
ReadyNetwork = TypeVar("ReadyNetwork", ActionDetector, ActionRecognizer)
StrPath = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Trained(Generic[Config, Network]):
    """A network and what its scores mean.

    Attributes:
        config: what it was trained as.
        network: the detector or recognizer.
        actions: ids and names; `actions.columns` are those of the scores.
        report: what loading the weights did; None for random weights.
    """

    config: Config
    network: Network
    actions: ActionList
    report: Report | None

    @property
    def means_nothing(self) -> bool:
        """Whether the network, or its head, is random."""
        return self.report is None or self.report.lacks_head

    def __str__(self) -> str:
        if self.report is None or self.means_nothing:
            return "random weights: the labels mean nothing"
        return (
            f"{self.report.path}, {len(self.actions)} actions ({some(self.actions.names, 4)}); "
            "in videos unlike those it was trained on, labels are guesses"
        )


TrainedDetector = Trained[DetectionConfig, ActionDetector]
TrainedRecognizer = Trained[RecognitionConfig, ActionRecognizer]


@overload
def load_trained(
    weights: StrPath | None, config: DetectionConfig | type[DetectionConfig], *, require_head: bool = True
) -> TrainedDetector: ...
@overload
def load_trained(
    weights: StrPath | None, config: RecognitionConfig | type[RecognitionConfig], *, require_head: bool = True
) -> TrainedRecognizer: ...
@overload
def load_trained(
    weights: StrPath | None,
    config: DetectionConfig | RecognitionConfig | None = None,
    *,
    origin: OriginName = "auto",
    allow: Sequence[str] = (),
    entry: str | None = None,
    require_head: bool = True,
) -> TrainedDetector | TrainedRecognizer: ...
def load_trained(
    weights: StrPath | None,
    config: DetectionConfig | RecognitionConfig | type[DetectionConfig | RecognitionConfig] | None = None,
    *,
    origin: OriginName = "auto",
    allow: Sequence[str] = (),
    entry: str | None = None,
    require_head: bool = True,
) -> TrainedDetector | TrainedRecognizer:
    """Build a network and fill it with the weights of a file, which is read once.

    Args:
        weights: a checkpoint, ours or (with a configuration) another toolkit's; None leaves the network random, always
            with the same numbers.
        config: of the network; None takes the one that our checkpoint holds, a class one of that kind.
        origin, allow, entry: as those of `load_weights`.
        require_head: whether weights without a classifier for this network are refused.

    Raises:
        InputError: a file that cannot be read, weights that do not fit or have no head, or neither weights nor a
            configuration.

    Example:
        >>> trained = actiondet.load_trained("detector.pt")
        >>> len(trained.actions), trained.config.clip.frames
        (11, 4)
    """
    if weights is None and (config is None or isinstance(config, type)):
        raise InputError("there is neither a configuration nor a checkpoint to take the network from; give one")
    content = None if weights is None else read_content(Path(weights))
    actions = None
    if weights is not None and (config is None or isinstance(config, type)):
        checkpoint = parse_checkpoint(content, weights, config)
        config, actions = checkpoint.config, checkpoint.actions
    settings = cast("DetectionConfig | RecognitionConfig", config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if isinstance(settings, DetectionConfig):
            network: ActionDetector | ActionRecognizer = build_detector(settings.model)
        else:
            network = build_recognizer(settings.model)
    report = None
    if weights is not None:
        columns = head_columns(settings, stored_actions(content) if is_checkpoint(content) else None)
        report = load_weights(network, weights, origin, allow=allow, entry=entry, columns=columns, content=content)
        if require_head:
            report.require_head()
        if actions is None and is_checkpoint(content) and columns is None and not report.lacks_head:
            actions = parse_checkpoint(content, weights, type(settings)).actions
    trained = Trained(settings, network, named_actions(settings) if actions is None else actions, report)
    return cast("TrainedDetector | TrainedRecognizer", trained)


def load_by_name(config: StrPath | None, weights: StrPath | None, *, modules: Sequence[str] = ()) -> TrainedDetector:
    """The detector that a command line names.

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
        return load_trained(weights, DetectionConfig, require_head=False)
    settings = load_config(Path(config), modules=modules)
    published = settings.published.weights
    if (weights is None and published is None) or (weights is not None and os.fspath(weights) == RANDOM):
        return load_trained(None, settings)
    chosen = choose_weights(PUBLISHED if weights is None else os.fspath(weights), published)
    return load_trained(chosen, settings, require_head=False)


def network_for_testing(trained: Trained[Any, ReadyNetwork], fabric: Fabric) -> ReadyNetwork:
    """The network made for inference on this process's device; the first process logs what loading its weights did."""
    if fabric.is_global_zero:
        log_line(str(trained.report or trained))
    return optimize_for_inference(trained.network).to(fabric.device)

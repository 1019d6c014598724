"""Checkpoints: what they hold, how they are written and read.

A file is a plain dictionary of tensors, numbers and text, so that `torch.load(weights_only=True)` reads it and
nothing in it can run. It carries its own resolved configuration and the names of its actions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeGuard, TypeVar, overload

import torch
from torch import Tensor

from actiondet.config import DetectionConfig, RecognitionConfig, dump_config, parse_config, parse_config_of
from actiondet.models.weights.files import read_content
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.action_list import ActionList

FORMAT = "actiondet checkpoint 1"
StrPath = str | os.PathLike[str]
Config = TypeVar("Config", bound="DetectionConfig | RecognitionConfig", covariant=True)
Kind = TypeVar("Kind", bound="DetectionConfig | RecognitionConfig")


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the epoch under way, from 0.
        step: weight updates done in it.
        loss_sum, loss_steps: what the mean training loss of this epoch is made of so far.
        drawn: clips of this epoch so far, in all processes, those that could not be read among them.
        lost: those that could not be read.
        skipped: clips left out so far, over all epochs, because their video could not be read.
        best: the best validation score so far; -1 before the first validation.
        stale: validations since then.
        falls: how many times policy "plateau" has lowered the rate.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    drawn: int = 0
    lost: int = 0
    skipped: int = 0
    best: float = -1.0
    stale: int = 0
    falls: int = 0


@dataclass(frozen=True)
class TrainingState:
    """What resuming needs beside the weights.

    Attributes:
        progress: where the run stands.
        optimizer: its state.
        average: state of the weights' moving average, if the run keeps one.
        precision: state of the gradient scaler (fp16).
        processes: how many share the epoch under way.
        epoch_steps: weight updates that it consists of.
    """

    progress: Progress
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    precision: dict[str, Any]
    processes: int
    epoch_steps: int


@dataclass(frozen=True)
class Checkpoint(Generic[Config]):
    """A trained network and what it was trained as.

    Attributes:
        config: the resolved configuration.
        weights: state of the network; of its moving average where the run keeps one.
        actions: ids and names of the actions; of a recognizer, of its classes from 0.
        score: validation score in [0, 1] of these weights, where known: mAP@0.5 of a detector, top-1 of a recognizer.
        training: present in `last.pt`, from which a run resumes.
    """

    config: Config
    weights: Mapping[str, Tensor]
    actions: ActionList
    score: float | None = None
    training: TrainingState | None = None


def save_checkpoint(checkpoint: Checkpoint[DetectionConfig | RecognitionConfig], path: Path) -> None:
    """Write `checkpoint`; an interrupted write leaves an older file whole.

    Raises:
        OSError: it cannot be written; a full disk is named with `path`.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "config": dump_config(checkpoint.config),
        "actions": {name: value for name, value in asdict(checkpoint.actions).items() if value is not None},
        "score": checkpoint.score,
        "weights": dict(checkpoint.weights),
    }
    if checkpoint.training is not None:
        content["training"] = {**vars(checkpoint.training), "progress": asdict(checkpoint.training.progress)}
    with atomic_path(path) as temporary:
        _save(content, temporary)


def _save(content: Mapping[str, Any], path: Path) -> None:
    """Save by Python's own file, whose errors say what the system said; torch's name an internal position."""
    try:
        with path.open("wb") as file:
            torch.save(dict(content), file)
    except RuntimeError as fault:
        cause = fault.__context__
        if isinstance(cause, OSError):
            raise cause from None
        raise


@overload
def load_checkpoint(path: StrPath) -> Checkpoint[DetectionConfig]: ...
@overload
def load_checkpoint(path: StrPath, kind: type[Kind]) -> Checkpoint[Kind]: ...
def load_checkpoint(path: StrPath, kind: type[Any] = DetectionConfig) -> Checkpoint[Any]:
    """Read a checkpoint of ours.

    Args:
        path: the file.
        kind: what its configuration must be: a detector's or a recognizer's.

    Raises:
        InputError: no such file, a damaged one, one of another toolkit or for another task.
    """
    return parse_checkpoint(read_content(Path(path)), path, kind)


@overload
def parse_checkpoint(content: object, path: StrPath, kind: type[Kind]) -> Checkpoint[Kind]: ...
@overload
def parse_checkpoint(
    content: object, path: StrPath, kind: type[Kind] | None
) -> Checkpoint[DetectionConfig | RecognitionConfig]: ...
def parse_checkpoint(content: object, path: StrPath, kind: type[Any] | None) -> Checkpoint[Any]:
    """The checkpoint in the `content` of the file `path`; a `kind` of None is the one that its task names.

    Raises:
        InputError: it is of another toolkit or for another task.
    """
    if not is_checkpoint(content):
        raise InputError(
            f"{path}: not a checkpoint of actiondet; convert another toolkit's with tools/convert_checkpoint.py"
        )
    source, training = f"{path} (config)", content.get("training")
    config = content["config"]
    return Checkpoint(
        config=parse_config(config, source=source) if kind is None else parse_config_of(kind, config, source=source),
        weights=content["weights"],
        actions=stored_actions(content),
        score=content.get("score"),
        training=training and TrainingState(**{**training, "progress": Progress(**training["progress"])}),
    )


def stored_actions(content: Mapping[str, Any]) -> ActionList:
    """The actions in the content of a checkpoint of ours."""
    return ActionList(**{key: tuple(value) for key, value in content["actions"].items()})


def is_checkpoint(content: object) -> TypeGuard[dict[str, Any]]:
    """Whether `content`, which `read_content` has read, is that of a checkpoint of ours."""
    return isinstance(content, dict) and content.get("format") == FORMAT

"""Checkpoints: what they hold, how they are written and read.

A file is a plain dictionary of tensors, numbers and text, so that `torch.load(weights_only=True)` reads it and
nothing in it can run. It carries its own resolved configuration and the names of its actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor

from actiondet.config import DetectionConfig, RecognitionConfig, dump_config, parse_config_of
from actiondet.models.weights.files import read_content
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.ava import ActionList

FORMAT = "actiondet checkpoint 1"
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
        "actions": asdict(checkpoint.actions),
        "score": checkpoint.score,
        "weights": dict(checkpoint.weights),
    }
    if checkpoint.training is not None:
        state = checkpoint.training
        content["training"] = {
            "progress": asdict(state.progress),
            "optimizer": state.optimizer,
            "average": state.average,
            "precision": state.precision,
            "processes": state.processes,
            "epoch_steps": state.epoch_steps,
        }
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
def load_checkpoint(path: str | Path) -> Checkpoint[DetectionConfig]: ...
@overload
def load_checkpoint(path: str | Path, kind: type[Kind]) -> Checkpoint[Kind]: ...
def load_checkpoint(path: str | Path, kind: type[Any] = DetectionConfig) -> Checkpoint[Any]:
    """Read a checkpoint of ours.

    Args:
        path: the file.
        kind: what its configuration must be: a detector's or a recognizer's.

    Raises:
        InputError: no such file, a damaged one, one of another toolkit or for another task.
    """
    content = _read(Path(path))
    training = content.get("training")
    return Checkpoint(
        config=parse_config_of(kind, content["config"], source=f"{path} (config)"),
        weights=content["weights"],
        actions=ActionList(**{key: tuple(value) for key, value in content["actions"].items()}),
        score=content.get("score"),
        training=training
        and TrainingState(
            progress=Progress(**training["progress"]),
            optimizer=training["optimizer"],
            average=training["average"],
            precision=training["precision"],
            processes=training["processes"],
            epoch_steps=training["epoch_steps"],
        ),
    )


def _read(path: Path) -> dict[str, Any]:
    content = read_content(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: not a checkpoint of actiondet; convert another toolkit's with tools/convert_checkpoint.py"
        )
    return content

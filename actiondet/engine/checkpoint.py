"""Checkpoints: what they hold, how they are written and read.

A file is a plain dictionary of tensors, numbers and text, so that `torch.load(weights_only=True)` reads it and
nothing in it can run. It carries its own resolved configuration and the names of its actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actiondet.config import DetectionConfig, dump_config, parse_config
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.ava import ActionList

FORMAT = "actiondet checkpoint 1"


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the epoch under way, from 0.
        step: weight updates done in it.
        loss_sum, loss_steps: what the mean training loss of this epoch is made of so far.
        skipped: clips left out so far because their video could not be read.
        best: the best validation mAP so far; -1 before the first validation.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    skipped: int = 0
    best: float = -1.0


@dataclass(frozen=True)
class TrainingState:
    """What resuming needs beside the weights.

    Attributes:
        progress: where the run stands.
        optimizer: its state.
        average: state of the weights' moving average, if the run keeps one.
        precision: state of the gradient scaler (fp16).
    """

    progress: Progress
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    precision: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what it was trained as.

    Attributes:
        config: the resolved configuration.
        weights: state of the network; of its moving average where the run keeps one.
        actions: ids and names of the actions.
        mean_ap: validation mAP in [0, 1] of these weights, where known.
        training: present in `last.pt`, from which a run resumes.
    """

    config: DetectionConfig
    weights: Mapping[str, Tensor]
    actions: ActionList
    mean_ap: float | None = None
    training: TrainingState | None = None


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint`; an interrupted write leaves an older file whole."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "config": dump_config(checkpoint.config),
        "actions": asdict(checkpoint.actions),
        "mean_ap": checkpoint.mean_ap,
        "weights": dict(checkpoint.weights),
    }
    if checkpoint.training is not None:
        state = checkpoint.training
        content["training"] = {
            "progress": asdict(state.progress),
            "optimizer": state.optimizer,
            "average": state.average,
            "precision": state.precision,
        }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of ours.

    Raises:
        InputError: no such file, a damaged one, or one of another toolkit.
    """
    content = _read(Path(path))
    training = content.get("training")
    return Checkpoint(
        config=parse_config(content["config"], source=f"{path} (config)"),
        weights=content["weights"],
        actions=ActionList(**{key: tuple(value) for key, value in content["actions"].items()}),
        mean_ap=content["mean_ap"],
        training=training
        and TrainingState(
            progress=Progress(**training["progress"]),
            optimizer=training["optimizer"],
            average=training["average"],
            precision=training["precision"],
        ),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"{path}: " + ("is a directory, expected a checkpoint" if path.is_dir() else "no such checkpoint")
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # torch raises nearly anything on a damaged or foreign file
        first_line = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise InputError(f"{path}: not a readable checkpoint ({first_line})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: not a checkpoint of actiondet; convert another toolkit's with tools/convert_checkpoint.py"
        )
    return content

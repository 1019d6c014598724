"""Weights of our own checkpoints: nothing to rename."""

from __future__ import annotations

from typing import Any

from actiondet.models.weights.conversion import Conversion, Origin, Target
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.settings import BEHAVIOR


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file`, as they are, and what its configuration says beyond their shapes."""
    theirs = _flatten(file.settings.get("model", {}))
    return Conversion(
        weights=dict(file.tensors),
        sources={name: name for name in file.tensors},
        kind=file.settings.get("task"),
        settings={key: theirs[key] for key in BEHAVIOR if key in theirs},
    )


def _flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Leaves by dotted keys, lists as tuples."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flatten(value, f"{above}{name}.")
        else:
            leaves[above + name] = tuple(value) if isinstance(value, list) else value
    return leaves


OWN = Origin(
    "actiondet", ("backbone.stem.conv.weight", "backbone.slow.stem.conv.weight", "backbone.patch.weight"), convert
)

"""Weights of our own checkpoints: nothing to rename."""

from __future__ import annotations

from actiondet.models.weights.conversion import Conversion, Origin, Target
from actiondet.models.weights.files import CheckpointFile


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file`, as they are."""
    return Conversion(weights=dict(file.tensors), sources={name: name for name in file.tensors})


OWN = Origin("actiondet", ("backbone.stem.conv.weight", "backbone.slow.stem.conv.weight"), convert)

"""Weights of torchvision's networks for video: MViT, version 1 and 2."""

from __future__ import annotations

import re

from actiondet.models.weights import mvit
from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.pyslowfast import GRAY_MEAN, GRAY_STD


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    conversion = rename_all(file.tensors, rename, lambda name: None)
    conversion.kind = "recognition"
    for name in ("class_token", "positions.token", "positions.space", "positions.time"):
        weight = conversion.weights.get(f"backbone.{name}")
        if weight is not None:
            row = weight[None] if weight.ndim > 1 else weight[None, None]
            change(conversion, f"backbone.{name}", row, f"with more axes than {tuple(weight.shape)}")
    conversion.settings = {"mean": GRAY_MEAN, "std": GRAY_STD, "window": None}
    return conversion


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    match = re.fullmatch(r"head\.1\.(weight|bias)", name)
    return f"head.fc.{match[1]}" if match else mvit.rename(name)


TORCHVISION = Origin("torchvision", ("blocks.0.attn.pool_k.pool.weight",), convert)

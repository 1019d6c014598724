"""Weights of pytorchvideo, whose networks are lists of blocks: stem, res2 to res5, (pooling,) head."""

from __future__ import annotations

import re

from actiondet.models.weights.conversion import Conversion, Origin, Target, rename_all, swap_colors
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.pyslowfast import (
    GRAY_MEAN,
    GRAY_STD,
    refusing_other_settings,
    scores_of,
    sees_bgr,
)
from actiondet.models.weights.settings import Settings

_PATHWAY = {None: "", "0": "slow.", "1": "fast."}


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    conversion = rename_all(file.tensors, rename, lambda name: None)
    settings: Settings = {"backbone.slow_frames": "spread", "mean": GRAY_MEAN, "std": GRAY_STD}
    if any(name.startswith("detection_head.") for name in file.tensors):
        conversion.kind = "detection"
        settings |= {"backbone.res5_stride": 1, "backbone.res5_dilation": 2}
        settings |= {"head.roi_size": 7, "head.aligned": False, "head.temporal_pool": "avg"}
    else:
        conversion.kind = "recognition"
        settings |= {"backbone.res5_stride": 2, "backbone.res5_dilation": 1, "average_positions": "logits", "window": 7}
    with refusing_other_settings(file):  # PySlowFast trains these networks, too, and adds its own
        conversion.settings = settings | scores_of(file.settings)
        if sees_bgr(file.settings):
            swap_colors(conversion)
    return conversion


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    name = name.removeprefix("model.")  # detectors, and PySlowFast's wrappers, put the network inside
    if match := re.fullmatch(r"blocks\.0\.(?:multipathway_blocks\.([01])\.)?(conv|norm)\.(.+)", name):
        pathway, unit, leaf = match.groups()
        return f"backbone.{_PATHWAY[pathway]}stem.{unit}.{leaf}"
    if match := re.fullmatch(r"blocks\.([0-3])\.multipathway_fusion\.(conv_fast_to_slow|norm)\.(.+)", name):
        block, unit, leaf = match.groups()
        return f"backbone.fuse{int(block) + 1}.{'norm' if unit == 'norm' else 'conv'}.{leaf}"
    if match := re.fullmatch(r"blocks\.([1-4])\.(?:multipathway_blocks\.([01])\.)?res_blocks\.(\d+)\.(.+)", name):
        stage, pathway, block, rest = match.groups()
        inner = _rename_in_block(rest)
        return inner and f"backbone.{_PATHWAY[pathway]}res{int(stage) + 1}.{block}.{inner}"
    if match := re.fullmatch(r"(?:blocks\.[56]|detection_head)\.proj\.(.+)", name):
        return f"head.fc.{match[1]}"
    return None


def _rename_in_block(rest: str) -> str | None:
    if match := re.fullmatch(r"branch1_(conv|norm)\.(.+)", rest):
        return f"shortcut_{match[1]}.{match[2]}"
    if match := re.fullmatch(r"branch2\.(conv|norm)_([abc])\.(.+)", rest):
        return f"{match[1]}_{match[2]}.{match[3]}"
    return None


PYTORCHVIDEO = Origin(
    "pytorchvideo",
    (
        "blocks.0.conv.weight",
        "model.blocks.0.conv.weight",
        "blocks.0.multipathway_blocks.0.conv.weight",
        "model.blocks.0.multipathway_blocks.0.conv.weight",
    ),
    convert,
)

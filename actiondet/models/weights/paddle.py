"""Weights of PaddleVideo's SlowFast (.pdparams), whose names are PySlowFast's with underscores of Paddle's own."""

from __future__ import annotations

import re

from actiondet.models.weights import pyslowfast
from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.settings import Settings, settings_of_background


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    detection = any(name.startswith("roi_head.") for name in file.tensors)
    conversion = rename_all(file.tensors, rename, _skip_in_detector if detection else lambda name: None)
    weight = conversion.weights.get("head.fc.weight")
    if weight is not None:
        change(conversion, "head.fc.weight", weight.T, "transposed")
    conversion.kind = "detection" if detection else "recognition"
    conversion.background = detection
    conversion.absent["num_batches_tracked"] = "Paddle does not count batches"
    conversion.settings = _settings(detection)
    lateral = conversion.weights.get("backbone.fuse1.conv.weight")
    if detection:
        conversion.settings |= settings_of_background(conversion.weights.get("head.fc.bias"))
    elif lateral is not None and lateral.shape[2] == 5:
        conversion.settings["window"] = 7  # the 4x16 recipe; that of 8x8 is multigrid's and averages over any size
    return conversion


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    name = name.removeprefix("backbone.")
    name = re.sub(r"\._(conv|bn|conv_f2s)\.", r".\1.", name)
    name = re.sub(r"\._mean$", ".running_mean", name)
    name = re.sub(r"\._variance$", ".running_var", name)
    name = name.replace("roi_head.bbox_head.fc_cls.", "head.projection.")
    return pyslowfast.rename(name, two_pathways=True)


def _skip_in_detector(name: str) -> str | None:
    unused = re.fullmatch(r"backbone\.s[1-4]_fuse\._bn\..+", name)
    return "a batch norm that PaddleVideo's detectors hold and never use" if unused else None


def _settings(detection: bool) -> Settings:
    found: Settings = {"backbone.slow_frames": "spread", "backbone.res5_dilation": 1}
    if detection:
        found |= {"backbone.res5_stride": 1, "head.roi_size": 8, "head.aligned": True, "head.temporal_pool": "avg"}
        return found | {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    found |= {"backbone.res5_stride": 2, "average_positions": "softmax"}
    return found | {"mean": pyslowfast.GRAY_MEAN, "std": pyslowfast.GRAY_STD}


PADDLE = Origin(
    "paddle",
    ("backbone.s1.pathway0_stem._conv.weight",),
    convert,
)

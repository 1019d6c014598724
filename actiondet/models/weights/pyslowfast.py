"""Weights of PySlowFast (.pyth): ResNets, whose networks of one pathway call it pathway0, and MViT."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from actiondet.models.clip_network import IMAGENET_MEAN, IMAGENET_STD
from actiondet.models.weights import mvit
from actiondet.models.weights.conversion import Conversion, Origin, Target, fold_nonlocal_bias, rename_all, swap_colors
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.settings import Kind, Settings
from evaluation.errors import InputError

KINETICS_CLASSES = {400, 600, 700}
"""Their numbers of classes: a head of another size than that of Kinetics is a detector's."""
_MVIT = "blocks.0.attn.pool_k.weight"  # every MViT has it, and no other transformer
GRAY_MEAN = (114.75, 114.75, 114.75)  # 0.45 of 255
GRAY_STD = (57.375, 57.375, 57.375)  # 0.225 of 255
# Data sets whose frames PySlowFast normalizes as OpenCV reads them, in blue, green, red; and those that it turns to
# that order afterwards. All others are red, green, blue.
_READ_AS_BGR = ("ava", "charades", "ssv2")
_TURNED_TO_BGR = ("ptvcharades", "ptvssv2")


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    if _MVIT in file.tensors:
        return _convert_mvit(file, target)
    two_pathways = any(name.startswith("s1.pathway1_") for name in file.tensors)
    conversion = rename_all(file.tensors, lambda name: rename(name, two_pathways=two_pathways), lambda name: None)
    fold_nonlocal_bias(conversion)
    take_settings(conversion, file, target, aligned=True)
    return conversion


def _convert_mvit(file: CheckpointFile, target: Target) -> Conversion:
    conversion = rename_all(file.tensors, lambda name: mvit.rename(name) or _rename_head(name), lambda name: None)
    classes = conversion.weights.get("head.fc.bias")
    if not file.settings and classes is not None and len(classes) in KINETICS_CLASSES:
        conversion.kind = "recognition"
    take_settings(conversion, file, target, aligned=True)
    of_resnets = ("backbone.", "average_positions")
    found = {key: value for key, value in conversion.settings.items() if not key.startswith(of_resnets)}
    if "window" in found:
        found["window"] = None
    if mvit.is_large(conversion.weights) and "MEAN" not in file.settings.get("DATA", {}):
        found |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}  # it began from images
    with refusing_other_settings(file):
        conversion.settings = found | mvit.settings_of_pyslowfast(file.settings)
    return conversion


def take_settings(conversion: Conversion, file: CheckpointFile, target: Target, *, aligned: bool) -> None:
    """Read what the file says about its network, and what it does not say off their configurations.

    Raises:
        InputError: the settings in the file are not PySlowFast's.
    """
    with refusing_other_settings(file):
        conversion.kind = conversion.kind or kind_of(file.settings)
        conversion.settings = settings_of(conversion.kind or target.kind, file.settings, aligned=aligned)
        if sees_bgr(file.settings):
            swap_colors(conversion)
        known = "INSTANTIATION" in file.settings.get("NONLOCAL", {})
    if not known and any("nonlocal_block" in name for name in conversion.weights):
        conversion.doubts.append(
            "model.backbone.nonlocal_blocks: dot_product as in PySlowFast's slow and SlowFast networks, whose pool is "
            "[2, 2, 2] in those for AVA and [1, 2, 2] in those for Kinetics"
        )


def rename(name: str, *, two_pathways: bool) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    slow, fast = ("slow.", "fast.") if two_pathways else ("", "")
    path = {"0": slow, "1": fast}
    if match := re.fullmatch(r"s1\.pathway([01])_stem\.(conv|bn)\.(.+)", name):
        pathway, unit, leaf = match.groups()
        return f"backbone.{path[pathway]}stem.{'conv' if unit == 'conv' else 'norm'}.{leaf}"
    if match := re.fullmatch(r"s([1-4])_fuse\.(conv_f2s|bn)\.(.+)", name):
        stage, unit, leaf = match.groups()
        return f"backbone.fuse{stage}.{'norm' if unit == 'bn' else 'conv'}.{leaf}"
    if match := re.fullmatch(r"s([2-5])\.pathway([01])_res(\d+)\.(.+)", name):
        stage, pathway, block, rest = match.groups()
        inner = _rename_in_block(rest)
        return inner and f"backbone.{path[pathway]}res{stage}.{block}.{inner}"
    if match := re.fullmatch(r"s([2-5])\.pathway0_nonlocal(\d+)\.(?:conv_(theta|phi|g|out)|bn)\.(.+)", name):
        stage, block, conv, leaf = match.groups()
        return f"backbone.{slow}res{stage}.{block}.nonlocal_block.{conv or 'norm'}.{leaf}"
    return _rename_head(name)


def _rename_head(name: str) -> str | None:
    match = re.fullmatch(r"head\.projection\.(.+)", name)
    return f"head.fc.{match[1]}" if match else None


def _rename_in_block(rest: str) -> str | None:
    if match := re.fullmatch(r"branch1(_bn)?\.(.+)", rest):
        return f"shortcut_{'norm' if match[1] else 'conv'}.{match[2]}"
    if match := re.fullmatch(r"branch2\.([abc])(_bn)?\.(.+)", rest):
        return f"{'norm' if match[2] else 'conv'}_{match[1]}.{match[3]}"
    return None


def kind_of(settings: Mapping[str, Any]) -> Kind | None:
    """Whether PySlowFast's own settings, stored in its files, describe a detector."""
    if "DETECTION" not in settings:
        return None
    return "detection" if settings["DETECTION"].get("ENABLE") else "recognition"


@contextmanager
def refusing_other_settings(file: CheckpointFile) -> Iterator[None]:
    """Refuse a file whose settings are not as PySlowFast writes them."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as fault:
        raise InputError(
            f"{file.path}: its entry 'cfg' does not hold settings as PySlowFast writes them "
            f"({type(fault).__name__}: {fault}); take the entry out of the file to load the weights without it"
        ) from None


def sees_bgr(theirs: Mapping[str, Any]) -> bool:
    """Whether the network was trained on blue, green, red: the order of its data set, reversed or not."""
    detector = kind_of(theirs) == "detection"
    dataset = str(theirs.get("TRAIN", {}).get("DATASET", "ava" if detector else "kinetics")).lower()
    bgr = dataset in (*_READ_AS_BGR, *_TURNED_TO_BGR)
    if dataset == "ava":
        bgr = bool(theirs.get("AVA", {}).get("BGR", False))
    return bgr != bool(theirs.get("DATA", {}).get("REVERSE_INPUT_CHANNEL", False))


def scores_of(theirs: Mapping[str, Any]) -> Settings:
    """Whether scores are sigmoids; {} if the file does not say."""
    activation = theirs.get("MODEL", {}).get("HEAD_ACT")
    return {"multi_label": activation == "sigmoid"} if activation in ("sigmoid", "softmax") else {}


def settings_of(kind: Kind, theirs: Mapping[str, Any], *, aligned: bool) -> Settings:
    """Our settings: from theirs where the file holds them, else what their configurations have in common."""
    data, detection, resnet = (theirs.get(name, {}) for name in ("DATA", "DETECTION", "RESNET"))
    order = -1 if theirs.get("TRAIN", {}).get("DATASET") in _READ_AS_BGR else 1
    found: Settings = {
        "backbone.slow_frames": "spread",
        "backbone.nonlocal_blocks.pool_first": True,
        "backbone.nonlocal_blocks.attention": "dot_product",
        "backbone.nonlocal_blocks.pool": (2, 2, 2) if kind == "detection" else (1, 2, 2),
        "mean": tuple(255 * value for value in data["MEAN"][::order]) if "MEAN" in data else GRAY_MEAN,
        "std": tuple(255 * value for value in data["STD"][::order]) if "STD" in data else GRAY_STD,
    }
    if "ALPHA" in theirs.get("SLOWFAST", {}):
        found["backbone.alpha"] = theirs["SLOWFAST"]["ALPHA"]
    if "INSTANTIATION" in theirs.get("NONLOCAL", {}):
        found["backbone.nonlocal_blocks.attention"] = theirs["NONLOCAL"]["INSTANTIATION"]
        found["backbone.nonlocal_blocks.pool"] = tuple(theirs["NONLOCAL"]["POOL"][2][0])  # of res4's slow pathway
    found |= scores_of(theirs)
    if "SPATIAL_STRIDES" in resnet:
        found["backbone.res5_stride"] = resnet["SPATIAL_STRIDES"][3][0]
        found["backbone.res5_dilation"] = resnet["SPATIAL_DILATIONS"][3][0]
    else:
        found["backbone.res5_stride"], found["backbone.res5_dilation"] = (1, 2) if kind == "detection" else (2, 1)
    if kind == "detection":
        found["head.roi_size"] = detection.get("ROI_XFORM_RESOLUTION", 7)
        found["head.aligned"] = detection.get("ALIGNED", aligned)
        found["head.temporal_pool"] = "avg"
    else:
        if not found.get("multi_label"):  # ours has no mean of sigmoids: `multi_label` says that they differ
            found["average_positions"] = "softmax"
        short_cycle = theirs.get("MULTIGRID", {}).get("SHORT_CYCLE")  # then the head averages over any size
        found["window"] = None if short_cycle else data.get("TRAIN_CROP_SIZE", 224) // 32
    return found


PYSLOWFAST = Origin("pyslowfast", ("s1.pathway0_stem.conv.weight", _MVIT), convert)

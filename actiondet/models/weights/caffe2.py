"""Weights of the Caffe2 models in PySlowFast's model zoo (.pkl)."""

from __future__ import annotations

import re

from actiondet.models.weights.conversion import Conversion, Origin, Target, change, fold_nonlocal_bias, rename_all
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.pyslowfast import KINETICS_CLASSES, take_settings

# "riv" reads inverse variance and is the variance.
_NORM_LEAF = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
_CONV_LEAF = {"w": "weight", "b": "bias"}


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    two_pathways = "t_conv1_w" in file.tensors
    conversion = rename_all(file.tensors, lambda name: rename(name, two_pathways=two_pathways), _skip)
    weight = conversion.weights.get("head.fc.weight")
    if weight is not None:
        if weight.ndim > 2:
            change(conversion, "head.fc.weight", weight.flatten(1), f"flattened from {tuple(weight.shape)}")
        if len(weight) in KINETICS_CLASSES:
            conversion.kind = "recognition"
    fold_nonlocal_bias(conversion)
    conversion.absent["num_batches_tracked"] = "Caffe2 does not count batches"
    take_settings(conversion, file, target, aligned=False)
    return conversion


def rename(name: str, *, two_pathways: bool) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    fast = name.startswith("t_")
    pathway = "backbone." + (("fast." if fast else "slow.") if two_pathways else "")
    name = name.removeprefix("t_")
    if name == "conv1_w":
        return f"{pathway}stem.conv.weight"
    if match := re.fullmatch(r"res_conv1_bn_(s|b|rm|riv)", name):
        return f"{pathway}stem.norm.{_NORM_LEAF[match[1]]}"
    if fast and (
        match := re.fullmatch(r"(?:pool1|res([2-4])_\d+_branch2c_bn)_subsample_(?:(w)|bn_(s|b|rm|riv))", name)
    ):
        stage, conv, norm = match.groups()
        return f"backbone.fuse{stage or 1}." + ("conv.weight" if conv else f"norm.{_NORM_LEAF[norm]}")
    if match := re.fullmatch(r"res([2-5])_(\d+)_branch(1|2[abc])_(?:(w)|bn_(s|b|rm|riv))", name):
        stage, block, branch, conv, norm = match.groups()
        block_name = f"{pathway}res{stage}.{block}"
        unit, leaf = ("conv", "weight") if conv else ("norm", _NORM_LEAF[norm])
        return f"{block_name}.shortcut_{unit}.{leaf}" if branch == "1" else f"{block_name}.{unit}_{branch[1]}.{leaf}"
    if match := re.fullmatch(r"nonlocal_conv([2-5])_(\d+)_(?:(theta|phi|g|out)_(w|b)|bn_(s|b|rm|riv))", name):
        stage, block, conv, leaf, norm = match.groups()
        inner = f"{conv}.{_CONV_LEAF[leaf]}" if conv else f"norm.{_NORM_LEAF[norm]}"
        return f"{pathway}res{stage}.{block}.nonlocal_block.{inner}"
    if match := re.fullmatch(r"pred_(w|b)", name):
        return f"head.fc.{_CONV_LEAF[match[1]]}"
    return None


def _skip(name: str) -> str | None:
    training = name.endswith("_momentum") or name in ("lr", "model_iter")
    return "state of the training" if training else None


CAFFE2 = Origin("caffe2", ("conv1_w",), convert)

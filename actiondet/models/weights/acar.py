"""Weights of ACAR-Net: a SlowFast network by names of its own, and its head."""

from __future__ import annotations

import re

from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.pyslowfast import GRAY_MEAN, GRAY_STD
from evaluation.label_lists import label_list

_HEAD = {"conv_reduce": "reduce", "conv1": "join", "conv2": "conv", "fc1": "person", "fc2": "fc"}
_ATTENTION = {"conv_q": "query", "conv_k": "key", "conv_v": "value", "conv": "out", "norm": "norm"}
_BLOCK = {
    **{f"conv{i}": f"conv_{letter}" for i, letter in enumerate("abc", 1)},
    **{f"bn{i}": f"norm_{letter}" for i, letter in enumerate("abc", 1)},
    "downsample.0": "shortcut_conv",
    "downsample_bn": "shortcut_norm",
}

_MEAN, _STD = (110.63666788, 103.16065604, 96.29023126), (38.7568578, 37.88248729, 40.02898126)
_AVA_ACTIONS = 80
_AVA_POSES = 14
"""The first actions of AVA, of which a person does one; the authors score them by a softmax."""
_NEVER = -100.0
"""A logit whose score is 0 in every precision, and that does not count beside others in a softmax."""


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    conversion = rename_all(file.tensors, rename, lambda name: None)
    weights = conversion.weights
    lateral_norm = "backbone.fuse1.norm.weight" in weights
    conversion.settings = {
        "backbone.alpha": 4,
        "backbone.slow_frames": "spread" if lateral_norm else "strided",
        "backbone.res5_stride": 1,
        "backbone.res5_dilation": 2,
        "mean": GRAY_MEAN if lateral_norm else _MEAN,
        "std": GRAY_STD if lateral_norm else _STD,
    }
    if not lateral_norm:
        conversion.doubts.append("model.mean, model.std: those of the authors' R101, trained on Kinetics-700")
    classifier = weights.get("head.fc.weight")
    if classifier is None:
        return conversion
    conversion.kind = "detection"
    conversion.settings |= {
        "head.roi_size": 7,
        "head.aligned": False,
        "head.sampling_ratio": 0,
        "head.halved": True,
        "multi_label": True,
    }
    evaluated = label_list("ava-2.2-evaluated").ids
    if len(classifier) == len(evaluated):
        _spread_actions(conversion, [label - 1 for label in evaluated])
        conversion.settings |= {"num_actions": _AVA_ACTIONS, "head.exclusive_actions": _AVA_POSES}
    else:
        conversion.doubts.append("model.head.exclusive_actions: 13 where their pose_softmax was on, else 0")
    return conversion


def _spread_actions(conversion: Conversion, columns: list[int]) -> None:
    """Put the actions that AVA evaluates, in the order of their ids, in the columns of AVA's 80 actions.

    The others, which the authors do not train, get a bias that makes their scores 0.
    """
    theirs = conversion.weights["head.fc.weight"]
    weight = theirs.new_zeros(_AVA_ACTIONS, theirs.shape[1])
    weight[columns] = theirs
    bias = theirs.new_full((_AVA_ACTIONS,), _NEVER)
    bias[columns] = conversion.weights.get("head.fc.bias", theirs.new_zeros(len(theirs)))
    what = "60 evaluated actions of AVA in the columns of its 80; the other 20 score 0"
    change(conversion, "head.fc.weight", weight, what)
    change(conversion, "head.fc.bias", bias, what)
    conversion.sources.setdefault("head.fc.bias", conversion.sources["head.fc.weight"])


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    if match := re.fullmatch(r"head\.(?:module\.)?(.+)", name):
        ours = rename_in_head(match[1])
        return ours and f"head.{ours}"
    name = re.sub(r"^(backbone\.)?(module\.)?", "", name)
    if match := re.fullmatch(r"Tconv([1-4])(?:\.([01]))?\.(\w+)", name):
        stage, part, leaf = match.groups()
        return f"backbone.fuse{stage}.{'norm' if part == '1' else 'conv'}.{leaf}"
    if match := re.fullmatch(r"(slow|fast)_(conv|bn)1\.(\w+)", name):
        pathway, kind, leaf = match.groups()
        return f"backbone.{pathway}.stem.{'conv' if kind == 'conv' else 'norm'}.{leaf}"
    if match := re.fullmatch(r"(slow|fast)_res([1-4])\.(\d+)\.(.+)\.(\w+)", name):
        pathway, stage, block, module, leaf = match.groups()
        ours = _BLOCK.get(module)
        return ours and f"backbone.{pathway}.res{int(stage) + 1}.{block}.{ours}.{leaf}"
    return None


def rename_in_head(name: str) -> str | None:
    """Our name of a weight of their head, both without "head."; None where it is none of theirs."""
    module, _, leaf = name.rpartition(".")
    if match := re.fullmatch(r"hr2o\.(\d+)\.(\w+)", module):
        ours = _ATTENTION.get(match[2])
        return ours and f"relations.{match[1]}.{ours}.{leaf}"
    ours = _HEAD.get(module)
    return ours and f"{ours}.{leaf}"


ACAR = Origin(
    "acar",
    ("backbone.module.slow_conv1.weight", "backbone.slow_conv1.weight", "slow_conv1.weight"),
    convert,
)

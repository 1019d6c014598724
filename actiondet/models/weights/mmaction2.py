"""Weights of MMAction2: recognizers, and detectors built with MMDetection."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch

from actiondet.models.weights import lfb, mvit, vit
from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all, swap_colors
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.mmaction2_config import read_recipe
from actiondet.models.weights.pyslowfast import GRAY_MEAN, GRAY_STD
from actiondet.models.weights.settings import Settings, settings_of_background

_MVIT = "backbone.blocks.0.attn.pool_k.weight"
_VIT = "backbone.blocks.0.attn.q_bias"
_PATHWAY = {None: "", "slow_path.": "slow.", "fast_path.": "fast."}
_UNIT = {"conv": "conv", "bn": "norm"}


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    conversion = rename_all(file.tensors, rename, _skip_in(file))
    if any(name.startswith("roi_head.") for name in file.tensors):
        conversion.kind = "detection"
        conversion.background = True
        _flatten_acrn(conversion)
    elif any(name.startswith("cls_head.") for name in file.tensors):
        conversion.kind = "recognition"
        _reorder_head(conversion)
    lfb.flatten(conversion)
    recipe = read_recipe(file.meta, conversion.kind)
    if recipe.background is not None:
        conversion.background = recipe.background
    if _MVIT in file.tensors:
        usual = _settings_of_mvit(conversion)
    elif _VIT in file.tensors:
        usual = _settings_of_vit(conversion)
    else:
        usual = _settings(conversion, recipe.background)
    conversion.settings = usual | recipe.settings
    conversion.foreign, conversion.remarks = recipe.foreign, recipe.remarks
    if recipe.bgr:
        swap_colors(conversion)
    return conversion


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    pathway = r"(slow_path\.|fast_path\.)?"
    if match := re.fullmatch(rf"backbone\.{pathway}conv1\.(conv|bn)\.(.+)", name):
        path, unit, leaf = match.groups()
        return f"backbone.{_PATHWAY[path]}stem.{_UNIT[unit]}.{leaf}"
    if match := re.fullmatch(r"backbone\.slow_path\.(?:conv1|layer(\d))_lateral\.(conv|bn)\.(.+)", name):
        stage, unit, leaf = match.groups()
        return f"backbone.fuse{int(stage or 0) + 1}.{_UNIT[unit]}.{leaf}"
    if match := re.fullmatch(rf"backbone\.{pathway}layer(\d)\.(\d+)\.(.+)", name):
        path, layer, block, rest = match.groups()
        inner = _rename_in_block(rest)
        return inner and f"backbone.{_PATHWAY[path]}res{int(layer) + 1}.{block}.{inner}"
    if match := re.fullmatch(r"(?:cls_head|roi_head\.bbox_head)\.fc_cls\.(.+)", name):
        return f"head.fc.{match[1]}"
    if match := re.fullmatch(r"roi_head\.shared_head\.(conv1|conv2|convs\.(\d+))\.(conv|bn)\.(.+)", name):
        layer, number, unit, leaf = match.groups()
        if layer == "conv1":
            return f"head.join.{leaf}" if unit == "conv" else f"head.join_norm.{leaf}"
        return f"head.convs.{0 if number is None else int(number) + 1}.{_UNIT[unit]}.{leaf}"
    if not name.startswith("backbone."):
        return lfb.rename(name)
    inner = name.removeprefix("backbone.")
    return mvit.rename(inner) or vit.rename(inner)


def _rename_in_block(rest: str) -> str | None:
    if match := re.fullmatch(r"conv([123])\.(conv|bn)\.(.+)", rest):
        number, unit, leaf = match.groups()
        return f"{_UNIT[unit]}_{'abc'[int(number) - 1]}.{leaf}"
    if match := re.fullmatch(r"downsample\.(conv|bn)\.(.+)", rest):
        return f"shortcut_{_UNIT[match[1]]}.{match[2]}"
    # g and phi stand in a Sequential with their pooling where they are sub-sampled: hence the optional "0".
    if match := re.fullmatch(r"non_local_block\.(theta|phi|g)\.(?:0\.)?conv\.(.+)", rest):
        return f"nonlocal_block.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"non_local_block\.conv_out\.(conv|bn)\.(.+)", rest):
        return f"nonlocal_block.{'out' if match[1] == 'conv' else 'norm'}.{match[2]}"
    return None


def _skip_in(file: CheckpointFile) -> Callable[[str], str | None]:
    """Why an entry is of no use: old versions of mmcv keep averages of "a.b" as "ema_a_b"."""
    averages = {f"ema_{name.replace('.', '_')}" for name in file.tensors}

    def skip(name: str) -> str | None:
        if name == "backbone.pos_embed" and _VIT in file.tensors:
            return "the table of positions, which is a formula"
        if name.startswith("data_preprocessor."):
            return "input normalization, which the configuration holds"
        return "a moving average beside the weights" if name in averages else None

    return skip


def _flatten_acrn(conversion: Conversion) -> None:
    """Their ACRN head convolves maps of one frame in 3D, ours maps without time in 2D."""
    for name, weight in list(conversion.weights.items()):
        if name.startswith(("head.join.", "head.convs.")) and weight.ndim == 5:
            change(conversion, name, weight[:, :, 0], "without its axis of time, which is 1 long")


def _reorder_head(conversion: Conversion) -> None:
    """Their recognizer sees the fast pathway's features first, ours the slow one's."""
    fast_norm = conversion.weights.get("backbone.fast.res5.0.norm_c.weight")
    weight = conversion.weights.get("head.fc.weight")
    if fast_norm is not None and weight is not None:
        fast, slow = weight[:, : len(fast_norm)], weight[:, len(fast_norm) :]
        change(conversion, "head.fc.weight", torch.cat([slow, fast], dim=1), "reordered from [fast, slow]")


def _settings(conversion: Conversion, background: bool | None) -> Settings:
    """What their configurations have in common.

    Args:
        conversion: the weights, and what they are for.
        background: whether class 0 has no meaning; None if the file does not say.
    """
    stem = conversion.weights.get("backbone.stem.conv.weight")
    flow = stem is not None and stem.shape[1] == 2
    found: Settings = {
        "backbone.slow_frames": "strided",
        "backbone.res5_dilation": 1,
        "mean": (128.0, 128.0) if flow else (123.675, 116.28, 103.53),
        "std": (128.0, 128.0) if flow else (58.395, 57.12, 57.375),
    }
    values = [name for ours, name in conversion.sources.items() if ours.endswith("nonlocal_block.g.weight")]
    if values:
        found["backbone.nonlocal_blocks.attention"] = "softmax"
        found["backbone.nonlocal_blocks.pool"] = (1, 2, 2) if ".g.0." in values[0] else None
        found["backbone.nonlocal_blocks.pool_first"] = False
    if conversion.kind == "detection":
        found |= {"backbone.res5_stride": 1, "head.roi_size": 8, "head.aligned": True}
        weights = conversion.weights
        if any(name.startswith("head.bank.") for name in weights):
            found |= {"head.bank.mask_empty": False, "head.dropout_at": "vector"}
        bias = weights.get("head.fc.2.bias", weights.get("head.fc.bias"))
        if background is None:
            found |= settings_of_background(bias)
        elif bias is not None:
            found["num_actions"] = len(bias) - background
    elif conversion.kind == "recognition":
        found |= {"backbone.res5_stride": 2, "window": None}
    return found


def _settings_of_mvit(conversion: Conversion) -> Settings:
    """Their networks are PySlowFast's, and see its colors; a detector's head is their own."""
    found: Settings = {"mean": GRAY_MEAN, "std": GRAY_STD}
    if mvit.is_large(conversion.weights):
        # Their configuration has gray, that of the weights' authors ImageNet's.
        found = {}
        conversion.doubts.append("model.mean, model.std: 114.75 and 57.375 in MMAction2, ImageNet's in PySlowFast")
    if conversion.kind == "detection":
        found |= {"head.roi_size": 8, "head.aligned": True}
        found |= settings_of_background(conversion.weights.get("head.fc.bias"))
    elif conversion.kind == "recognition":
        found["window"] = None
    return found


def _settings_of_vit(conversion: Conversion) -> Settings:
    """Their VideoMAE drops what is beyond whole patches."""
    found: Settings = {"backbone.remainder": "drop", "backbone.frames": 16}
    if conversion.kind == "detection":
        found |= {"head.roi_size": 8, "head.aligned": True, "head.temporal_pool": "avg", "head.box_margin": None}
        found |= settings_of_background(conversion.weights.get("head.fc.bias"))
    elif conversion.kind == "recognition":
        found["window"] = None
    return found


MMACTION2 = Origin(
    "mmaction2",
    (
        "backbone.conv1.conv.weight",
        "backbone.slow_path.conv1.conv.weight",
        _MVIT,
        _VIT,
    ),
    convert,
)

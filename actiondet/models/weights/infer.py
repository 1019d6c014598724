"""The configuration that a checkpoint seems to ask for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from actiondet.models.blocks import DESIGNS
from actiondet.models.weights.conversion import Conversion, Origin, Target
from actiondet.models.weights.files import CheckpointFile, read_content
from actiondet.models.weights.imagenet import IMAGENET
from actiondet.models.weights.opening import OriginName, open_checkpoint
from actiondet.models.weights.settings import MVIT_BEHAVIOR, Settings, settings_of_weights
from evaluation.errors import InputError


def infer_model(
    path: str | os.PathLike[str], origin: OriginName = "auto", *, entry: str | None = None
) -> tuple[Settings, list[str]]:
    """Propose the `model:` part of a configuration from the shapes of the weights and from their origin.

    Args:
        path, origin, entry: as those of `load_weights`.

    Returns:
        The settings, nested as in a configuration file; and what to check, because the file does not say.

    Raises:
        InputError: the file cannot be read, or holds none of our networks.
    """
    file, source = open_checkpoint(Path(path), read_content(Path(path)), origin, {}, entry)
    return settings_for(file, source, source.convert(file, Target({}, "detection")))


def settings_for(file: CheckpointFile, source: Origin, conversion: Conversion) -> tuple[Settings, list[str]]:
    """`infer_model` of a file that is read and converted already."""
    kind = conversion.kind or "detection"
    found = settings_of_weights(conversion.weights, kind)
    if not found:
        raise InputError(f"{file.path}: weights of {source.name}, but not of a SlowOnly, SlowFast, MViT or ViT network")

    if source is IMAGENET:
        del found["backbone.temporal_blocks"]  # images are inflated to any

    doubts = list(file.remarks)
    if conversion.kind is None:
        doubts.append("the file does not say whether it is a detector; it is taken for one")
    if conversion.background and "num_actions" not in conversion.settings:
        doubts.append("model.num_actions: one less if class 0 of the file has no meaning, as in AVA")
    if kind == "detection":
        found.setdefault("head.name", "roi")
        if "multi_label" not in conversion.settings:
            doubts.append("model.multi_label: false where a person does one thing at a time, as in MultiSports")
    found |= conversion.settings
    doubts += conversion.doubts
    doubts += [f"{what}, which no network here can do" for what in conversion.foreign.values()]
    doubts += conversion.remarks
    if kind == "recognition" and found.pop("multi_label", False):
        doubts.append("the file's network scores each class by itself (sigmoid); recognizers here have a softmax")
    if found["backbone.name"] == "vit" and "backbone.heads" not in found:
        found["backbone.heads"] = max(found["backbone.width"] // 64, 1)
        doubts.append("model.backbone.heads: no weight shows it; taken for heads of 64 channels")
    if found["backbone.name"] == "mvit":
        unseen = [name for name in MVIT_BEHAVIOR if f"backbone.{name}" not in conversion.settings]
        if unseen:
            doubts.append(f"model.backbone: {', '.join(unseen)}, which no weight shows; taken as published")
        if found["backbone.absolute_positions"] == "joint" and "backbone.image" not in found:
            doubts.append("model.backbone: frames and image, of which the position table shows the product alone")
    nonlocal_blocks = bool(found.get("backbone.nonlocal_blocks.after"))
    if found["backbone.name"] == "slowfast" and "backbone.alpha" not in found:
        # MMAction2 has a kernel of 5 with 8 alone; the others also with 4, in detectors, R101 and non-local networks.
        plain = kind == "recognition" and found["backbone.depth"] == 50 and not nonlocal_blocks
        narrow = found.get("backbone.fusion_kernel") == 5 and (plain or source.name == "mmaction2")
        found["backbone.alpha"] = 8 if narrow else 4
        doubts.append("model.backbone.alpha: 4 or 8, guessed from the kernel of the lateral connections")
    if nonlocal_blocks and "backbone.nonlocal_blocks.attention" not in found:
        doubts.append("model.backbone.nonlocal_blocks: attention softmax or dot_product, and its pool")
    if kind == "recognition" and "window" not in found:
        doubts.append("model.window: 7, or null after a multigrid training")
    if kind == "detection" and found["head.name"] != "acar" and "head.temporal_pool" not in found:
        doubts.append("model.head.temporal_pool: avg or max")
    return _nest({key: value for key, value in found.items() if _needed(key, value, found)}), doubts


def _needed(key: str, value: Any, found: Settings) -> bool:
    """Whether the setting exists in such a network and is not what it is anyway."""
    if key.startswith("backbone.nonlocal_blocks."):
        return bool(found["backbone.nonlocal_blocks.after"])
    if found["backbone.name"] in ("mvit", "vit"):
        return True
    depth, two_pathways = found["backbone.depth"], bool(found["backbone.name"] == "slowfast")
    if value is None or depth not in DESIGNS:
        return value is not None
    every_block = DESIGNS[depth].blocks
    if key == "backbone.temporal_blocks":
        return bool(value != (0, 0, *every_block[2:]))
    if key in ("backbone.slow_frames", "backbone.alpha"):
        return two_pathways
    if key == "backbone.in_channels":
        return not two_pathways
    if key == "backbone.fast_depth":
        return bool(value != depth)
    if key == "backbone.fast_temporal_blocks":
        return bool(value != DESIGNS[found["backbone.fast_depth"]].blocks)
    return True


def _nest(settings: Settings) -> Settings:
    """Dotted keys as nested mappings, tuples as lists."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = _plain(value)
    return tree


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value

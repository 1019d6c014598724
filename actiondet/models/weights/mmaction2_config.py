"""What the configuration in a file of MMAction2 says about its network: Python, which is read without running it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from actiondet.models.weights import lfb
from actiondet.models.weights.settings import Kind, Settings

_LONGEST = 1 << 20  # characters; theirs have some thousands
_NON_LOCAL = {"embedded_gaussian": "softmax", "dot_product": "dot_product"}
_BACKBONES = ("ResNet3dSlowOnly", "ResNet3dSlowFast", "MViT")


@dataclass
class Recipe:
    """What a configuration says.

    Attributes:
        settings: ours, by key.
        foreign: what networks here cannot be, by a key of that kind: whole phrases.
        remarks: what no network shows.
        background: class 0 of a detector has no meaning; None if it does not say.
        bgr: the network saw blue, green, red.
    """

    settings: Settings = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    background: bool | None = None
    bgr: bool = False


def read_recipe(meta: Mapping[str, Any], kind: Kind | None) -> Recipe:
    """What the configuration among a file's `meta` says; nothing without one.

    Args:
        meta: the entry of this name; "cfg" is mmengine's, "config" that of mmcv's older files.
        kind: what the network is for, where the weights show it.
    """
    text = next((meta[name] for name in ("cfg", "config") if meta.get(name)), None)
    config = text if isinstance(text, dict) else parse_config(text) if isinstance(text, str) else {}
    model = _below(config, "model")
    if not model:
        recipe = Recipe()
        if isinstance(text, str) and text.strip():
            recipe.remarks.append(
                "its configuration (meta.cfg) cannot be read; the rest follows from the names of its weights"
            )
        return recipe
    recipe = Recipe()
    _read_backbone(model, recipe)
    if kind == "detection":
        _read_roi_head(_below(model, "roi_head"), recipe)
    elif _below(model, "cls_head").get("multi_class"):
        recipe.settings["multi_label"] = True
    _read_normalization(config, model, recipe)
    recipe.remarks += _sampling(config)
    return recipe


def _read_backbone(model: Mapping[str, Any], recipe: Recipe) -> None:
    backbone = _below(model, "backbone")
    name = str(backbone.get("type", "")).rpartition(".")[2]
    if name and not name.startswith(_BACKBONES):
        recipe.foreign["backbone.name"] = f"its backbone is {name}"
    if name.startswith("MViT"):
        return
    slow = _below(backbone, "slow_pathway") if name == "ResNet3dSlowFast" else backbone
    if name == "ResNet3dSlowFast":
        alpha, rate = backbone.get("speed_ratio", 8), backbone.get("resample_rate", 8)
        if isinstance(alpha, int):
            recipe.settings["backbone.alpha"] = alpha
            if rate != alpha:
                recipe.foreign["backbone.resample_rate"] = (
                    f"its fast pathway does not see every frame of a clip (resample_rate {rate}, speed_ratio {alpha})"
                )
    if name:
        recipe.settings["backbone.res5_stride"] = _last(slow.get("spatial_strides"), 2)
        recipe.settings["backbone.res5_dilation"] = _last(slow.get("dilations"), 1)
    pathways = [slow, _below(backbone, "fast_pathway")]
    for key in ("conv1_stride_t", "pool1_stride_t", "temporal_strides"):
        if any(set(_flat(each.get(key, 1))) != {1} for each in pathways):
            recipe.foreign["backbone.strides"] = f"its backbone passes over frames ({key})"
    if any(each.get("style", "pytorch") != "pytorch" for each in pathways):
        recipe.foreign["backbone.style"] = "its blocks have their stride in the first convolution (style caffe)"
    blocks = _below(slow, "non_local_cfg")
    if any(_flat(slow.get("non_local", 0))):
        mode = str(blocks.get("mode", "embedded_gaussian"))
        if mode not in _NON_LOCAL or (mode == "embedded_gaussian" and not blocks.get("use_scale", True)):
            recipe.foreign["backbone.nonlocal_blocks"] = f"its non-local blocks are of another kind ({mode})"
        else:
            recipe.settings["backbone.nonlocal_blocks.attention"] = _NON_LOCAL[mode]


def _read_roi_head(roi_head: Mapping[str, Any], recipe: Recipe) -> None:
    extractor, head = _below(roi_head, "bbox_roi_extractor"), _below(roi_head, "bbox_head")
    if extractor:
        recipe.settings["head.temporal_pool"] = extractor.get("temporal_pool_mode", "avg")
        recipe.settings["head.roi_size"] = _last(extractor.get("output_size"), 16)
        recipe.settings["head.sampling_ratio"] = extractor.get("sampling_ratio", 0)
        recipe.settings["head.aligned"] = bool(extractor.get("aligned", True))
        if not extractor.get("with_temporal_pool", True):
            recipe.foreign["head.with_temporal_pool"] = "its RoI extractor does not pool over time (with_temporal_pool)"
        for key, usual in (("roi_layer_type", "RoIAlign"), ("pool_mode", "avg"), ("featmap_stride", 16)):
            if extractor.get(key, usual) != usual:
                recipe.foreign[f"head.{key}"] = f"its RoI extractor has {key} {extractor[key]}"
    if bank := lfb.settings_of_recipe(_below(roi_head, "shared_head")):
        recipe.settings |= bank
        recipe.settings["head.context"] = bool(extractor.get("with_global", False))
    if head:
        recipe.settings["multi_label"] = bool(head.get("multilabel", True))
        recipe.background = bool(head.get("background_class", True))
        if head.get("spatial_pool_type", "max") != "max":
            recipe.foreign["head.spatial_pool_type"] = "its head averages over a person's cells (spatial_pool_type avg)"


def _read_normalization(config: Mapping[str, Any], model: Mapping[str, Any], recipe: Recipe) -> None:
    now = _below(model, "data_preprocessor")  # mmengine's
    steps = [step for step in _steps(config) if step.get("type") == "Normalize"]
    before = _below(config, "img_norm_cfg") or (steps[0] if steps else {})  # mmcv's
    # Both change the order before they normalize; what the pipelines give is red, green, blue.
    recipe.bgr = bool(now.get("to_rgb") if now else before.get("to_bgr"))
    for key in ("mean", "std"):
        value = (now or before).get(key)
        if isinstance(value, list | tuple) and value and all(isinstance(each, int | float) for each in value):
            recipe.settings[key] = tuple(float(each) for each in (value[::-1] if recipe.bgr else value))


def _sampling(config: Mapping[str, Any]) -> list[str]:
    """How clips were cut in training, or else in testing."""
    for step in _steps(config):
        frames, stride = step.get("clip_len"), step.get("frame_interval", 1)
        if "Sample" in str(step.get("type")) and isinstance(frames, int) and isinstance(stride, int):
            return [
                f"trained on clips of {frames} frames, one of {stride} (clip.frames {frames}, clip.stride {stride})"
            ]
    return []


def _steps(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The steps of all pipelines, that of the training first."""
    for part in ("train", "val", "test"):
        dataset = _below(_below(config, f"{part}_dataloader"), "dataset")
        older = _below(_below(config, "data"), part)
        for pipeline in (config.get(f"{part}_pipeline"), dataset.get("pipeline"), older.get("pipeline")):
            if isinstance(pipeline, list | tuple):
                yield from (step for step in pipeline if isinstance(step, dict))


def _below(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a configuration; {} where it is not there."""
    part = tree.get(name)
    return part if isinstance(part, dict) else {}


def _flat(value: object) -> list[Any]:
    """The leaves of nested sequences."""
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, list | tuple) else [value]


def _last(value: object, usual: int) -> Any:
    """The last entry of a setting for each stage, or a plain setting."""
    leaves = _flat(value)
    return leaves[-1] if leaves and isinstance(leaves[-1], int) else usual


def parse_config(text: str) -> dict[str, Any]:
    """The assignments of a configuration file whose values are literals or calls of `dict`; {} if it is not Python."""
    try:
        if len(text) > _LONGEST:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's opinion of their backslashes
            statements = ast.parse(text).body
        names: dict[str, Any] = {}
        for statement in statements:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                names[statement.targets[0].id] = _value(statement.value, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return names


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What an expression stands for; None for whatever would have to be run."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each, names) for each in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, names)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.Dict):
        keys = [_value(key, names) if key else None for key in node.keys]
        pairs = zip(keys, node.values, strict=True)
        return {key: _value(value, names) for key, value in pairs if isinstance(key, str)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {each.arg: _value(each.value, names) for each in node.keywords if each.arg}
    return None

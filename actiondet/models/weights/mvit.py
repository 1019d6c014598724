"""MViT by the names of PySlowFast, MMAction2 and torchvision, and what its weights say about its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

# Whole names; PySlowFast's first, which MMAction2 has below "backbone.", then torchvision's.
_NAMES = {
    "cls_token": "class_token",
    "pos_embed": "positions.table",
    "pos_embed_spatial": "positions.space",
    "pos_embed_temporal": "positions.time",
    "pos_embed_class": "positions.token",
    "pos_encoding.class_token": "class_token",
    "pos_encoding.spatial_pos": "positions.space",
    "pos_encoding.temporal_pos": "positions.time",
    "pos_encoding.class_pos": "positions.token",
}
# Modules, whose weight or bias follows.
_MODULES = {
    "patch_embed.proj": "patch",
    "patch_embed.projection": "patch",
    "conv_proj": "patch",
    "norm_stem": "norm_stem",
    "norm": "norm",
    "norm3": "norm",
}
_IN_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "proj": "widen",
    "project": "widen",
    "attn.proj": "attention.proj",
    "attn.project.0": "attention.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.0": "mlp.fc1",
    "mlp.3": "mlp.fc2",
    **{f"attn.{each}": f"attention.{each}" for each in ("qkv", "q", "k", "v")},
    **{f"attn.pool_{each}": f"attention.pool_{each}.conv" for each in "qkv"},
    **{f"attn.norm_{each}": f"attention.pool_{each}.norm" for each in "qkv"},
    **{f"attn.pool_{each}.pool": f"attention.pool_{each}.conv" for each in "qkv"},
    **{f"attn.pool_{each}.norm_act.0": f"attention.pool_{each}.norm" for each in "qkv"},
}


def rename(name: str) -> str | None:
    """Our name of a weight of an MViT backbone, without any prefix of the toolkit's; None where it is none."""
    if ours := _NAMES.get(name):
        return f"backbone.{ours}"
    module, _, leaf = name.rpartition(".")
    if ours := _MODULES.get(module):
        return f"backbone.{ours}.{leaf}"
    if match := re.fullmatch(r"blocks\.(\d+)\.attn\.rel_pos_([hwt])", name):
        return f"backbone.blocks.{match[1]}.attention.relative_{match[2]}"
    if (match := re.fullmatch(r"blocks\.(\d+)\.(.+)", module)) and (ours := _IN_BLOCK.get(match[2])):
        return f"backbone.blocks.{match[1]}.{ours}.{leaf}"
    return None


def is_large(weights: Mapping[str, Tensor]) -> bool:
    """Whether these weights by our names are those of the published MViTv2-L."""
    return len(weights.get("backbone.patch.weight", ())) == 144


def settings_of_mvit(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of an MViT backbone from its weights by our names, as far as they follow from shapes.

    Unknown are `kv_stride` (taken for what reaches 1 in the last stage), `residual_pooling` (taken to go with
    relative positions) and `pool_first`; nor `pool_at` where neither convolutions nor tables depend on it (taken for
    `widen_at`), nor the grid of a joint position table.
    """
    shapes = {name.removeprefix("backbone."): tuple(weight.shape) for name, weight in weights.items()}
    blocks: list[dict[str, tuple[int, ...]]] = []
    while found_in := _below(f"blocks.{len(blocks)}.", shapes):
        blocks.append(found_in)
    first = blocks[0]
    width, in_channels = shapes["patch.weight"][:2]
    head_width = first["attention.pool_k.norm.weight"][0]
    kernel = first["attention.pool_k.conv.weight"][2:]

    wider = [i for i, block in enumerate(blocks) if "widen.weight" in block]
    in_attention = all(blocks[i]["attention.proj.weight"][0] == blocks[i]["widen.weight"][0] for i in wider)
    widen_at = tuple(i if in_attention else i + 1 for i in wider)
    pooled = [i for i, block in enumerate(blocks) if "attention.pool_q.conv.weight" in block]
    spans = [block["attention.relative_h"][0] for block in blocks if "attention.relative_h" in block]
    if len(pooled) < len(blocks):
        pool_at = tuple(pooled)
        kv_stride = kernel[1] - 1 if kernel[0] == 1 else 2 ** len(pooled)
    else:
        pool_at, kv_stride = _pooling_of(spans, widen_at)

    found: dict[str, Any] = {
        "backbone.name": "mvit",
        "backbone.depth": len(blocks),
        "backbone.width": width,
        "backbone.heads": width // head_width,
        "backbone.in_channels": in_channels,
        "backbone.mlp_ratio": first["mlp.fc1.weight"][0] / first["mlp.fc1.weight"][1],
        "backbone.widen_at": widen_at,
        "backbone.pool_at": pool_at,
        "backbone.kv_stride": kv_stride,
        "backbone.pool_kernel": kernel[0] if kernel[0] > 1 else None,
        "backbone.pool_every_query": kernel[0] == 1 or 0 in pooled,
        "backbone.separate_qkv": "attention.q.weight" in first,
        "backbone.widen_in": "attention" if in_attention else "mlp",
        "backbone.residual_pooling": bool(spans),
        "backbone.relative_positions": _relative(first),
        "backbone.absolute_positions": _absolute(shapes),
        "backbone.class_token": "class_token" in shapes,
        "backbone.norm_stem": "norm_stem.weight" in shapes,
    }
    if spans:
        found["backbone.image"] = 2 * (spans[0] + 1) * (2 if 0 in pool_at else 1)
    if "attention.relative_t" in first:
        found["backbone.frames"] = first["attention.relative_t"][0] + 1
    if "positions.space" in shapes:
        found["backbone.image"] = 4 * round(shapes["positions.space"][1] ** 0.5)
        found["backbone.frames"] = 2 * shapes["positions.time"][1]
    return found


def _pooling_of(spans: Sequence[int], widen_at: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The blocks that halve the map and the first stride of keys and values, to which the tables' lengths belong.

    A table has 2 * side - 1 rows, of the longer side of queries and keys. Networks that pool where they widen, with
    keys and values that are not pooled in the last stage, go first.
    """
    shrinking = tuple(i for i in range(1, len(spans)) if spans[i] < spans[i - 1])
    for pool_at in (widen_at, shrinking):
        for kv_stride in (2 ** len(pool_at), 2 ** (len(pool_at) + 1)):
            side, stride, expected = (max(spans, default=0) + 1) // 2, kv_stride, []
            for i in range(len(spans)):
                q_stride = 2 if i in pool_at else 1
                stride = max(stride // q_stride, 1)
                expected.append(2 * max(side // q_stride, side // stride) - 1)
                side //= q_stride
            if expected == list(spans):
                return pool_at, kv_stride
    return widen_at, 2 ** len(widen_at)


def _below(prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def _relative(block: Mapping[str, tuple[int, ...]]) -> str:
    if "attention.relative_h" not in block:
        return "none"
    return "space_time" if "attention.relative_t" in block else "space"


def _absolute(shapes: Mapping[str, tuple[int, ...]]) -> str:
    if "positions.table" in shapes:
        return "joint"
    return "separate" if "positions.space" in shapes else "none"


def settings_of_pyslowfast(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings from the configuration that PySlowFast stores in its files; {} where it holds none of MViT."""
    mvit, data = theirs.get("MVIT", {}), theirs.get("DATA", {})
    found: dict[str, Any] = {}
    if "POOL_Q_STRIDE" in mvit:
        found["backbone.pool_at"] = tuple(row[0] for row in mvit["POOL_Q_STRIDE"] if max(row[1:]) > 1)
    if mvit.get("POOL_KV_STRIDE_ADAPTIVE"):
        found["backbone.kv_stride"] = mvit["POOL_KV_STRIDE_ADAPTIVE"][-1]
    for theirs_name, ours in (("RESIDUAL_POOLING", "residual_pooling"), ("POOL_FIRST", "pool_first")):
        if theirs_name in mvit:
            found[f"backbone.{ours}"] = bool(mvit[theirs_name])
    if mvit.get("USE_ABS_POS") and not mvit.get("SEP_POS_EMBED") and "TRAIN_CROP_SIZE" in data:
        # The one table shows the product of its sides alone.
        found["backbone.image"], found["backbone.frames"] = data["TRAIN_CROP_SIZE"], data["NUM_FRAMES"]
    return found

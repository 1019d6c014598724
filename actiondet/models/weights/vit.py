"""Plain video transformers by the names of MMAction2, of VideoMAE's and UMT's authors, and of Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_MODULES = {"patch_embed.proj": "patch", "patch_embed.projection": "patch", "norm": "norm", "fc_norm": "fc_norm"}
_IN_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.layers.0.0": "mlp.fc1",
    "mlp.layers.1": "mlp.fc2",
    # Hugging Face
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.attention.query": "attention.query",
    "attention.attention.key": "attention.key",
    "attention.attention.value": "attention.value",
    "attention.output.dense": "attention.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_ALONE = {
    "attn.q_bias": "attention.q_bias",
    "attn.v_bias": "attention.v_bias",
    "gamma_1": "scale1",
    "gamma_2": "scale2",
    "attention.attention.q_bias": "attention.q_bias",
    "attention.attention.v_bias": "attention.v_bias",
    "attention.attention.query.bias": "attention.q_bias",
    "attention.attention.value.bias": "attention.v_bias",
}


def rename(name: str) -> str | None:
    """Our name of a weight, without any prefix of the toolkit's; None where it is none of such a network."""
    name = re.sub(r"^(videomae\.)?embeddings\.patch_embeddings\.projection\.", "patch_embed.proj.", name)
    name = re.sub(r"^(videomae\.)?encoder\.layer\.", "blocks.", name)
    if match := re.fullmatch(r"blocks\.(\d+)\.(.+)", name):
        if ours := _ALONE.get(match[2]):
            return f"backbone.blocks.{match[1]}.{ours}"
        module, _, leaf = match[2].rpartition(".")
        ours = _IN_BLOCK.get(module)
        return ours and f"backbone.blocks.{match[1]}.{ours}.{leaf}"
    module, _, leaf = name.rpartition(".")
    ours = _MODULES.get(module)
    return ours and f"backbone.{ours}.{leaf}"


def settings_of_vit(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of a plain transformer from its weights by our names, as far as they follow from shapes.

    `heads` is taken for a head of 64 channels, as all published networks but the giant have it; `frames` for 16, or 8
    where a patch is one frame.
    """
    width, in_channels, tubelet, patch = weights["backbone.patch.weight"].shape[:4]
    depth = 0
    while f"backbone.blocks.{depth}.attention.q_bias" in weights:
        depth += 1
    return {
        "backbone.name": "vit",
        "backbone.depth": depth,
        "backbone.width": width,
        "backbone.in_channels": in_channels,
        "backbone.mlp_ratio": len(weights["backbone.blocks.0.mlp.fc1.bias"]) / width,
        "backbone.patch": patch,
        "backbone.tubelet": tubelet,
        "backbone.layer_scale": 0.1 if "backbone.blocks.0.scale1" in weights else None,
    }

"""Weights of VideoMAE, VideoMAE V2 and UMT in their authors' own files, and of VideoMAE by Hugging Face."""

from __future__ import annotations

import re

import torch

from actiondet.models.weights import vit
from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all
from actiondet.models.weights.files import CheckpointFile

GRAY_MEAN = (122.7717, 115.9465, 102.9801)
GRAY_STD = (57.375, 57.375, 57.375)
_HUGGING_FACE = "videomae.encoder.layer.0.attention.attention.query.weight"


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names."""
    conversion = rename_all(file.tensors, rename, _skip)
    join_projections(conversion)
    recognizes = any(name.startswith("backbone.fc_norm.") for name in conversion.weights)
    tubelet = file.tensors[
        next(name for name in file.tensors if "patch_embed" in name and name.endswith("weight"))
    ].shape[2]
    conversion.settings = {"backbone.frames": 16 if tubelet == 2 else 8}
    if "head.fc.weight" not in conversion.weights:
        return conversion
    conversion.kind = "recognition" if recognizes else "detection"
    if recognizes:
        conversion.settings["window"] = None
    else:
        conversion.settings |= {
            "backbone.remainder": "pad",
            "head.roi_size": 7,
            "head.aligned": False,
            "head.temporal_pool": "avg",
            "head.box_margin": (0.1, 0.05),
            "mean": GRAY_MEAN,
            "std": GRAY_STD,
            "multi_label": True,
        }
        conversion.doubts.append(
            "clip.clip_fps: 25, and test.person_score: multiply, which the authors' detectors are scored with"
        )
    return conversion


def join_projections(conversion: Conversion) -> None:
    """Hugging Face keeps queries, keys and values apart; join them to one layer."""
    weights = conversion.weights
    for name in [name for name in weights if name.endswith(".attention.query.weight")]:
        block = name.removesuffix("query.weight")
        parts = [f"{block}{each}.weight" for each in ("query", "key", "value")]
        if not all(part in weights for part in parts):
            continue
        joined = torch.cat([weights.pop(part) for part in parts])
        sources = [conversion.sources.pop(part) for part in parts]
        conversion.sources[f"{block}qkv.weight"] = sources[0]
        conversion.skipped |= dict.fromkeys(sources[1:], "joined to the layer of the queries")
        change(conversion, f"{block}qkv.weight", joined, "joined from queries, keys and values")


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of theirs."""
    if match := re.fullmatch(r"(?:head|classifier)\.(weight|bias)", name):
        return f"head.fc.{match[1]}"
    return vit.rename(name)


def _skip(name: str) -> str | None:
    if name in ("pos_embed", "videomae.embeddings.position_embeddings"):
        return "the table of positions, which is a formula"
    if re.match(r"(decoder|mask_token|encoder_to_decoder|clip_decoder|clip_pos_embed)", name):
        return "of the pre-training alone"
    return None


VIDEOMAE = Origin("videomae", ("blocks.0.attn.q_bias", _HUGGING_FACE), convert)

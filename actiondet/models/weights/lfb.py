"""Heads with a feature bank by MMAction2's names (FBOHead)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from actiondet.models.weights.conversion import Conversion, change

_FBO = "roi_head.shared_head.fbo."
_FIRST = {"st_feat_conv": "short", "lt_feat_conv": "long"}
_IN_LAYER = {
    "st_feat_conv.conv": "theta",
    "lt_feat_conv.conv": "phi",
    "global_conv.conv": "g",
    "out_conv.conv": "out",
    "ln": "norm",
}
_OPERATORS = {"non_local": "nonlocal", "max": "max", "avg": "avg"}


def rename(name: str) -> str | None:
    """Our name of one of theirs; None where it is none of such a head."""
    if not name.startswith(_FBO):
        return None
    inner = name.removeprefix(_FBO)
    if match := re.fullmatch(r"(st|lt)_feat_conv\.(weight|bias)", inner):
        return f"head.bank.{_FIRST[f'{match[1]}_feat_conv']}.{match[2]}"
    if match := re.fullmatch(r"non_local_layer_(\d+)\.(.+)\.(weight|bias)", inner):
        module = _IN_LAYER.get(match[2])
        return module and f"head.bank.layers.{int(match[1]) - 1}.{module}.{match[3]}"
    return None


def flatten(conversion: Conversion) -> None:
    """Make linear layers of convolutions whose kernels are points, and plain norms of norms over (C, 1, 1, 1)."""
    for name in [name for name in conversion.weights if name.startswith("head.bank.")]:
        weight = conversion.weights[name]
        if weight.ndim > 2 and weight[0, 0].numel() == 1:
            flat = weight.flatten() if ".norm." in name else weight.flatten(1)
            change(conversion, name, flat, "without axes of length 1")


def settings_of_recipe(shared_head: Mapping[str, Any]) -> dict[str, Any]:
    """What their configuration says of such a head; {} of another one."""
    if str(shared_head.get("type", "")).rpartition(".")[2] != "FBOHead":
        return {}
    bank, operator = shared_head.get("lfb_cfg") or {}, shared_head.get("fbo_cfg") or {}
    kind = _OPERATORS.get(str(operator.get("type")), "nonlocal")
    found = {
        "bank.operator": kind,
        "bank.channels": operator.get("lt_feat_channels", bank.get("lfb_channels")),
        "bank.window": bank.get("window_size", 60),
        "bank.persons": bank.get("max_num_sampled_feat", 5),
        "bank.mask_empty": False,
        "dropout_at": "vector",
    }
    if kind == "nonlocal":
        found |= {
            "bank.latent": operator.get("latent_channels"),
            "bank.layers": operator.get("num_non_local_layers", 2),
            "bank.pre_activate": operator.get("pre_activate", True),
        }
    return {f"head.{name}": value for name, value in found.items()}

"""Settings of the configuration, read off weights and off networks, so that the two can be compared.

Keys are those of the configuration below `model.`, for instance "backbone.width" or "head.aligned".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from actiondet.models.backbones.mvit import MViT
from actiondet.models.backbones.vit import Vit
from actiondet.models.blocks import DESIGNS, Bottleneck, Pathway
from actiondet.models.detector import ActionDetector
from actiondet.models.heads.acar import AcarHead
from actiondet.models.heads.acrn import AcrnHead
from actiondet.models.heads.bank import BankAttention, BankPool
from actiondet.models.heads.recognition import RecognitionHead
from actiondet.models.heads.roi import RoIHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.weights.mvit import settings_of_mvit
from actiondet.models.weights.vit import settings_of_vit

Settings = dict[str, Any]
Kind = Literal["detection", "recognition"]
STAGES = ("res2", "res3", "res4", "res5")
MVIT_BEHAVIOR = ("pool_at", "kv_stride", "residual_pooling", "pool_first")
VIT_BEHAVIOR = ("heads", "frames", "remainder")
BEHAVIOR = (
    "backbone.alpha",
    "backbone.slow_frames",
    "backbone.res5_stride",
    "backbone.res5_dilation",
    "backbone.nonlocal_blocks.attention",
    "backbone.nonlocal_blocks.pool",
    "backbone.nonlocal_blocks.pool_first",
    *(f"backbone.{name}" for name in (*MVIT_BEHAVIOR, *VIT_BEHAVIOR)),
    "head.roi_size",
    "head.aligned",
    "head.temporal_pool",
    "head.sampling_ratio",
    "head.box_margin",
    "head.conv_stride",
    "head.halved",
    "head.exclusive_actions",
    "head.bank.mask_empty",
    "head.bank.pre_activate",
    "multi_label",
    "window",
    "average_positions",
    "mean",
    "std",
)
"""Settings that change what a network computes and that no shape of a weight shows."""


def settings_of_weights(weights: Mapping[str, Tensor], kind: Kind | None) -> Settings:
    """What the shapes of one of our networks (by our names) say about it; {} for a network of the user's own."""
    found: Settings
    if "backbone.blocks.0.attention.q_bias" in weights and "backbone.patch.weight" in weights:
        found = settings_of_vit(weights)
    elif "backbone.blocks.0.attention.pool_k.conv.weight" in weights:
        found = settings_of_mvit(weights)
    elif "backbone.slow.stem.conv.weight" in weights:
        found = {"backbone.name": "slowfast"}
        found |= _settings_of_pathway(weights, "backbone.slow.")
        if "backbone.fast.stem.conv.weight" in weights:  # ImageNet's weights fill the slow pathway alone
            fast = _settings_of_pathway(weights, "backbone.fast.")
            found["backbone.fast_depth"] = fast["backbone.depth"]
            found["backbone.fast_temporal_blocks"] = fast["backbone.temporal_blocks"]
            found["backbone.beta_inv"] = found["backbone.width"] // fast["backbone.width"]
        lateral = weights.get("backbone.fuse1.conv.weight")
        if lateral is not None:
            found["backbone.fusion_kernel"] = lateral.shape[2]
            found["backbone.fusion_ratio"] = lateral.shape[0] // lateral.shape[1]
            found["backbone.lateral_norm"] = "backbone.fuse1.norm.weight" in weights
    elif "backbone.stem.conv.weight" in weights:
        found = {"backbone.name": "slowonly"} | _settings_of_pathway(weights, "backbone.")
    else:
        return {}
    return found | _settings_of_head(weights, found, kind)


def _settings_of_pathway(weights: Mapping[str, Tensor], prefix: str) -> Settings:
    width, in_channels = weights[f"{prefix}stem.conv.weight"].shape[:2]
    stages = [_blocks_of_stage(weights, f"{prefix}{stage}.") for stage in STAGES]
    counts = tuple(len(blocks) for blocks in stages)
    bottleneck = f"{prefix}res2.0.conv_c.weight" in weights
    depths = [
        d for d, design in DESIGNS.items() if design.blocks == counts and (design.block is Bottleneck) == bottleneck
    ]
    nonlocal_after = tuple(
        tuple(i for i, block in enumerate(blocks) if "nonlocal_block.theta.weight" in block) for blocks in stages
    )
    found: Settings = {
        "backbone.depth": depths[0] if depths else f"{counts} blocks",
        "backbone.width": width,
        "backbone.in_channels": in_channels,
        "backbone.temporal_blocks": tuple(sum(_is_temporal(block) for block in blocks) for blocks in stages),
    }
    if prefix != "backbone.fast.":
        found["backbone.nonlocal_blocks.after"] = nonlocal_after if any(nonlocal_after) else None
    return found


def _blocks_of_stage(weights: Mapping[str, Tensor], prefix: str) -> list[dict[str, Tensor]]:
    """The weights of each residual block of a stage."""
    blocks: dict[int, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        if name.startswith(prefix):
            number, _, rest = name[len(prefix) :].partition(".")
            blocks.setdefault(int(number), {})[rest] = tensor
    return [blocks[number] for number in sorted(blocks)]


def _is_temporal(block: Mapping[str, Tensor]) -> bool:
    weight = block.get("conv_a.weight")
    return weight is not None and weight.ndim == 5 and weight.shape[2] > 1


def _settings_of_head(weights: Mapping[str, Tensor], backbone: Settings, kind: Kind | None) -> Settings:
    last = weights.get("head.fc.2.weight", weights.get("head.fc.weight"))
    first = weights.get("head.fc.0.weight", weights.get("head.fc.weight"))
    if last is None or first is None:
        return {}
    if kind == "recognition":
        return {"num_classes": len(last)}
    found: Settings = {"num_actions": len(last)}
    if "head.reduce.weight" in weights:
        layers = sum(bool(re.fullmatch(r"head\.relations\.\d+\.out\.weight", name)) for name in weights)
        return found | {
            "head.name": "acar",
            "head.layers": layers,
            "head.output_kernel": weights["head.relations.0.out.weight"].shape[-1] if layers else 3,
            "head.reduced_channels": len(weights["head.reduce.weight"]),
            "head.relation_channels": len(weights["head.conv.weight"]),
            "head.bias": "head.fc.bias" in weights,
        }
    channels = _map_channels(weights, backbone)
    if "head.join_norm.weight" in weights:
        width = len(weights["head.join_norm.weight"])
        return found | {
            "head.name": "acrn",
            "head.relation_channels": None if width == channels else width,
            "head.num_convs": sum(bool(re.fullmatch(r"head\.convs\.\d+\.conv\.weight", name)) for name in weights),
        }
    first = weights.get("head.convolutions.project.weight", first)
    bank = _settings_of_bank(weights)
    return (
        found
        | bank
        | {
            "head.name": "roi",
            "head.classifier": "mlp" if "head.fc.2.bias" in weights else "linear",
            "head.context": first.shape[1] - bank.get("head.bank.latent", 0) == 2 * channels,
        }
    )


def _settings_of_bank(weights: Mapping[str, Tensor]) -> Settings:
    """What the weights say of a feature bank; one that is pooled has none."""
    long = weights.get("head.bank.long.weight")
    if long is None:
        return {}
    layers = {name.split(".")[3] for name in weights if name.startswith("head.bank.layers.")}
    return {
        "head.bank.operator": "nonlocal",
        "head.bank.channels": long.shape[1],
        "head.bank.latent": long.shape[0],
        "head.bank.layers": len(layers),
    }


def _map_channels(weights: Mapping[str, Tensor], backbone: Settings) -> int:
    """Channels of the backbone's maps, all of them together."""
    if backbone["backbone.name"] == "vit":
        return int(backbone["backbone.width"])
    if backbone["backbone.name"] == "mvit":
        return len(weights["backbone.norm.weight"])
    pathways = ("slow.", "fast.") if backbone["backbone.name"] == "slowfast" else ("",)
    return sum(_out_channels(weights, f"backbone.{pathway}res5.0.") for pathway in pathways)


def _out_channels(weights: Mapping[str, Tensor], block: str) -> int:
    weight = weights.get(f"{block}conv_c.weight", weights.get(f"{block}conv_b.weight"))
    return 0 if weight is None else len(weight)


def settings_of_background(head_bias: Tensor | None) -> Settings:
    """AVA's ids are 1 to 80: of 81 classes of a toolkit that counts from 0, the first has no meaning."""
    return {"num_actions": 80} if head_bias is not None and len(head_bias) == 81 else {}


def settings_of_network(network: ActionDetector | ActionRecognizer) -> Settings:
    """Everything that is known about a network: its shapes, and what its modules do beyond them."""
    found = settings_of_weights(network.state_dict(), kind_of_network(network))
    found |= {"mean": network.mean, "std": network.std}
    found["multi_label"] = isinstance(network, ActionDetector) and network.multi_label
    backbone, head = network.backbone, network.head
    if isinstance(backbone, SlowFast):
        found |= {"backbone.slow_frames": backbone.slow_frames, "backbone.alpha": backbone.alpha}
    pathway = backbone.slow if isinstance(backbone, SlowFast) else backbone
    if isinstance(pathway, Pathway):
        found["backbone.res5_stride"] = backbone.stride // 16
        found["backbone.res5_dilation"] = pathway.res5_dilation
        found |= settings_of_nonlocal(pathway.nonlocal_blocks)
    if isinstance(backbone, MViT):
        found |= {f"backbone.{name}": getattr(backbone, name) for name in MVIT_BEHAVIOR}
    if isinstance(backbone, Vit):
        found |= {f"backbone.{name}": getattr(backbone, name) for name in VIT_BEHAVIOR}
    if isinstance(head, RoIHead):
        names = ("roi_size", "aligned", "temporal_pool", "sampling_ratio", "box_margin")
        found |= {f"head.{name}": getattr(head, name) for name in names}
        found["head.bank.operator"] = None
        if isinstance(head.bank, BankAttention | BankPool):
            found["head.bank.operator"] = head.bank.operator
            found["head.bank.mask_empty"] = head.bank.mask_empty
        if isinstance(head.bank, BankAttention):
            found["head.bank.pre_activate"] = head.bank.pre_activate
        if isinstance(head.bank, BankPool):
            found["head.bank.channels"] = head.bank.width
            del found["head.context"]  # which no shape shows beside what is pooled
    if isinstance(head, AcrnHead):
        found["head.conv_stride"] = head.conv_stride
    if isinstance(head, AcarHead):
        names = ("roi_size", "aligned", "sampling_ratio", "halved", "exclusive_actions")
        found |= {f"head.{name}": getattr(head, name) for name in names}
    if isinstance(head, RecognitionHead):
        found["window"] = head.window
        if head.window is not None:  # else there is but one position
            found["average_positions"] = head.average_positions
    return found


def kind_of_network(network: ActionDetector | ActionRecognizer) -> Kind:
    """What the network is for."""
    return "detection" if isinstance(network, ActionDetector) else "recognition"


def settings_of_nonlocal(spec: NonLocalSpec | None) -> Settings:
    """The kind of non-local blocks; {} without any."""
    if spec is None:
        return {}
    return {f"backbone.nonlocal_blocks.{name}": getattr(spec, name) for name in ("attention", "pool", "pool_first")}

"""ImageNet weights of torchvision's ResNets, inflated from images to clips (Carreira and Zisserman, "I3D", 2017)."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from actiondet.models.weights.conversion import Conversion, Origin, Target, change, rename_all
from actiondet.models.weights.files import CheckpointFile


def convert(file: CheckpointFile, target: Target) -> Conversion:
    """Weights of `file` by our names, inflated to the shapes of the network. SlowFast's slow pathway takes them."""
    slow = "slow." if "backbone.slow.stem.conv.weight" in target.state else ""
    conversion = rename_all(file.tensors, lambda name: rename(name, pathway=slow), _skip)
    for name, weight in list(conversion.weights.items()):
        wanted = target.state.get(name)
        if weight.ndim != 4 or wanted is None or wanted.ndim != 5:
            continue
        if name.endswith("stem.conv.weight") and weight.shape[1] > wanted.shape[1]:
            # Three colors do not fit optical flow, and no published recipe says what should.
            conversion.skipped[conversion.sources[name]] = "the clip has fewer channels than an image"
            conversion.absent[name] = "the clip has fewer channels than an image"
            del conversion.weights[name]
        else:
            change(conversion, name, inflate(weight, frames=wanted.shape[2], channels=wanted.shape[1]), "inflated")
    for name in target.state:
        if name.startswith(("backbone.fast.", "backbone.fuse")) or "nonlocal_block" in name:
            conversion.absent[name] = "images have no use for it"
    conversion.leave_head("the classes of ImageNet")
    return conversion


def inflate(weight: Tensor, *, frames: int, channels: int) -> Tensor:
    """(O, I, H, W) to (O, channels, frames, H, W): equal shares over time, zeros for further input channels.

    A clip that repeats one image then gives what the image gave, and the lateral channels of SlowFast begin unused.
    """
    share = weight[:, :, None].expand(-1, -1, frames, -1, -1) / frames
    missing = weight.new_zeros(len(weight), max(channels - weight.shape[1], 0), *share.shape[2:])
    return torch.cat([share, missing], dim=1)


def rename(name: str, *, pathway: str) -> str | None:
    """Our name of one of torchvision's; None where it is none of those."""
    if match := re.fullmatch(r"(conv|bn)1\.(.+)", name):
        return f"backbone.{pathway}stem.{'conv' if match[1] == 'conv' else 'norm'}.{match[2]}"
    if match := re.fullmatch(r"layer([1-4])\.(\d+)\.(conv|bn)([123])\.(.+)", name):
        layer, block, unit, number, leaf = match.groups()
        inner = f"{'conv' if unit == 'conv' else 'norm'}_{'abc'[int(number) - 1]}.{leaf}"
        return f"backbone.{pathway}res{int(layer) + 1}.{block}.{inner}"
    if match := re.fullmatch(r"layer([1-4])\.(\d+)\.downsample\.([01])\.(.+)", name):
        layer, block, unit, leaf = match.groups()
        return f"backbone.{pathway}res{int(layer) + 1}.{block}.shortcut_{'conv' if unit == '0' else 'norm'}.{leaf}"
    return None


def _skip(name: str) -> str | None:
    return "the classes of ImageNet" if name in ("fc.weight", "fc.bias") else None


IMAGENET = Origin("imagenet", ("layer1.0.conv1.weight",), convert)

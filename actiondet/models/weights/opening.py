"""From a file to one network of a known toolkit: whatever wraps its weights is taken off.

Trainers put networks inside of others (DataParallel's "module.", torch.compile's "_orig_mod.", Lightning's "model."),
and files keep them under names of their own, sometimes beside a moving average of the same weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from actiondet.models.weights.acar import ACAR
from actiondet.models.weights.caffe2 import CAFFE2
from actiondet.models.weights.conversion import Origin
from actiondet.models.weights.files import CheckpointFile, read_entries
from actiondet.models.weights.imagenet import IMAGENET
from actiondet.models.weights.mmaction2 import MMACTION2
from actiondet.models.weights.own import OWN
from actiondet.models.weights.paddle import PADDLE
from actiondet.models.weights.pyslowfast import PYSLOWFAST
from actiondet.models.weights.pytorchvideo import PYTORCHVIDEO
from actiondet.models.weights.report import abbreviate
from actiondet.models.weights.torchvision import TORCHVISION
from actiondet.models.weights.videomae import VIDEOMAE
from evaluation.errors import InputError

OriginName = Literal[
    "auto",
    "actiondet",
    "mmaction2",
    "pyslowfast",
    "caffe2",
    "pytorchvideo",
    "paddle",
    "torchvision",
    "videomae",
    "acar",
    "imagenet",
]
ORIGINS: tuple[Origin, ...] = (
    OWN,
    MMACTION2,
    PYSLOWFAST,
    CAFFE2,
    PYTORCHVIDEO,
    PADDLE,
    TORCHVISION,
    VIDEOMAE,
    ACAR,
    IMAGENET,
)

# What torch puts into the middle of names where a part of a network is compiled, sharded or recomputed.
_WITHIN = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
_AVERAGES = re.compile(r"(?<![a-z])(ema|swa|avg|averaged?|teacher|shadow|momentum)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class _Found:
    """A network in a file: its weights, whose they are, where they lie and under which beginning of names."""

    file: CheckpointFile
    origin: Origin
    prefix: str

    @property
    def place(self) -> str:
        return ".".join(part for part in (self.file.entry, self.prefix.rstrip(".")) if part)

    @property
    def averaged(self) -> bool:
        return bool(_AVERAGES.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.place).replace("_", " ")))

    @property
    def depth(self) -> int:
        return self.file.entry.count(".") + bool(self.file.entry)


def open_checkpoint(
    path: Path, content: Any, origin: OriginName, target: Mapping[str, Tensor], entry: str | None = None
) -> tuple[CheckpointFile, Origin]:
    """The network that a file holds, by its toolkit's names, and the toolkit.

    Args:
        path: the file.
        content: what `read_content` finds in it.
        origin: who wrote it; "auto" recognizes it by the names of the weights.
        target: the network that is to be filled; may be empty.
        entry: which network of several; None takes the one that is not a moving average.

    Raises:
        InputError: the file is of unknown origin, or holds several networks.
    """
    if origin != "auto" and origin not in (known.name for known in ORIGINS):
        raise InputError(f"no origin '{origin}' is known; expected auto, {_names()}")
    chosen = [known for known in ORIGINS if origin in ("auto", known.name)]
    entries = read_entries(path, content)
    found = [network for each in entries for network in _networks(each, chosen, target)]
    # A network for images beside one for clips finds the persons, or began the other.
    found = [network for network in found if network.origin is not IMAGENET] or found
    if not found:
        raise InputError(_unknown(entries[0], origin, chosen))
    if entry is not None:
        named = [network for network in found if network.place == entry]
        if not named:
            places = ", ".join(f"'{network.place}'" for network in found)
            raise InputError(
                f"{found[0].file.path}: holds no network in '{entry}'; those that it holds are in {places}"
            )
        return named[0].file, named[0].origin
    found.sort(key=lambda network: (network.averaged, network.depth))
    best, *others = found
    rivals = [each for each in others if (each.averaged, each.depth) == (best.averaged, best.depth)]
    if rivals:
        places = " and ".join(f"'{network.place}'" for network in (best, *rivals))
        raise InputError(
            f"{best.file.path}: holds a network in {places}; choose one with `entry` "
            "(convert_checkpoint.py --entry NAME)"
        )
    return replace(best.file, remarks=_remarks(best, others)), best.origin


def _remarks(best: _Found, others: list[_Found]) -> tuple[str, ...]:
    """Which network was taken, where there is a choice."""
    if not others:
        return (f"the weights are a moving average ('{best.place}')",) if best.averaged else ()
    left = " and ".join(f"'{network.place}'" for network in others)
    remark = f"the weights are those in '{best.place}', not those in {left}"
    if best.file.entry == "state_dict" and any(each.file.entry == "ema_state_dict" for each in others):
        remark += "; mmengine keeps the moving average in the former"
    return (remark,)


def _networks(file: CheckpointFile, origins: list[Origin], target: Mapping[str, Tensor]) -> list[_Found]:
    """The networks among the weights of one entry."""
    tensors = {_WITHIN.sub("", name): tensor for name, tensor in file.tensors.items()}
    owners = _prefixes(tensors, origins)
    inside = ""
    if not owners:  # perhaps a backbone alone, whose pathways have stems of their own
        bare = _prefixes(tensors, origins, within="backbone.")
        owners = {p: bare[p] for p in bare if not any(p != other and p.startswith(other) for other in bare)}
        inside = "backbone."
    if not owners and OWN in origins:
        owners, inside = _prefixes_of_target(tensors, target), ""  # a backbone of the user's own
    longest_first = sorted(owners, key=len, reverse=True)
    owner_of = {name: next((each for each in longest_first if name.startswith(each)), None) for name in tensors}
    found = []
    for prefix, origin in owners.items():
        inner = {inside + name[len(prefix) :]: tensors[name] for name in tensors if owner_of[name] == prefix}
        aside = {name: "outside of the network" for name in tensors if owner_of[name] != prefix}
        found.append(_Found(replace(file, tensors=inner, aside=aside), origin, prefix))
    return found


def _prefixes(tensors: Mapping[str, Tensor], origins: list[Origin], within: str = "") -> dict[str, Origin]:
    """The prefix of each network's names, and whose network it is, by names that end in a signature.

    Args:
        tensors: weights by name.
        origins: the toolkits in question.
        within: a beginning of signatures that the names lack.
    """
    signatures = sorted(
        (
            (signature.removeprefix(within), origin)
            for origin in origins
            for signature in origin.signature
            if signature.startswith(within)
        ),
        key=lambda pair: -len(pair[0]),
    )
    found: dict[str, Origin] = {}
    for name in tensors:
        for signature, origin in signatures:
            if name == signature or name.endswith(f".{signature}"):
                found.setdefault(name.removesuffix(signature), origin)
                break
    return found


def _prefixes_of_target(tensors: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Origin]:
    """What stands before names of the very network that is to be filled."""
    for name in tensors:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in target:
                return {"".join(f"{part}." for part in parts[:start]): OWN}
    return {}


def _names() -> str:
    return ", ".join(known.name for known in ORIGINS)


def _unknown(file: CheckpointFile, origin: OriginName, chosen: list[Origin]) -> str:
    """What to say of weights whose names nobody knows."""
    if origin != "auto":
        return (
            f"{file.path}: not weights of {origin}, which begin with {chosen[0].signature[0]}; "
            f"these are called {abbreviate(file.tensors)}"
        )
    return f"{file.path}: weights of unknown origin ({abbreviate(file.tensors)}); expected those of one of {_names()}"

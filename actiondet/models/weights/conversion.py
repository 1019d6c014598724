"""What every origin makes of its file: weights by our names, and an account of everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.settings import Kind, Settings


class Target(NamedTuple):
    """The network that is to be filled: its weights by name, and what it is for."""

    state: Mapping[str, Tensor]
    kind: Kind


@dataclass
class Conversion:
    """The weights of a file by our names.

    Attributes:
        weights: tensors by our names.
        sources: the toolkit's name of each of them.
        changed: what was done to some of them beyond a new name, by our names.
        skipped: entries that are not for us and why, by the toolkit's names.
        unknown: entries that nobody knows.
        absent: weights (beginnings or ends of our names) that the file need not hold, and why.
        kind: what the head of the file is for; None if the file does not say.
        background: row 0 of a detection head may be an unused class.
        settings: what the origin says about the network beyond its shapes, by configuration key.
        leaves_head: the head of the file is not for this network.
        foreign: what the file's network does and none here can, by a key: whole phrases.
        remarks: facts about the training that no network shows.
        doubts: what to check of `settings`, because the file does not say.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    kind: Kind | None = None
    background: bool = False
    settings: Settings = field(default_factory=dict)
    leaves_head: bool = False
    foreign: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def leave_head(self, why: str) -> None:
        """Take nothing for the head, which then keeps its initial values."""
        for name in [name for name in self.weights if name.startswith("head.")]:
            del self.weights[name]
            self.changed.pop(name, None)
            self.skipped[self.sources[name]] = why
        self.absent["head."] = why
        self.leaves_head = True

    def why_absent(self, name: str) -> str:
        """Why the file has no weight of this name; "" without a reason."""
        reasons = (why for part, why in self.absent.items() if name.startswith(part) or name.endswith(part))
        return next(reasons, "")


@dataclass(frozen=True)
class Origin:
    """One toolkit's way of naming weights.

    Attributes:
        name: what users call it.
        signature: a weight that each of its files has, by one of these names.
        convert: takes the file and the network that is to be filled.
    """

    name: str
    signature: tuple[str, ...]
    convert: Callable[[CheckpointFile, Target], Conversion]


def rename_all(
    tensors: Mapping[str, Tensor], rename: Callable[[str], str | None], skip: Callable[[str], str | None]
) -> Conversion:
    """Give every tensor its new name; `skip` gives the reason for leaving one out, `rename` None for the unknown."""
    conversion = Conversion()
    for theirs, tensor in tensors.items():
        if reason := skip(theirs):
            conversion.skipped[theirs] = reason
        elif ours := rename(theirs):
            conversion.weights[ours] = tensor
            conversion.sources[ours] = theirs
        else:
            conversion.unknown.append(theirs)
    return conversion


def change(conversion: Conversion, name: str, tensor: Tensor, what: str) -> None:
    """Replace a weight and keep a note of it."""
    conversion.weights[name] = tensor.contiguous()
    conversion.changed[name] = what


def swap_colors(conversion: Conversion) -> None:
    """Turn networks for blue, green, red into networks for red, green, blue by the input channels of their stems."""
    for name in [name for name in conversion.weights if name.endswith(("stem.conv.weight", "backbone.patch.weight"))]:
        weight = conversion.weights[name]
        if weight.shape[1] == 3:
            change(conversion, name, weight.flip(1), "channels swapped from blue, green, red")


def fold_nonlocal_bias(conversion: Conversion) -> None:
    """Take the bias of the last convolution of non-local blocks into the batch norm that follows it.

    Subtracting it from the running mean is the same function; ours has no such bias, since batch norm cancels it.
    """
    for name in [name for name in conversion.weights if name.endswith("nonlocal_block.out.bias")]:
        bias = conversion.weights.pop(name)
        mean = name.replace("out.bias", "norm.running_mean")
        theirs = conversion.sources.pop(name)
        if mean not in conversion.weights:
            conversion.unknown.append(theirs)
            continue
        conversion.skipped[theirs] = "taken into the batch norm behind it"
        change(conversion, mean, conversion.weights[mean] - bias, "less the bias of the convolution before it")

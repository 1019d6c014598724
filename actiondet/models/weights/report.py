"""The account of a load: what became of every weight of the file and of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from evaluation.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Mismatch:
    """A weight that the file and the network hold in different shapes."""

    name: str
    in_file: Shape
    in_network: Shape

    def __str__(self) -> str:
        return f"{self.name}: {self.in_file} in the file, {self.in_network} in the network"


@dataclass(frozen=True)
class Report:
    """What `load_weights` did. Names are ours, except in `skipped`.

    Attributes:
        path: the file.
        origin: the toolkit that wrote it.
        matched: weights taken as they are, under another name perhaps.
        converted: weights that were changed, and how.
        left_alone: weights of the network that keep their initial values, and why.
        skipped: entries of the file that were not used, by its own names, and why.
        mismatched: weights left alone because the shapes differ.
        remarks: settings in which the network differs from what these weights were trained with.
    """

    path: Path
    origin: str
    matched: tuple[str, ...] = ()
    converted: Mapping[str, str] = field(default_factory=dict)
    left_alone: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    mismatched: tuple[Mismatch, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def lacks_head(self) -> bool:
        """Whether the head keeps initial values: the network must be trained before its scores mean anything."""
        return any(name.startswith("head.") for name in self.left_alone)

    def require_head(self) -> None:
        """Refuse weights whose scores would mean nothing.

        Raises:
            InputError: the head keeps initial values.
        """
        if self.lacks_head:
            raise InputError(
                f"{self.path}: holds no classifier for this network, whose scores would be random; train it"
            )

    def __str__(self) -> str:
        lines = [f"{self.path}: weights of {self.origin}, {len(self.matched)} matched, {len(self.converted)} converted"]
        lines += _grouped("converted", self.converted)
        lines += _grouped("left at its initial value", self.left_alone)
        lines += _grouped("not used", self.skipped)
        lines += [f"  other shape: {mismatch}" for mismatch in self.mismatched]
        lines += [f"  note: {remark}" for remark in self.remarks]
        return "\n".join(lines)


def _grouped(title: str, reasons: Mapping[str, str]) -> list[str]:
    """One line per reason."""
    by_reason = sorted(reasons, key=lambda name: reasons[name])
    return [
        f"  {title}: {abbreviate(names)} ({reason})"
        for reason, names in groupby(by_reason, key=lambda name: reasons[name])
    ]


def abbreviate(names: Iterable[str], shown: int = 3) -> str:
    """The first few of `names`, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

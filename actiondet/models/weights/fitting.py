"""Weights of a file beside the network that is to take them: what fits, what does not, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from actiondet.models.weights.conversion import Conversion, Origin, change
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.report import Mismatch, Report, abbreviate
from actiondet.models.weights.settings import Kind, Settings

FRESH_NORM = "recognizers normalize the mean of the patches, detectors every patch; this norm starts fresh"


def leave_other_norm(conversion: Conversion, target: Mapping[str, Tensor]) -> None:
    """Leave out the norm of a network that is for something else; the one that is to be filled keeps its own."""
    for theirs, ours in (("fc_norm", "norm"), ("norm", "fc_norm")):
        if f"backbone.{ours}.weight" in target and f"backbone.{theirs}.weight" in conversion.weights:
            for leaf in ("weight", "bias"):
                name = f"backbone.{theirs}.{leaf}"
                if name in conversion.weights:
                    del conversion.weights[name]
                    conversion.skipped[conversion.sources[name]] = FRESH_NORM
            conversion.absent[f"backbone.{ours}."] = FRESH_NORM


def is_named(name: str, allow: Sequence[str]) -> bool:
    """Whether `allow` names it, or a part of the network that it is in."""
    return any(name == each or name.startswith(f"{each}.") or fnmatchcase(name, each) for each in allow)


@dataclass(frozen=True)
class HeadColumns:
    """Which columns of a head become those of a network of fewer actions.

    Attributes:
        width: columns of the head that it is said of; another head is left as it is.
        members: of each column of the network, those of the head: one, or several whose mean a merged action begins
            with.
    """

    width: int
    members: tuple[tuple[int, ...], ...]

    def of(self, weight: Tensor) -> Tensor:
        """(width, ...) weights of a head to those of the network."""
        return torch.stack([weight[list(each)].mean(0) if len(each) > 1 else weight[each[0]] for each in self.members])


def fit_head(
    conversion: Conversion,
    target: Mapping[str, Tensor],
    kind: Kind,
    allow: Sequence[str],
    columns: HeadColumns | None = None,
) -> None:
    """Drop an unused class 0; leave out a head of the other kind, or one that does not fit where that is allowed.

    A head of as many actions as `columns` says is cut to these.
    """
    if conversion.kind not in (None, kind):
        conversion.leave_head(f"the file holds a network for {conversion.kind}")
        return
    if not any(name.startswith("head.") for name in conversion.weights) and not conversion.unknown:
        conversion.leave_head("the file holds a backbone alone")
        return
    last = "head.fc.2" if "head.fc.2.bias" in target else "head.fc"
    width = columns.width if columns is not None else len(target[f"{last}.bias"]) if f"{last}.bias" in target else None
    for name in (f"{last}.weight", f"{last}.bias"):
        weight = conversion.weights.get(name)
        if weight is None or name not in target:
            continue
        if conversion.background and len(weight) - 1 == width:
            weight = weight[1:]
            change(conversion, name, weight, "without class 0, which has no meaning")
        if columns is not None and len(weight) == columns.width:
            change(conversion, name, columns.of(weight), f"{len(columns.members)} of {columns.width} actions")
            conversion.settings.pop("num_actions", None)
    ours = {name: weight.shape for name, weight in target.items() if name.startswith("head.")}
    theirs = {name: weight.shape for name, weight in conversion.weights.items() if name.startswith("head.")}
    if ours != theirs and is_named("head", allow):
        conversion.leave_head("it does not fit, as was allowed")


def compare_weights(
    file: CheckpointFile, source: Origin, conversion: Conversion, target: Mapping[str, Tensor], allow: Sequence[str]
) -> tuple[Report, list[str]]:
    """The account of all weights, and what in it is neither explained nor allowed."""
    weights = conversion.weights
    shared = [name for name in weights if name in target]
    mismatched = [
        Mismatch(name, tuple(weights[name].shape), tuple(target[name].shape))
        for name in shared
        if weights[name].shape != target[name].shape
    ]
    unfit = dict.fromkeys((mismatch.name for mismatch in mismatched), "the shapes differ")
    taken = [name for name in shared if name not in unfit]
    if not any(name.endswith("num_batches_tracked") for name in weights):
        conversion.absent.setdefault("num_batches_tracked", "the file does not count batches")
    missing = {name: conversion.why_absent(name) for name in target if name not in weights}
    surplus = {conversion.sources[name]: name for name in weights if name not in target}
    surplus |= {name: name for name in conversion.unknown}

    faults = [str(mismatch) for mismatch in mismatched if not is_named(mismatch.name, allow)]
    lacking = [name for name, why in missing.items() if not why and not is_named(name, allow)]
    if lacking:
        faults.append(f"the file lacks {abbreviate(lacking)}")
    strange = [theirs for theirs, ours in surplus.items() if not is_named(theirs, allow) and not is_named(ours, allow)]
    if strange:
        faults.append(f"the network has no place for {abbreviate(strange)}")

    report = Report(
        path=file.path,
        origin=source.name,
        matched=tuple(name for name in taken if name not in conversion.changed),
        converted={name: conversion.changed[name] for name in taken if name in conversion.changed},
        left_alone={name: why or "not in the file" for name, why in missing.items()} | unfit,
        skipped={**file.aside, **conversion.skipped, **dict.fromkeys(surplus, "the network has no place for it")},
        mismatched=tuple(mismatched),
    )
    return report, faults


def compare_behavior(conversion: Conversion, ours: Settings) -> dict[str, str]:
    """Settings, beyond shapes, that these weights were trained with and the network does not have."""
    theirs = conversion.settings
    if conversion.leaves_head:
        # A network that is to learn another task may well have another map: only its input should be the same.
        others = ("backbone.res5", "multi_label")
        theirs = {key: value for key, value in theirs.items() if not key.startswith(others)}
    return differences(theirs, ours) | {
        key: f"{what}, which no network here can do"
        for key, what in conversion.foreign.items()
        if not (conversion.leaves_head and key.startswith("head."))
    }


def differences(theirs: Settings, ours: Settings) -> dict[str, str]:
    """The settings that both have and that differ, each as a sentence."""
    differing = {
        key: f"{key} is {_show(key, theirs[key])} in the file's network, {_show(key, ours[key])} in yours"
        for key in theirs
        if key in ours and not _equal(theirs[key], ours[key])
    }
    # Networks, and heads, of two kinds differ in everything else as well.
    if "backbone.name" in differing:
        return {"backbone.name": differing["backbone.name"]}
    other_head = "head.name" in differing
    return {
        key: text
        for key, text in differing.items()
        if key == "head.name" or not (other_head and key.startswith("head."))
    }


def _equal(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple) and _are_numbers(a) and _are_numbers(b):
        return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(a, b, strict=True))
    return a == b


def _are_numbers(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _show(key: str, value: object) -> str:
    if key == "multi_label":
        return "True (sigmoid)" if value else "False (softmax)"
    if isinstance(value, tuple) and _are_numbers(value):
        return f"({', '.join(f'{each:g}' for each in value)})"
    return str(value)

"""`load_weights`: any supported toolkit's weights into a network of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights.caffe2 import CAFFE2
from actiondet.models.weights.conversion import Origin, Target
from actiondet.models.weights.files import CheckpointFile, read_checkpoint
from actiondet.models.weights.fitting import compare_behaviour, compare_weights, differences, fit_head, is_named
from actiondet.models.weights.imagenet import IMAGENET
from actiondet.models.weights.mmaction2 import MMACTION2
from actiondet.models.weights.own import OWN
from actiondet.models.weights.paddle import PADDLE
from actiondet.models.weights.pyslowfast import PYSLOWFAST
from actiondet.models.weights.pytorchvideo import PYTORCHVIDEO
from actiondet.models.weights.report import Report, abbreviate
from actiondet.models.weights.settings import Settings, kind_of_network, settings_of_network, settings_of_weights
from evaluation.errors import InputError

OriginName = Literal["auto", "actiondet", "mmaction2", "pyslowfast", "caffe2", "pytorchvideo", "paddle", "imagenet"]
ORIGINS: tuple[Origin, ...] = (OWN, MMACTION2, PYSLOWFAST, CAFFE2, PYTORCHVIDEO, PADDLE, IMAGENET)


def load_weights(
    model: ActionDetector | ActionRecognizer,
    path: str | os.PathLike[str],
    origin: OriginName = "auto",
    *,
    strict: bool = True,
    allow: Sequence[str] = (),
) -> Report:
    """Fill `model` with the weights of a file, or leave it untouched and say why.

    A recogniser's weights fill the backbone of a detector (and the other way round), whose head then keeps its
    initial values. ImageNet weights are inflated.

    Args:
        model: the network, built from the configuration that is to be used.
        path: a checkpoint of ours, MMAction2 (.pth), PySlowFast (.pyth, Caffe2 .pkl), pytorchvideo (.pyth),
            PaddleVideo (.pdparams) or torchvision (ImageNet ResNets).
        origin: who wrote it; "auto" tells from the names of the weights.
        strict: anything that is not accounted for is an error.
        allow: exceptions from `strict`, by name: weights ("head", "backbone.res5.*") and settings
            ("backbone.slow_frames") that may differ.

    Returns:
        What was matched, converted, left alone and not used.

    Raises:
        InputError: the file cannot be read, is refused, or does not fit the network.
    """
    file = read_checkpoint(path)
    target: dict[str, Tensor] = model.state_dict()
    source = find_origin(file, origin, target)
    conversion = source.convert(file, Target(target, kind_of_network(model)))
    fit_head(conversion, target, kind_of_network(model), allow)

    report, faults = compare_weights(file, source, conversion, target, allow)
    ours = settings_of_network(model)
    behaviour = compare_behaviour(conversion, ours)
    if strict:
        told: Settings = {}
        if faults:
            # Said in settings where possible: "width is 8" tells more than three hundred pairs of shapes.
            theirs = settings_of_weights(conversion.weights, conversion.kind)
            theirs |= {key: value for key, value in conversion.settings.items() if key in theirs}
            told = differences(theirs, ours)
            faults = list(told.values()) or faults
        elif not conversion.leaves_head:
            faults = [text for key, text in behaviour.items() if not is_named(key, allow)]
        if faults:
            raise InputError(_refusal(report, faults, about=tuple(told)))
    taken = {*report.matched, *report.converted}
    if not taken:
        raise InputError(f"{file.path}: none of its {len(file.tensors)} weights fits the network")
    model.load_state_dict({name: conversion.weights[name] for name in taken}, strict=False)
    return replace(report, remarks=tuple(behaviour.values()))


def find_origin(file: CheckpointFile, origin: OriginName, target: Mapping[str, Tensor]) -> Origin:
    """The toolkit whose names `file` uses."""
    names = ", ".join(known.name for known in ORIGINS)
    chosen = [known for known in ORIGINS if origin in ("auto", known.name)]
    if not chosen:
        raise InputError(f"no origin '{origin}' is known; expected auto, {names}")
    for known in chosen:
        if known.recognises(file.tensors):
            return known
    if OWN in chosen and target.keys() & file.tensors.keys():
        return OWN  # a backbone of the user's own
    if origin != "auto":
        raise InputError(
            f"{file.path}: not weights of {origin}, which begin with {chosen[0].signature[0]}; "
            f"these are called {abbreviate(file.tensors)}"
        )
    raise InputError(
        f"{file.path}: weights of unknown origin ({abbreviate(file.tensors)}); expected those of one of {names}"
    )


def _refusal(report: Report, faults: Sequence[str], about: Sequence[str]) -> str:
    """One sentence of `faults`, which are those of the settings `about` where these tell them."""
    more = f"; and {len(faults) - 6} more" if len(faults) > 6 else ""
    remedy = "Change the configuration"
    if not about:
        remedy += ", or allow the difference by its name"
    elif all(key.startswith(("num_", "head.")) for key in about):
        remedy += (
            ", or allow 'head', which then keeps its initial values "
            "(train.weights_allow=[head], convert_checkpoint.py --allow head)"
        )
    return (
        f"{report.path}: these weights of {report.origin} do not fit the network: {'; '.join(faults[:6])}{more}. "
        f"{remedy}"
    )

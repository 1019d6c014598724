"""`load_weights`: any supported toolkit's weights into a network of ours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights.conversion import Target
from actiondet.models.weights.files import read_content
from actiondet.models.weights.fitting import (
    HeadColumns,
    compare_behavior,
    compare_weights,
    differences,
    fit_head,
    is_named,
    leave_other_norm,
)
from actiondet.models.weights.opening import OriginName, open_checkpoint
from actiondet.models.weights.report import Report
from actiondet.models.weights.settings import Settings, kind_of_network, settings_of_network, settings_of_weights
from evaluation.errors import InputError


def load_weights(
    model: ActionDetector | ActionRecognizer,
    path: str | os.PathLike[str],
    origin: OriginName = "auto",
    *,
    strict: bool = True,
    allow: Sequence[str] = (),
    entry: str | None = None,
    columns: HeadColumns | None = None,
    content: object = None,
) -> Report:
    """Fill `model` with the weights of a file, or leave it untouched and say why.

    A detector's head of more actions than the network has is cut to `columns`. A recognizer's weights fill the backbone
    of a detector (and the other way round), whose head then keeps its initial values, as it does with a file that holds
    a backbone alone. ImageNet weights are inflated.

    Args:
        model: the network, built from the configuration that is to be used.
        path: a checkpoint of ours, MMAction2 (.pth), PySlowFast (.pyth, Caffe2 .pkl), pytorchvideo (.pyth),
            PaddleVideo (.pdparams), torchvision (MViT, and ResNets for ImageNet), VideoMAE, UMT or ACAR-Net, in the
            wrapping of whichever trainer, or their weights as .safetensors.
        origin: who wrote it; "auto" recognizes it by the names of the weights.
        strict: anything that is not accounted for is an error.
        allow: exceptions from `strict`, by name: weights ("head", "backbone.res5.*") and settings
            ("backbone.slow_frames") that may differ.
        entry: which network of a file that holds several, for instance "state_dict_ema"; None takes the one that is
            no moving average.
        columns: which columns of a head of other actions become those of the network.
        content: of the file, if `read_content` has read it already.

    Returns:
        What was matched, converted, left alone and not used.

    Raises:
        InputError: the file cannot be read, is refused, or does not fit the network.

    Example:
        >>> model = actiondet.build_detector(actiondet.load_config("small.yaml").model)
        >>> report = actiondet.load_weights(model, "detector.pt")
        >>> report.lacks_head
        False
    """
    target: dict[str, Tensor] = model.state_dict()
    path = Path(path)
    content = read_content(path) if content is None else content
    file, source = open_checkpoint(path, content, origin, target, entry)
    conversion = source.convert(file, Target(target, kind_of_network(model)))
    leave_other_norm(conversion, target)
    fit_head(conversion, target, kind_of_network(model), allow, columns)

    report, faults = compare_weights(file, source, conversion, target, allow)
    ours = settings_of_network(model)
    behavior = compare_behavior(conversion, ours)
    if strict:
        differing: Settings = {}
        if faults:
            # Said in settings where possible: "width is 8" says more than three hundred pairs of shapes.
            theirs = settings_of_weights(conversion.weights, conversion.kind)
            theirs |= {key: value for key, value in conversion.settings.items() if key in theirs}
            differing = differences(theirs, ours)
            faults = list(differing.values()) or faults
        elif not conversion.leaves_head:
            faults = [text for key, text in behavior.items() if not is_named(key, allow)]
        if faults:
            raise InputError(_refusal(report, faults, about=tuple(differing)))
    taken = {*report.matched, *report.converted}
    if not taken:
        raise InputError(f"{file.path}: none of its {len(file.tensors)} weights fits the network")
    model.load_state_dict({name: conversion.weights[name] for name in taken}, strict=False)
    return replace(report, remarks=(*file.remarks, *behavior.values(), *conversion.remarks))


def _refusal(report: Report, faults: Sequence[str], about: Sequence[str]) -> str:
    """One sentence of `faults`, which are those of the settings `about` if there are any."""
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

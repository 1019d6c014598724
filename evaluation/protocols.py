"""The ways in which the field's toolkits compute AVA's frame-mAP, by name, as differences from each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from evaluation.errors import InputError

ProtocolName = Literal["official", "pyslowfast", "mmaction2"]
Ties = Literal["stable", "official"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to score detections. The first value named is the official one.

    Attributes:
        name: what to call it.
        best_rows: how many rows per moment, over all actions, count; None for all.
        row_order: in which order the rows of one moment claim truths: "heap" by falling score, equal scores
            as they lie in Python's heap after the file was read (the official tool keeps its best rows so);
            "score" by falling score, equal scores as in the file; "file" as in the file, without sorting.
        moments: whose detections count: "named" those at moments that some row of the truth names, even with
            an action that is not in the list; "listed" those with at least one truth of a listed action;
            "any" all, so that detections where nothing is annotated are false.
        moment_order: the order of moments with equal scores: that of the "detections" file or of the "truth".
        undetected_actions: "zero": an action with truth and without detections has AP 0; "skipped": it is
            left out of the mean.
        precision: "double" or "single", for boxes and scores.
        empty_boxes: detections without area are "dropped", or are "kept" as false and boxes that are inside
            out are an error.
        excluded_truth: truth at excluded moments is "dropped", or is "counted" as missed.

    Example:
        >>> from evaluation import PROTOCOLS
        >>> PROTOCOLS["official"].best_rows
        50
    """

    name: str
    best_rows: int | None
    row_order: Literal["heap", "score", "file"]
    moments: Literal["named", "listed", "any"]
    moment_order: Literal["detections", "truth"]
    undetected_actions: Literal["zero", "skipped"]
    precision: Literal["double", "single"]
    empty_boxes: Literal["dropped", "kept"]
    excluded_truth: Literal["dropped", "counted"]


# The ActivityNet challenge's get_ava_performance.py. It knows no excluded moments; dropping truth and detections
# of them first is what its users do.
OFFICIAL = Protocol(
    name="official",
    best_rows=50,
    row_order="heap",
    moments="named",
    moment_order="detections",
    undetected_actions="zero",
    precision="double",
    empty_boxes="dropped",
    excluded_truth="dropped",
)

# PySlowFast's evaluate_ava_from_files: the official code without its cap, its sorting and its check of moments.
PYSLOWFAST = replace(OFFICIAL, name="pyslowfast", best_rows=None, row_order="file", moments="any")

# MMAction2's ava_eval (1.x), with ignore_empty_frames as its metric calls it.
MMACTION2 = replace(
    OFFICIAL,
    name="mmaction2",
    best_rows=None,
    row_order="score",
    moments="listed",
    moment_order="truth",
    undetected_actions="skipped",
    precision="single",
    empty_boxes="kept",
    excluded_truth="counted",
)

PROTOCOLS = {protocol.name: protocol for protocol in (OFFICIAL, PYSLOWFAST, MMACTION2)}


def find_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol by its name.

    Raises:
        InputError: no protocol has this name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise InputError(f'no protocol is called "{protocol}"; expected one of {", ".join(PROTOCOLS)}')
    return PROTOCOLS[protocol]

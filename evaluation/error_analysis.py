"""Where the AP is lost: every false detection gets one reason (localisation, label, duplicate, time, ...).

`video_errors` is the error analysis of the official MultiSports script; `frame_errors` asks the same of boxes;
`ava_errors` of boxes in AVA's form, where one person does several things.
"""

from __future__ import annotations

import math

import numpy as np

from evaluation.ap_result import Claims
from evaluation.boxes import BoolArray, paired_iou
from evaluation.error_breakdown import ErrorBreakdown, Outcomes, break_down
from evaluation.matching import best_of_pairs, group_pairs
from evaluation.protocols import Ties
from evaluation.records import IntArray
from evaluation.tube_ap import ThresholdMapResult
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_iou import paired_tube_iou
from evaluation.tube_scoring import frame_groups, tube_frame_claims, video_claims
from evaluation.tube_set import TubeSet

VIDEO_REASONS = ("repeat", "extra", "loc", "cls", "time", "cls+time", "cls+loc", "time+loc", "cls+time+loc")
"""In the official order: Repeat, Extra, Loc., Cls., Time, Cls.+Time, Cls.+Loc., Time+Loc., C+T+L."""

FRAME_REASONS = ("repeat", "extra", "loc", "cls", "time", "cls+loc")


def video_errors(
    truth: TubeTruth, detections: TubeSet, threshold: float = 0.5, *, ties: Ties = "stable"
) -> ErrorBreakdown:
    """Find out why tubes are false, by the rules of the official script.

    A tube that reaches the threshold with a claimed truth of its label is a "repeat"; with a truth of another
    label, "cls". Otherwise the truth that it overlaps most, of any label, says what is wrong: "loc", if the
    temporal IoU reaches the square root of the threshold; "time", if the spatial IoU does; else both; "cls" is
    added if the label differs. A tube that overlaps nothing is "extra".

    Unlike the script, labels without truth are left out (it counts them as AP 0, missed 100%, or stops).

    Args:
        truth: the data set; its test videos are scored.
        detections: scored tubes.
        threshold: 3D IoU of a hit.
        ties: how tubes of equal score are ordered.

    Raises:
        InputError: no truth to score, or a threshold that is not above 0 and up to 1.

    Example:
        >>> from evaluation import read_multisports, read_video_detections, video_errors
        >>> truth = read_multisports("GT.pkl")
        >>> video_errors(truth, read_video_detections("tubes.pkl"))
        ErrorBreakdown(mean AP 1.0000 at 0.5, 2 labels)
    """
    claimed = video_claims(truth, detections, (threshold,), ties=ties)
    result, order, own, own_iou = claimed.result, claimed.row, claimed.found, claimed.iou
    tubes = truth.of_videos(truth.test_videos)
    claims = detections.of_videos(truth.test_videos)
    rows, pairs = group_pairs(claims.video[order], tubes.video)
    iou, temporal, spatial = (part.astype(np.float64) for part in paired_tube_iou(tubes, pairs, claims, order[rows]))
    same = claims.labels[order][rows] == tubes.labels[pairs]
    other, other_iou = best_of_pairs(rows[~same], pairs[~same], iou[~same], len(order))
    nearest, any_iou = best_of_pairs(rows, np.arange(len(rows)), iou, len(order))

    root = math.sqrt(threshold)
    right_label = np.append(same, False)[nearest]
    right_time = np.append(temporal, 0.0)[nearest] >= root
    right_place = np.append(spatial, 0.0)[nearest] >= root
    place = {name: r for r, name in enumerate(VIDEO_REASONS)}
    # Later lines overrule earlier ones.
    which = np.full(len(order), place["cls+time+loc"])
    which[right_place] = place["cls+time"]
    which[right_time] = place["cls+loc"]
    which[right_label] = place["time+loc"]
    which[right_label & right_place] = place["time"]
    which[right_label & right_time] = place["loc"]
    which[~(any_iou > 0)] = place["extra"]
    which[other_iou >= threshold] = place["cls"]
    which[own_iou >= threshold] = place["repeat"]
    which[result.hits[0]] = len(VIDEO_REASONS)
    target = np.append(pairs, -1)[nearest]
    target[other_iou >= threshold] = other[other_iou >= threshold]
    target[~(any_iou > 0)] = -1
    target[own_iou >= threshold] = own[own_iou >= threshold]
    return break_down(result, _outcomes(VIDEO_REASONS, which, target, claimed))


def frame_errors(
    truth: TubeTruth, detections: FrameDetections, threshold: float = 0.5, *, ties: Ties = "stable"
) -> ErrorBreakdown:
    """Find out why boxes of single frames are false, in the spirit of `video_errors`.

    A box that reaches the threshold with a claimed truth of its label is a "repeat"; with a truth of another
    label, "cls"; with the nearest end of a tube of its label that is not on at that frame, "time" (the action
    is over, or has not begun). Otherwise the truth of that frame that it overlaps most says what is wrong: "loc" if
    it has the label of the box, "cls+loc" if not. The rest is "extra".

    Args:
        truth: the data set; its test videos are scored.
        detections: scored boxes.
        threshold: IoU of a hit.
        ties: how boxes of equal score are ordered.

    Raises:
        InputError: no truth to score, or a threshold that is not above 0 and up to 1.

    Example:
        >>> from evaluation import frame_errors, read_frame_detections, read_multisports
        >>> truth = read_multisports("GT.pkl")
        >>> frame_errors(truth, read_frame_detections("boxes.pkl", truth)).counts.tolist()
        [[0, 0, 0, 1, 0, 0, 2], [0, 0, 0, 0, 0, 0, 1]]
    """
    claimed = tube_frame_claims(truth, detections, (threshold,), ties=ties)
    result, order, own, own_iou = claimed.result, claimed.row, claimed.found, claimed.iou
    tubes = truth.of_videos(truth.test_videos)
    boxes, box_labels = detections.boxes[order], detections.labels[order]
    truth_boxes, truth_labels = tubes.boxes.astype(np.float64), claimed.truth_label
    frames, truth_frames = frame_groups(tubes, detections)
    frames = frames[order]
    rest = np.flatnonzero(own_iou < threshold)  # the others are hits and repeats
    rows, pairs = group_pairs(frames[rest], truth_frames)
    iou = paired_iou(boxes[rest[rows]], truth_boxes[pairs])
    same = box_labels[rest[rows]] == truth_labels[pairs]
    other, other_iou = best_of_pairs(rows[~same], pairs[~same], iou[~same], len(rest))
    nearest, any_iou = best_of_pairs(rows, np.arange(len(rows)), iou, len(rest))
    place = {name: r for r, name in enumerate(FRAME_REASONS)}
    # Later lines overrule earlier ones.
    which = np.full(len(order), place["extra"])
    which[rest[any_iou > 0]] = place["cls+loc"]
    which[rest[(any_iou > 0) & np.append(same, False)[nearest]]] = place["loc"]
    which[rest[_near_an_end(tubes, detections, order[rest], threshold)]] = place["time"]
    which[rest[other_iou >= threshold]] = place["cls"]
    which[own_iou >= threshold] = place["repeat"]
    which[result.hits[0]] = len(FRAME_REASONS)
    target = np.full(len(order), -1)
    target[rest] = np.append(pairs, -1)[nearest]
    target[rest[other_iou >= threshold]] = other[other_iou >= threshold]
    target[np.isin(which, [place["extra"], place["time"]])] = -1
    target[own_iou >= threshold] = own[own_iou >= threshold]
    return break_down(result, _outcomes(FRAME_REASONS, which, target, claimed))


def _near_an_end(tubes: TubeSet, detections: FrameDetections, places: IntArray, threshold: float) -> BoolArray:
    """Return which detections overlap the nearest end of a tube of their label that is not on at their frame."""
    labels = int(max(tubes.labels.max(initial=0), detections.labels.max(initial=0))) + 1
    known = detections.known[places]
    groups = np.where(known, detections.video[places] * labels + detections.labels[places], -1)
    rows, pairs = group_pairs(groups, tubes.video * labels + tubes.labels)
    moments = detections.moments[places][rows]
    before, after = moments < tubes.first[pairs], moments > tubes.last[pairs]
    ends = np.where(before, tubes.offsets[:-1][pairs], tubes.offsets[1:][pairs] - 1)
    iou = paired_iou(detections.boxes[places][rows], tubes.boxes[ends].astype(np.float64))
    near = np.zeros(len(places), dtype=np.bool_)
    near[rows[(before | after) & (iou >= threshold)]] = True
    return near


def _outcomes(
    reasons: tuple[str, ...], which: IntArray, target: IntArray, claims: Claims[ThresholdMapResult]
) -> Outcomes:
    """Outcomes where truth that nothing finds is of one kind."""
    truth = np.arange(len(claims.truth_label))
    kind = np.zeros(len(truth), dtype=np.int64)
    return Outcomes(reasons, which, target, ("missed",), claims.truth_label, kind, row=claims.row, truth_row=truth)

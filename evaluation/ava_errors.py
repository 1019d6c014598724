"""Where the AP of boxes in AVA's form is lost, and one door to the error analyses of boxes and tubes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from evaluation.error_analysis import frame_errors, video_errors
from evaluation.error_breakdown import ErrorBreakdown, Outcomes, break_down
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.found_boxes import box_numbers, distinct_boxes
from evaluation.frame_ap import FrameClaims, frame_claims
from evaluation.matching import best_truths
from evaluation.protocols import Ties
from evaluation.records import DetectionRows, FrameKey, TruthRows
from evaluation.tube_dataset import FrameDetections, TubeTruth, not_together
from evaluation.tube_set import TubeSet

ACTION_REASONS = ("duplicate", "background", "wrong_action", "confused_action", "box_off")
"""Why boxes are false, in the order in which errors are fixed."""
MISSING = ("missed_action", "missed_person")
"""Kinds of truth that nothing finds."""

_NEAR = 0.1
"""A box that overlaps a person by less is not a badly placed box of that person; as in TIDE."""


def find_errors(
    truth: TruthRows | TubeTruth,
    detections: DetectionRows | FrameDetections | TubeSet,
    *,
    actions: ActionList | None = None,
    excluded: Collection[FrameKey] = frozenset(),
    threshold: float = 0.5,
    ties: Ties = "stable",
) -> ErrorBreakdown:
    """Find out where the AP is lost: of boxes in AVA's form, of boxes of frames, or of tubes.

    What is given decides: `action_errors`, `frame_errors` or `video_errors` say what the kinds of errors mean.

    Args:
        truth: annotated boxes, or the data set of the tubes.
        detections: scored boxes or tubes.
        actions: the actions that count, for boxes in AVA's form.
        excluded: moments that do not count, for boxes in AVA's form.
        threshold: IoU of a hit.
        ties: how equal scores are ordered.

    Raises:
        InputError: truth and detections that do not belong together, no actions, or as the evaluations themselves.

    Example:
        >>> from evaluation import find_errors, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> find_errors(truth, found, actions=actions)
        ErrorBreakdown(mean AP 0.7500 at 0.5, 2 labels)
    """
    if isinstance(truth, TruthRows) and isinstance(detections, DetectionRows):
        if actions is None:
            raise InputError("boxes in AVA's form need `actions`; read_action_list reads them")
        return action_errors(truth, detections, actions=actions, excluded=excluded, threshold=threshold, ties=ties)
    if isinstance(truth, TubeTruth) and isinstance(detections, FrameDetections):
        return frame_errors(truth, detections, threshold, ties=ties)
    if isinstance(truth, TubeTruth) and isinstance(detections, TubeSet):
        return video_errors(truth, detections, threshold, ties=ties)
    raise not_together(truth, detections)


def action_errors(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    excluded: Collection[FrameKey] = frozenset(),
    threshold: float = 0.5,
    ties: Ties = "stable",
) -> ErrorBreakdown:
    """Find out why boxes with an action are false, and truth is missed, where one person may do several things.

    A false box that reaches the threshold with a truth of its action, which another box has found, is a "duplicate".
    If it reaches it with a person who does not do the action, it is a "wrong_action" beside a right one, where an
    action that this person does was found with a score at least as high; else a "confused_action", which was meant for
    such an action if one is not found yet. If it overlaps a truth of its action by 0.1 or more, it is "box_off" and was
    meant for that truth. The rest is "background".

    A truth that nothing finds, and no false box was meant for, is a "missed_person", if no box reaches the person, else
    a "missed_action". Persons are different boxes at one moment, whatever their actions. Rules of counting are the
    official ones, so a row beyond the 50 best of its moment finds nobody.

    Args:
        threshold: IoU of a hit, above 0.1.
        truth, detections, actions, excluded, ties: as of `frame_map`.

    Raises:
        InputError: as `frame_map`.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, find_errors
        >>> box = [[0.1, 0.1, 0.3, 0.5]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=box, labels=1)
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=box * 2, labels=[1, 1], scores=[0.9, 0.8])
        >>> breakdown = find_errors(truth, found, actions=ActionList((1,), ("sit",), (None,)))
        >>> breakdown.fixes[["kind", "count"]].head(2)
                 kind  count
        0   duplicate      1
        1  background      0
    """
    if not _NEAR < threshold <= 1:
        raise InputError(f"the IoU of an error analysis must lie above {_NEAR:g} and up to 1, found {threshold:g}")
    claims = frame_claims(truth, detections, actions=actions, excluded=excluded, ties=ties, threshold=threshold)
    result = claims.result
    persons = _Persons(truth, claims, excluded)
    code = claims.codes.of_rows(detections)[claims.row]
    boxes = detections.boxes[claims.row]
    hits = result.hits[0]
    reached = claims.iou >= threshold
    found = np.zeros(len(claims.truth_label), dtype=np.bool_)
    found[claims.found[hits]] = True

    distinct, of_row = box_numbers(code, boxes)
    person, person_iou = best_truths(boxes[distinct], code[distinct], persons.boxes, persons.code)
    on_person = (person_iou >= threshold)[of_row]
    person = person[of_row]
    best_right = np.full(len(persons.code), -np.inf)
    np.maximum.at(best_right, persons.of_truth[claims.found[hits]], result.scores[hits].astype(np.float64))
    confused = on_person & (result.scores > best_right[person])
    unfound = np.full(len(persons.code), -1)
    rest = np.flatnonzero(~found)[::-1]
    unfound[persons.of_truth[rest]] = rest  # the first of each person

    place = {name: r for r, name in enumerate(ACTION_REASONS)}
    # Later lines overrule earlier ones.
    which = np.full(len(hits), place["background"])
    near = (claims.found >= 0) & (claims.iou >= _NEAR)
    which[near] = place["box_off"]
    which[on_person] = place["wrong_action"]
    which[confused] = place["confused_action"]
    which[reached & (claims.found >= 0)] = place["duplicate"]
    which[hits] = len(ACTION_REASONS)
    target = np.where(near, claims.found, -1)
    target[which == place["wrong_action"]] = -1
    target[which == place["confused_action"]] = unfound[person[which == place["confused_action"]]]

    _, seen_iou = best_truths(persons.boxes, persons.code, boxes[distinct], code[distinct])
    kind = np.where((seen_iou >= threshold)[persons.of_truth], 0, 1)
    outcomes = Outcomes(
        ACTION_REASONS, which, target, MISSING, claims.truth_label, kind, row=claims.row, truth_row=claims.truth_row
    )
    return break_down(result, outcomes)


class _Persons:
    """The annotated persons at moments that count.

    Attributes:
        code: (P,) number of the moment.
        boxes: (P, 4).
        of_truth: (M,) the person of every truth of the claims.
    """

    def __init__(self, truth: TruthRows, claims: FrameClaims, excluded: Collection[FrameKey]) -> None:
        code = claims.codes.of_rows(truth)
        rows = distinct_boxes(code, truth.boxes)
        rows = rows[~np.isin(code[rows], claims.codes.of_keys(excluded))]
        self.code, self.boxes = code[rows], truth.boxes[rows]
        # Of a truth's own box the IoU is 1, or undefined, which counts as the largest.
        self.of_truth, _ = best_truths(claims.truth_boxes, claims.truth_code, self.boxes, self.code)

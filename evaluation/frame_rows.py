"""Which truths and which detections of a frame-mAP take part, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.moments import MomentCodes
from evaluation.protocols import Protocol
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.row_order import best_rows, stable_group_order, with_played_heaps

ColumnArray = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class ListedTruth:
    """The truth of listed actions at moments that count, in the order in which equal overlaps are resolved.

    Attributes:
        code: (M,) moment codes.
        column: (M,) position of the action in the list.
        boxes: (M, 4).
        counts: (C,) truths per listed action.
        known: codes of the moments at which detections count; None for all moments.
        excluded: codes of the moments that do not count.
    """

    code: IntArray
    column: ColumnArray
    boxes: FloatArray
    counts: IntArray
    known: IntArray | None
    excluded: IntArray


@dataclass(frozen=True, eq=False)
class RankedRows:
    """The detections that take part: action by action, within an action moment by moment, then in claim order.

    Attributes:
        boxes: (K, 4).
        scores: (K,).
        column: (K,) position of the action in the list, rising.
        image: (K,) number of the moment.
        codes: (I,) the moments' codes.
        notes: what did not take part, one sentence each.
    """

    boxes: FloatArray
    scores: FloatArray
    column: ColumnArray
    image: IntArray
    codes: IntArray
    notes: tuple[str, ...]


def listed_truth(
    truth: TruthRows, actions: ActionList, codes: MomentCodes, excluded: Collection[FrameKey], protocol: Protocol
) -> ListedTruth:
    """Select the truth that counts.

    Raises:
        InputError: not one row of the truth has a listed action at a moment that counts.
    """
    code = codes.of_rows(truth)
    column = _columns_of(truth.labels, actions)
    excluded_codes = codes.of_keys(excluded)
    listed = column >= 0
    counting = listed & ~np.isin(code, excluded_codes)
    rows = np.flatnonzero(counting)
    if len(rows) == 0:
        raise InputError(
            f"none of the {len(truth)} rows of the truth has an action of the action list (ids up to "
            f"{actions.largest_id}) at a moment that is not excluded; is it the right list?"
        )
    rows = rows[_truth_order(truth, code, rows, protocol)]
    known = {"named": np.concatenate([code, codes.of_keys(truth.empty_moments)]), "listed": code[listed], "any": None}
    counted = listed if protocol.excluded_truth == "counted" else counting
    return ListedTruth(
        code=code[rows],
        column=column[rows],
        boxes=truth.boxes[rows],
        counts=np.bincount(column[counted], minlength=len(actions)),
        known=known[protocol.moments],
        excluded=excluded_codes,
    )


def ranked_rows(
    detections: DetectionRows, actions: ActionList, codes: MomentCodes, truth: ListedTruth, protocol: Protocol
) -> RankedRows:
    """Select and order the detections that take part.

    Raises:
        InputError: a box that is inside out, where the protocol's toolkit stops at one.
    """
    notes: list[str] = []
    detections = _of_listed_actions(detections, actions, notes)
    detections, image, image_codes = _at_known_moments(detections, codes, truth, protocol, notes)
    scores, boxes, labels = detections.scores, detections.boxes, detections.labels
    column = _columns_of(labels, actions)

    if protocol.row_order == "file":
        order = stable_group_order(image)
    else:
        order = np.argsort(-scores, kind="stable")
        order = order[stable_group_order(image[order])]
    if protocol.best_rows is not None:
        kept = best_rows(protocol.best_rows, image, order, scores, labels, boxes)
        order = order[kept[order]]
        if len(order) < len(kept):
            moments = len(np.unique(image[~kept]))
            notes.append(
                f"{len(kept) - len(order)} detections at {moments} moments are not among the {protocol.best_rows} "
                "best of their moment and do not count."
            )
    sound = _sound_boxes(boxes, protocol, notes)
    order = order[sound[order]]
    by_action = order[stable_group_order(column[order])]
    if protocol.row_order == "heap":
        tied = _moments_with_ties(by_action, image, column, scores, image_codes, truth)
        if len(tied):
            order = with_played_heaps(order, tied, protocol.best_rows, image, scores, labels, boxes)
            by_action = order[stable_group_order(column[order])]
    return RankedRows(
        boxes[by_action], scores[by_action], column[by_action], image[by_action], image_codes, tuple(notes)
    )


def _columns_of(labels: IntArray, actions: ActionList) -> ColumnArray:
    """Return the (N,) position of every label in the list, -1 where it is not listed."""
    beyond = actions.largest_id + 1
    column = np.full(beyond + 1, -1, dtype=np.int16)
    column[list(actions.ids)] = np.arange(len(actions))
    result: ColumnArray = column[np.minimum(labels, beyond)]
    return result


def _truth_order(truth: TruthRows, code: IntArray, rows: IntArray, protocol: Protocol) -> IntArray:
    """Return the order of truth rows within each moment; it decides between equal overlaps only.

    The official tool and MMAction2 take column 8, the person, for a score and sort by it.
    """
    if protocol.row_order == "file":
        return np.arange(len(rows))
    person, labels = truth.persons[rows], truth.labels[rows]
    score = np.where(person < 0, 1, person).astype(np.float64)  # without column 8 the score is 1
    order: IntArray = np.argsort(-score, kind="stable")
    if protocol.row_order == "score":
        return order
    image, _ = pd.factorize(code[rows])
    twins = pd.DataFrame({"image": image, "label": labels, "score": score}).duplicated(keep=False).to_numpy()
    order = order[stable_group_order(image[order])]
    return with_played_heaps(order, np.unique(image[twins]), None, image, score, labels, truth.boxes[rows])


def _of_listed_actions(detections: DetectionRows, actions: ActionList, notes: list[str]) -> DetectionRows:
    listed = _columns_of(detections.labels, actions) >= 0
    if listed.all():
        return detections
    notes.append(f"{np.sum(~listed)} detections have an action that is not in the action list and do not count.")
    return _select(detections, listed)


def _at_known_moments(
    detections: DetectionRows, codes: MomentCodes, truth: ListedTruth, protocol: Protocol, notes: list[str]
) -> tuple[DetectionRows, IntArray, IntArray]:
    """Return the detections at moments that count, the number of every row's moment, and the moments' codes.

    Moments are numbered in the order in which they first appear, which is how the official tool orders them.
    """
    image, image_codes = pd.factorize(codes.of_rows(detections))
    excluded = np.isin(image_codes, truth.excluded)
    unknown = np.zeros(len(image_codes), dtype=np.bool_)
    if truth.known is not None:
        unknown = ~excluded & ~np.isin(image_codes, truth.known)
    for without, why in ((excluded, "are excluded"), (unknown, "the truth does not know")):
        if without.any():
            lost = np.isin(image, np.flatnonzero(without)).sum()
            videos = len(np.unique(codes.video_of(image_codes[without])))
            notes.append(f"{lost} detections at {without.sum()} moments (of {videos} videos) that {why} do not count.")
    counts = ~(excluded | unknown)
    if not counts.all():
        keep = counts[image]
        detections, image, image_codes = _select(detections, keep), image[keep], image_codes[counts]
        image = (np.cumsum(counts) - 1)[image]
    if protocol.moment_order == "truth" and truth.known is not None:
        by_truth = np.argsort(pd.Index(pd.unique(truth.known)).get_indexer(pd.Index(image_codes)))
        image, image_codes = np.argsort(by_truth)[image], image_codes[by_truth]
    return detections, image, image_codes


def _select(detections: DetectionRows, keep: BoolArray) -> DetectionRows:
    return DetectionRows(
        video=detections.video[keep],
        moment=detections.moment[keep],
        boxes=detections.boxes[keep],
        labels=detections.labels[keep],
        scores=detections.scores[keep],
    )


def _sound_boxes(boxes: FloatArray, protocol: Protocol, notes: list[str]) -> BoolArray:
    """Return (N,) bool: boxes that take part."""
    if protocol.empty_boxes == "kept":
        inside_out = np.flatnonzero((boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3]))
        if len(inside_out):
            raise InputError(
                f"{len(inside_out)} detections have boxes that are inside out (the first is "
                f"{', '.join(map(str, boxes[inside_out[0]].tolist()))}); {protocol.name} stops at such a file"
            )
        return np.ones(len(boxes), dtype=np.bool_)
    sound: BoolArray = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    if not sound.all():
        notes.append(f"{np.sum(~sound)} detections have boxes without area (x1 >= x2 or y1 >= y2) and do not count.")
    return sound


def _moments_with_ties(
    by_action: IntArray,
    image: IntArray,
    column: ColumnArray,
    scores: FloatArray,
    image_codes: IntArray,
    truth: ListedTruth,
) -> IntArray:
    """Return the moments where equal scores of one action, with truth there, make the order of rows matter."""
    before, after = by_action[:-1], by_action[1:]
    equal = (scores[before] == scores[after]) & (image[before] == image[after]) & (column[before] == column[after])
    tied = before[equal]
    actions = len(truth.counts)
    truth_image = pd.Index(image_codes).get_indexer(pd.Index(truth.code))
    matters = np.isin(image[tied] * actions + column[tied], truth_image * actions + truth.column)
    return np.unique(image[tied[matters]])

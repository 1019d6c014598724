"""Which truths and which detections of a frame-mAP take part, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.moments import MomentCodes, numbered_in_order, places_of
from evaluation.protocols import Protocol
from evaluation.ragged import first_equals, row_ranges
from evaluation.records import FloatArray, FrameKey, IntArray, TruthRows
from evaluation.row_order import MomentRows, best_rows, heap_ranks, stable_group_order, stable_number_order
from evaluation.row_values import is_inverted

ColumnArray = npt.NDArray[np.int16]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Detections by the codes of their moments.

    Attributes:
        code: (N,) moment codes.
        labels: (N,).
        boxes: (N, 4).
        scores: (N,).
    """

    code: IntArray
    labels: IntArray
    boxes: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class ListedTruth:
    """The truth of listed actions at moments that count, in the order in which equal overlaps are resolved.

    Attributes:
        row: (M,) index into the rows that were given.
        code: (M,) moment codes.
        column: (M,) position of the action in the list.
        boxes: (M, 4).
        counts: (V, C) truths per video and listed action.
        known: codes of the moments at which detections count; None for all moments.
        excluded: codes of the moments that do not count.
    """

    row: IntArray
    code: IntArray
    column: ColumnArray
    boxes: FloatArray
    counts: IntArray
    known: IntArray | None
    excluded: IntArray


@dataclass(frozen=True)
class LeftOut:
    """How many detections take no part in a frame-mAP, cause by cause; those of parts add up.

    Attributes:
        unlisted: with an action that is not in the list.
        unknown: at moments that the truth does not name.
        unknown_moments: how many these are.
        unknown_videos: the videos among them of which the truth names no moment at all.
        excluded: at excluded moments.
        excluded_moments: how many these are.
        empty: with boxes without area.
        beyond_best: not among the best of their moment.
        crowded_moments: how many moments have such.
    """

    unlisted: int = 0
    unknown: int = 0
    unknown_moments: int = 0
    unknown_videos: frozenset[int] = frozenset()
    excluded: int = 0
    excluded_moments: int = 0
    empty: int = 0
    beyond_best: int = 0
    crowded_moments: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
                if each.name != "unknown_videos"
            },
            unknown_videos=self.unknown_videos | other.unknown_videos,
        )

    def notes(self, limit: int | None) -> list[str]:
        """One sentence for every cause; `limit` is how many rows a moment may have."""
        notes = []
        if self.unlisted:
            notes.append(f"{self.unlisted} detections have an action that is not in the list and do not count.")
        if self.unknown:
            videos = len(self.unknown_videos)
            whole = f" ({videos} of their videos are altogether unknown to it)" if videos else ""
            notes.append(
                f"{self.unknown} detections at {self.unknown_moments} timestamps that the truth does not name{whole} "
                "do not count."
            )
        if self.excluded:
            notes.append(f"{self.excluded} detections at {self.excluded_moments} excluded timestamps do not count.")
        if self.empty:
            notes.append(f"{self.empty} detections have boxes without area (x1 >= x2 or y1 >= y2) and do not count.")
        if self.beyond_best:
            notes.append(
                f"{self.beyond_best} detections at {self.crowded_moments} timestamps are not among the {limit} best of "
                "their timestamp and do not count."
            )
        return notes


@dataclass(frozen=True, eq=False)
class RankedRows:
    """The detections that take part: action by action, within an action moment by moment, then in claim order.

    Attributes:
        row: (K,) index into the detections.
        scores: (K,).
        group: (K,) action and moment as one number, column * len(codes) + moment; rising.
        codes: (I,) the moments' codes.
        truth_group: (M,) the same number for every truth; -1 where its moment has no detections.
        contested: (C,) places in `row` of the rows whose group has truth; all others are false.
        left_out: what does not take part.
    """

    row: IntArray
    scores: FloatArray
    group: IntArray
    codes: IntArray
    truth_group: IntArray
    contested: IntArray
    left_out: LeftOut


def listed_truth(
    truth: TruthRows, actions: ActionList, codes: MomentCodes, excluded: Collection[FrameKey], protocol: Protocol
) -> ListedTruth:
    """Select the truth that counts.

    Raises:
        InputError: not one row of the truth has a listed action at a moment that counts.
    """
    code = codes.of_rows(truth)
    column = columns_of(truth.labels, actions)
    excluded_codes = codes.of_keys(excluded)
    listed = column >= 0
    counting = listed & ~np.isin(code, excluded_codes)
    rows = np.flatnonzero(counting)
    if len(rows) == 0:
        raise InputError(
            f"none of the {len(truth)} rows of the truth has an action of the action list (ids up to "
            f"{actions.largest_id}) at a timestamp that is not excluded; is it the right list?"
        )
    rows = rows[_truth_order(truth, code, rows, protocol)]
    known = {"named": np.concatenate([code, codes.of_keys(truth.empty_moments)]), "listed": code[listed], "any": None}
    counted = listed if protocol.excluded_truth == "counted" else counting
    return ListedTruth(
        row=rows,
        code=code[rows],
        column=column[rows],
        boxes=truth.boxes[rows],
        counts=np.bincount(
            codes.video_of(code[counted]) * len(actions) + column[counted], minlength=len(codes.videos) * len(actions)
        ).reshape(-1, len(actions)),
        known=known[protocol.moments],
        excluded=excluded_codes,
    )


def ranked_rows(
    detections: CodedRows,
    actions: ActionList,
    codes: MomentCodes,
    truth: ListedTruth,
    protocol: Protocol,
    *,
    order_all: bool,
) -> RankedRows:
    """Select and order the detections that take part.

    Args:
        detections: scored boxes.
        actions: the actions that count.
        codes: numbers of moments.
        truth: the truth that counts.
        protocol: whose rules.
        order_all: whether rows that can only be false stand in claim order, too; it costs time and matters only
            to an unstable sort.

    Raises:
        InputError: a box that is inside out, where the protocol's toolkit stops at one.
    """
    column = columns_of(detections.labels, actions)
    row = np.flatnonzero(column >= 0)
    image, image_codes = numbered_in_order(_taken(detections.code, row))
    if protocol.moment_order == "truth" and truth.known is not None:
        by_truth = np.argsort(places_of(image_codes, numbered_in_order(truth.known)[1]))
        image, image_codes = np.argsort(by_truth)[image], image_codes[by_truth]
    rows = MomentRows(detections, row, image, _taken(detections.scores, row))
    known_moments, left_out = _known_moments(image, image_codes, codes, truth)
    known = known_moments[image]
    sound = _sound_boxes(detections.boxes, row, known, protocol)
    left_out += LeftOut(unlisted=len(column) - len(row), empty=int(np.sum(known & ~sound)))
    keep = known & sound
    if protocol.best_rows is not None and len(row):
        best = best_rows(protocol.best_rows, rows)
        keep &= best
        lost = image[known & ~best]
        left_out += LeftOut(beyond_best=len(lost), crowded_moments=int(np.count_nonzero(np.bincount(lost))))

    part = np.flatnonzero(keep)
    part = part[stable_group_order(image[part])]
    columns = _taken(column, row)[part]
    part = part[stable_group_order(columns)]
    moments = max(len(image_codes), 1)
    group = image[part]
    group += np.repeat(np.arange(len(actions)) * moments, np.bincount(columns, minlength=len(actions)))
    image_of_truth = places_of(truth.code, image_codes)
    truth_group = np.where(image_of_truth >= 0, truth.column.astype(np.int64) * moments + image_of_truth, -1)
    contested = _rows_of_groups(group, truth_group)
    if protocol.row_order != "file":
        ordered = np.arange(len(part)) if order_all else contested
        part[ordered] = part[ordered][_by_score_in_groups(rows.scores[part[ordered]], group[ordered])]
        if protocol.row_order == "heap":
            part[contested] = _as_in_heaps(part[contested], group[contested], rows, protocol.best_rows)
    return RankedRows(row[part], rows.scores[part], group, image_codes, truth_group, contested, left_out)


def _by_score_in_groups(scores: FloatArray, group: IntArray) -> IntArray:
    """Return the stable order by falling score within groups, which rise."""
    order = stable_number_order(-scores)
    number = np.cumsum(np.diff(group, prepend=group[:1]) != 0)
    return order[stable_group_order(number[order])]


def _rows_of_groups(group: IntArray, wanted: IntArray) -> IntArray:
    """Return the places in `group`, which rises, of the groups in `wanted`; rising."""
    wanted = np.sort(wanted)
    wanted = wanted[np.diff(wanted, prepend=-1) > 0]
    starts = np.searchsorted(group, wanted, side="left")
    return row_ranges(starts, np.searchsorted(group, wanted, side="right") - starts)


def _as_in_heaps(part: IntArray, group: IntArray, rows: MomentRows, limit: int | None) -> IntArray:
    """Return `part`, rows by group and falling score, with equal scores of a group as they lie in the heap."""
    scores = rows.scores[part]
    tied = np.flatnonzero((group[1:] == group[:-1]) & (scores[1:] == scores[:-1]))
    if len(tied) == 0:
        return part
    ranks = heap_ranks(limit, rows, np.unique(rows.image[part[tied]]))
    concerned = _rows_of_groups(group, group[tied])
    members = part[concerned]
    result: IntArray = part.copy()
    result[concerned] = members[np.lexsort((ranks[members], -scores[concerned], group[concerned]))]
    return result


def columns_of(labels: IntArray, actions: ActionList) -> ColumnArray:
    """Return the (N,) position of every label in the list, -1 where it is not listed."""
    beyond = actions.largest_id + 1
    column = np.full(beyond + 1, -1, dtype=np.int16)  # the last stands for all that are beyond, or negative
    column[list(actions.ids)] = np.arange(len(actions))
    result: ColumnArray = column[np.clip(labels, -1, beyond)]
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
    image, _ = numbered_in_order(code[rows])
    first = first_equals(image, labels, score)
    again = first != np.arange(len(first))
    ranks = heap_ranks(None, MomentRows(truth, rows, image, score), np.unique(image[again]))
    result: IntArray = np.lexsort((ranks, -score))
    return result


def _taken(values: npt.NDArray[_T], row: IntArray) -> npt.NDArray[_T]:
    """Return `values[row]` for rising rows, without a copy where these are all."""
    return values if len(row) == len(values) else values[row]


def _known_moments(
    image: IntArray, image_codes: IntArray, codes: MomentCodes, truth: ListedTruth
) -> tuple[BoolArray, LeftOut]:
    """Return (I,) bool: at which moments detections count; and how many are elsewhere."""
    excluded = np.isin(image_codes, truth.excluded)
    unknown = np.zeros(len(image_codes), dtype=np.bool_)
    strange: frozenset[int] = frozenset()
    if truth.known is not None:
        unknown = ~excluded & ~np.isin(image_codes, truth.known)
        videos = np.setdiff1d(codes.video_of(image_codes[unknown]), codes.video_of(truth.known))
        strange = frozenset(videos.tolist())
    left_out = LeftOut(
        unknown=int(unknown[image].sum()) if unknown.any() else 0,
        unknown_moments=int(unknown.sum()),
        unknown_videos=strange,
        excluded=int(excluded[image].sum()) if excluded.any() else 0,
        excluded_moments=int(excluded.sum()),
    )
    return ~(excluded | unknown), left_out


def _sound_boxes(boxes: FloatArray, row: IntArray, known: BoolArray, protocol: Protocol) -> BoolArray:
    """Return (N,) bool: rows whose boxes the protocol accepts."""
    if protocol.empty_boxes == "dropped":
        return _taken((boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]), row)
    inside_out = _taken(is_inverted(boxes), row) & known
    if inside_out.any():
        first = boxes[row[np.argmax(inside_out)]].tolist()
        raise InputError(
            f"{inside_out.sum()} detections have boxes that are inside out (the first is "
            f"{', '.join(map(str, first))}); {protocol.name} stops at such a file"
        )
    return np.ones(len(row), dtype=np.bool_)

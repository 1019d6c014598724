"""Which detections of frames find which truths, by the rules of a protocol: what every frame-mAP counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.formats.action_list import ActionList
from evaluation.matching import best_truths, first_claims
from evaluation.moments import MomentCodes
from evaluation.protocols import Protocol, Ties
from evaluation.records import FloatArray, IntArray
from evaluation.selection import CodedRows, LeftOut, ListedTruth, RankedRows, ranked_rows


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The K detections that take part: action by action, within an action moment by moment.

    Attributes:
        offsets: (C + 1,) where each action begins.
        scores: (K,).
        hits: (T, K) whether each finds a truth, at every threshold.
        video: (K,) place of its video.
        left_out: what does not take part.
        twins: how many repeat box, action and score of another at their moment.
    """

    offsets: IntArray
    scores: FloatArray
    hits: BoolArray
    video: npt.NDArray[np.int32]
    left_out: LeftOut
    twins: int


@dataclass(frozen=True, eq=False)
class FrameMatches:
    """What the detections of whole moments find.

    Attributes:
        rows: the detections that take part.
        found: (C,) the truth that each of `rows.contested` overlaps most, an index into the listed truth.
        iou: (C,) by how much.
        scored: what counts of it.
    """

    rows: RankedRows
    found: IntArray
    iou: FloatArray
    scored: ScoredRows


def match_frames(
    detections: CodedRows,
    truth: ListedTruth,
    *,
    actions: ActionList,
    codes: MomentCodes,
    protocol: Protocol,
    thresholds: Sequence[float],
    ties: Ties,
) -> FrameMatches:
    """Let detections claim truths; overlaps are computed once, whatever the thresholds.

    Args:
        detections: all detections of some moments.
        truth: the truth that counts.
        actions: the actions that count.
        codes: numbers of moments.
        protocol: whose rules.
        thresholds: IoUs that a hit needs.
        ties: how equal scores are ordered.

    Raises:
        InputError: a box that is inside out, where the protocol's toolkit stops at one.
    """
    rows = ranked_rows(detections, actions, codes, truth, protocol, order_all=ties == "official")
    kind = np.float64 if protocol.precision == "double" else np.float32
    found, iou = best_truths(
        detections.boxes[rows.row[rows.contested]].astype(kind, copy=False),
        rows.group[rows.contested],
        truth.boxes.astype(kind, copy=False),
        rows.truth_group,
    )
    hits = np.zeros((len(thresholds), len(rows.row)), dtype=np.bool_)
    for at_threshold, threshold in zip(hits, thresholds, strict=True):
        at_threshold[rows.contested] = first_claims(found, iou, threshold)
    moments = max(len(rows.codes), 1)
    video_of_moment = codes.video_of(rows.codes).astype(np.int32)
    scored = ScoredRows(
        offsets=np.searchsorted(rows.group, np.arange(len(actions) + 1) * moments),
        scores=rows.scores,
        hits=hits,
        video=video_of_moment[rows.group % moments] if len(rows.codes) else np.zeros(0, np.int32),
        left_out=rows.left_out,
        twins=_twins(rows, detections.boxes),
    )
    return FrameMatches(rows, found, iou, scored)


def _twins(rows: RankedRows, boxes: FloatArray) -> int:
    """How many rows repeat box and score of the row before in their group."""
    same = np.flatnonzero((rows.group[1:] == rows.group[:-1]) & (rows.scores[1:] == rows.scores[:-1]))
    return int(np.all(boxes[rows.row[same]] == boxes[rows.row[same + 1]], axis=1).sum())


def joined(parts: Sequence[ScoredRows]) -> ScoredRows:
    """The detections of several parts, each of whole moments: action by action, within an action part by part."""
    if len(parts) == 1:
        return parts[0]
    actions = len(parts[0].offsets) - 1
    counts = np.sum([np.diff(part.offsets) for part in parts], axis=0)
    offsets = np.append(0, np.cumsum(counts))
    scores = np.empty(offsets[-1], dtype=parts[0].scores.dtype)
    video = np.empty(offsets[-1], dtype=np.int32)
    hits = np.empty((len(parts[0].hits), offsets[-1]), dtype=np.bool_)
    for action in range(actions):
        start = int(offsets[action])
        for part in parts:
            rows = slice(int(part.offsets[action]), int(part.offsets[action + 1]))
            to = slice(start, start + rows.stop - rows.start)
            scores[to], video[to], hits[:, to] = part.scores[rows], part.video[rows], part.hits[:, rows]
            start = to.stop
    return ScoredRows(
        offsets=offsets,
        scores=scores,
        hits=hits,
        video=video,
        left_out=sum((part.left_out for part in parts), LeftOut()),
        twins=sum(part.twins for part in parts),
    )

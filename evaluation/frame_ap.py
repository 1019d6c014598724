"""AVA's frame-mAP: exact against the official script at IoU 0.5 and, by name, against PySlowFast and MMAction2."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.action_groups import action_types, group_means, rounded_group_means
from evaluation.ap_result import ApResult, Claims, ap_table, find_thresholds
from evaluation.doubts import ScoreRange, doubts_about_rows
from evaluation.formats.action_list import ActionList
from evaluation.frame_matching import FrameMatches, ScoredRows, match_frames
from evaluation.moments import MomentCodes
from evaluation.protocols import MMACTION2, Protocol, ProtocolName, Ties, find_protocol
from evaluation.ragged import first_equals
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.row_order import stable_number_order
from evaluation.selection import CodedRows, ListedTruth, listed_truth
from evaluation.tables import notes_text, plain, table_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FrameMapResult(ApResult):
    """What a frame-mAP in AVA's form found; every listed action has a row in `per_class`.

    Attributes:
        protocol: how it was computed.
        ties: how equal scores were ordered.

    Example:
        >>> from evaluation import frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> result
        FrameMapResult(mAP@0.5 0.7500, official, 2 actions)
        >>> [curve.recall.tolist() for curve in result.curves]
        [[0.5, 0.5], [1.0, 1.0]]
    """

    protocol: Protocol
    ties: Ties

    def __repr__(self) -> str:
        return (
            f"FrameMapResult(mAP@{self.threshold:g} {self.mean_ap:.4f}, {self.protocol.name}, {len(self.ids)} actions)"
        )

    def __str__(self) -> str:
        """The table of actions, the means of their types, the notes, and the mAP as the last line."""
        lines = [f"protocol {self.protocol.name}, ties {self.ties}", ""]
        columns = self.columns
        if not any(kind is not None for kind in self.types):
            del columns["type"]
        headings = [{"name": "action", "ap": "AP"}.get(name, name.replace("ap@", "AP@")) for name in columns]
        rows = zip(*map(plain, columns.values()), strict=True)
        lines.append(table_text(headings, rows, numeric={*headings} - {"action", "type"}))
        groups = rounded_group_means(self.types, self.ap[self.thresholds.index(self.threshold)].tolist())
        if groups:
            lines += ["", table_text(["type", "mAP", "actions"], groups, numeric={"mAP", "actions"})]
        lines += [*notes_text(self.notes), ""]
        others = [threshold for threshold in self.thresholds if threshold != self.threshold]
        lines += [f"mAP@{threshold:g} {self.mean_at(threshold):.4f}" for threshold in others]
        lines += [f"mAP@{name} {mean:.4f}" for name, mean in self.range_means.items()]
        return "\n".join([*lines, f"mAP@{self.threshold:g} {self.mean_ap:.4f}"])

    @property
    def shown(self) -> IntArray:
        """Places of the actions that tables show: all that are listed."""
        return np.arange(len(self.ids))

    @property
    def groups(self) -> pd.DataFrame:
        """Mean AP per type of action (columns type, mean_ap, actions); empty where the list has no types."""
        return group_means(self.per_class)

    @property
    def title(self) -> str:
        """The heading of a picture."""
        return f"{super().title} ({self.protocol.name})"

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""
        groups = [dict(zip(self.groups, map(plain, row), strict=True)) for row in self.groups.itertuples(index=False)]
        return {**super().summary(), "protocol": self.protocol.name, "ties": self.ties, "groups": groups}


def frame_map(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    excluded: Collection[FrameKey] = frozenset(),
    protocol: ProtocolName | Protocol = "official",
    ties: Ties = "stable",
    thresholds: Sequence[float] | str = (0.5,),
) -> FrameMapResult:
    """Compute the frame-mAP.

    The official tool concatenates, per action, the rows of all moments in the order of the file and takes
    `np.argsort(scores)[::-1]`, whose order of equal scores depends on the version of numpy and on the
    processor. So the official number is a function of the files only if no two scores of an action are equal.

    Args:
        truth: annotated boxes.
        detections: scored boxes; their order matters between equal scores only.
        actions: the actions that count.
        excluded: moments that do not count.
        protocol: whose rules: the challenge's ("official"), PySlowFast's or MMAction2's.
        ties: "stable" sorts with a stable algorithm, so that of equal scores the moment that comes later in the
            file ranks first, on every machine. "official" calls what the official tool calls, and agrees with
            it bit for bit in the same numpy on the same processor.
        thresholds: IoUs in (0, 1] that a hit needs, or a range such as "0.50:0.95"; the overlaps are computed once.

    Raises:
        InputError: an unknown protocol, no truth for any listed action, rows that no reader of files lets pass, a
            threshold outside (0, 1], or detections at which the protocol's toolkit stops.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, frame_map
        >>> boxes = [[0.1, 0.1, 0.3, 0.5], [0.5, 0.1, 0.7, 0.5]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=boxes, labels=[1, 2])
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=boxes, labels=[1, 1], scores=[0.9, 0.4])
        >>> result = frame_map(truth, found, actions=ActionList((1, 2), ("sit", "run"), (None, None)))
        >>> result.mean_ap
        0.5
        >>> result.per_class[["name", "ap", "truths", "detections"]]
          name   ap  truths  detections
        0  sit  1.0       1           2
        1  run  0.0       1           0
    """
    return _scored(truth, detections, actions, excluded, find_protocol(protocol), ties, thresholds)[0]


@dataclass(frozen=True, eq=False)
class FrameClaims(Claims[FrameMapResult]):
    """Claims of boxes.

    Attributes:
        truth_row: (M,) index of every truth into those that were given.
        truth_code: (M,) number of every truth's moment.
        truth_boxes: (M, 4).
        codes: numbers of moments.
    """

    truth_row: IntArray
    truth_code: IntArray
    truth_boxes: FloatArray
    codes: MomentCodes


def frame_claims(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    excluded: Collection[FrameKey] = frozenset(),
    protocol: ProtocolName | Protocol = "official",
    ties: Ties = "stable",
    threshold: float = 0.5,
) -> FrameClaims:
    """`frame_map` at one threshold, with what every detection looked at.

    Raises:
        InputError: as `frame_map`.
    """
    protocol = find_protocol(protocol)
    result, matches, known, codes = _scored(truth, detections, actions, excluded, protocol, ties, (threshold,))
    order = np.concatenate(
        [
            start + _ranking(matches.scored.scores[start:stop], protocol, ties)
            for start, stop in zip(result.offsets[:-1].tolist(), result.offsets[1:].tolist(), strict=True)
        ]
    )
    found, iou = np.full(len(order), -1), np.zeros(len(order))
    found[matches.rows.contested], iou[matches.rows.contested] = matches.found, matches.iou
    return FrameClaims(
        result=result,
        row=matches.rows.row[order],
        found=found[order],
        iou=iou[order],
        truth_label=known.column.astype(np.int64),
        truth_video=codes.video_of(known.code),
        truth_row=known.row,
        truth_code=known.code,
        truth_boxes=known.boxes,
        codes=codes,
    )


def _scored(
    truth: TruthRows,
    detections: DetectionRows,
    actions: ActionList,
    excluded: Collection[FrameKey],
    protocol: Protocol,
    ties: Ties,
    thresholds: Sequence[float] | str,
) -> tuple[FrameMapResult, FrameMatches, ListedTruth, MomentCodes]:
    thresholds = find_thresholds(thresholds)
    truth.check()
    detections.check()
    codes = MomentCodes.of([truth, detections], [*truth.empty_moments, *excluded])
    known = listed_truth(truth, actions, codes, excluded, protocol)
    rows = CodedRows(codes.of_rows(detections), detections.labels, detections.boxes, detections.scores)
    matches = match_frames(
        rows, known, actions=actions, codes=codes, protocol=protocol, thresholds=thresholds, ties=ties
    )
    doubts = doubts_about_rows(ScoreRange.of(detections.scores), excluded, truth)
    notes = [*notes_on_truth(truth, actions), *notes_on_rows(matches.scored, len(detections), protocol), *doubts]
    result = ranked_result(
        matches.scored,
        known,
        actions=actions,
        videos=codes.videos,
        protocol=protocol,
        thresholds=thresholds,
        ties=ties,
        notes=notes,
    )
    return result, matches, known, codes


def _ranking(scores: FloatArray, protocol: Protocol, ties: Ties) -> IntArray:
    """The order of one action's detections, best first."""
    if protocol.precision == "single":
        scores = scores.astype(np.float32)
    order = stable_number_order(scores) if ties == "stable" else np.argsort(scores)
    return order[::-1]


def ranked_result(
    scored: ScoredRows,
    truth: ListedTruth,
    *,
    actions: ActionList,
    videos: Sequence[str],
    protocol: Protocol,
    thresholds: Sequence[float],
    ties: Ties,
    notes: Sequence[str],
) -> FrameMapResult:
    """Rank the detections of every action and compute its AP."""
    scores = np.empty(len(scored.scores), np.float32 if protocol.precision == "single" else np.float64)
    hits, video = np.empty_like(scored.hits), np.empty_like(scored.video)
    for start, stop in zip(scored.offsets[:-1].tolist(), scored.offsets[1:].tolist(), strict=True):
        rows = slice(start, stop)
        order = _ranking(scored.scores[rows], protocol, ties)
        hits[:, rows], video[rows] = scored.hits[:, rows][:, order], scored.video[rows][order]
        scores[rows] = scored.scores[rows][order]
    truths = truth.counts.sum(axis=0)
    with_ap = truths > 0
    if protocol.undetected_actions == "skipped":
        with_ap &= np.diff(scored.offsets) > 0
    return FrameMapResult(
        metric="frame-mAP",
        ids=actions.ids,
        names=actions.names,
        types=action_types(actions, by_id=protocol.name == MMACTION2.name),  # which prints AVA's groups for any list
        thresholds=tuple(thresholds),
        ap=ap_table(hits, scored.offsets, truths, with_ap),
        truths=truths,
        offsets=scored.offsets,
        scores=scores,
        hits=hits,
        videos=tuple(videos),
        video=video,
        truths_of_video=truth.counts,
        notes=tuple(notes),
        protocol=protocol,
        ties=ties,
    )


def notes_on_truth(truth: TruthRows, actions: ActionList) -> list[str]:
    """Say what looks wrong in the truth."""
    notes = []
    unlisted = ~np.isin(truth.labels, actions.ids)
    if unlisted.any():
        notes.append(f"{unlisted.sum()} truths have an action that is not in the action list and do not count.")
    first = first_equals(truth.video.codes, truth.moment, truth.labels, *truth.boxes.T)
    twins = np.count_nonzero(first != np.arange(len(first)))
    if twins:
        notes.append(f"{twins} truths repeat a box and action of their timestamp: no detection can find them.")
    return notes


def notes_on_rows(scored: ScoredRows, detections: int, protocol: Protocol) -> list[str]:
    """Say which of `detections` rows do not count, and what looks wrong in those that do."""
    notes = scored.left_out.notes(protocol.best_rows)
    if detections == 0:
        notes.append("The detections are empty: every action scores 0.")
    elif len(scored.scores) == 0:
        notes.append("No detection takes part: are video names, times and actions those of the truth?")
    elif scored.twins:
        notes.append(
            f"{scored.twins} detections repeat box, action and score of another at their timestamp and count as false."
        )
    return notes

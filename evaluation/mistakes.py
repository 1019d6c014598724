"""The false and missed detections that cost most: which they are, when they are, and where the boxes lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.boxes import area
from evaluation.error_breakdown import ErrorBreakdown
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.tube_dataset import FrameDetections, TubeTruth, not_together
from evaluation.tube_set import TubeSet

_CANDIDATES = 2000
"""So many of each kind are looked at, so that a file of millions costs no more."""
_OF_ACTION = 2
"""So many of a kind are shown of one action, so that others are seen, too."""


@dataclass(frozen=True, eq=False)
class Mistake:
    """A false detection, or a truth that nothing finds.

    Attributes:
        kind: which kind of error, as `ErrorBreakdown.kinds` names it.
        action: what the detection says; of missed truth what the person does.
        score: of the detection; None for missed truth.
        key: video and moment; of a tube the moment in its middle.
        found: (4,) unit box of the detection; None for missed truth.
        truth: (4,) unit box that the detection was meant for, or that is missed; None where there is none.
        truth_action: the action of that truth; empty where there is none.
    """

    kind: str
    action: str
    score: float | None
    key: FrameKey
    found: FloatArray | None
    truth: FloatArray | None
    truth_action: str


def worst_mistakes(
    breakdown: ErrorBreakdown,
    truth: TruthRows | TubeTruth,
    detections: DetectionRows | FrameDetections | TubeSet,
    *,
    each: int = 12,
) -> list[Mistake]:
    """The false detections of the highest scores and the missed truths of the largest boxes.

    They come kind by kind, first the kind of error that costs most AP.

    Args:
        breakdown: what `find_errors` says.
        truth: what it was given.
        detections: what it was given.
        each: so many of each kind at most, and no more than two of one action.

    Raises:
        InputError: truth and detections that do not belong together.
    """
    outcomes, result = breakdown.outcomes, breakdown.result
    if isinstance(truth, TruthRows) and isinstance(detections, DetectionRows):
        found_at, truth_at = _Rows(detections), _Rows(truth)
    elif isinstance(truth, TubeTruth) and isinstance(detections, FrameDetections):
        found_at, truth_at = _FrameRows(detections, truth), _Rows(truth.rows(truth.test_videos))
    elif isinstance(truth, TubeTruth) and isinstance(detections, TubeSet):
        found_at, truth_at = _Middles(detections, truth), _Middles(truth.of_videos(truth.test_videos), truth)
    else:
        raise not_together(truth, detections)
    label = np.repeat(np.arange(len(result.ids)), np.diff(result.offsets))
    counted = np.isin(label, result.labels)
    mistakes: list[Mistake] = []
    for place, kind in enumerate(outcomes.reasons):
        rows = np.flatnonzero((outcomes.which == place) & counted)
        for row in _chosen(rows, result.scores[rows], label, found_at, outcomes.row, each):
            key, box = found_at.at(int(outcomes.row[row]))
            target = int(outcomes.target[row])
            meant = truth_at.at(int(outcomes.truth_row[target]))[1] if target >= 0 else None
            does = result.names[outcomes.truth_label[target]] if target >= 0 else ""
            mistakes.append(Mistake(kind, result.names[label[row]], float(result.scores[row]), key, box, meant, does))
    for place, kind in enumerate(outcomes.missing):
        rows = np.flatnonzero(outcomes.missed & (outcomes.truth_kind == place))
        sizes = truth_at.sizes(outcomes.truth_row[rows])
        for row in _chosen(rows, sizes, outcomes.truth_label, truth_at, outcomes.truth_row, each):
            key, box = truth_at.at(int(outcomes.truth_row[row]))
            does = result.names[outcomes.truth_label[row]]
            mistakes.append(Mistake(kind, does, None, key, None, box, does))
    gains = dict(zip(breakdown.kinds, breakdown.fix_columns["gain"].tolist(), strict=True))
    return sorted(mistakes, key=lambda mistake: -gains[mistake.kind])


class _Rows:
    """Where the boxes of a table are."""

    def __init__(self, rows: TruthRows | DetectionRows) -> None:
        self._rows = rows

    def knows(self, row: int) -> bool:
        """Whether the video of a row is known."""
        return True

    def at(self, row: int) -> tuple[FrameKey, FloatArray]:
        """Video, moment and unit box of a row."""
        rows = self._rows
        return FrameKey(str(rows.video[row]), int(rows.moment[row])), rows.boxes[row]

    def sizes(self, rows: IntArray) -> FloatArray:
        """(N,) areas of the boxes of some rows, as shares of the frame."""
        return area(self._rows.boxes[rows])


class _FrameRows(_Rows):
    """Where boxes in pixels are."""

    def __init__(self, boxes: FrameDetections, truth: TubeTruth) -> None:
        self._boxes, self._sizes = boxes, truth.sizes

    def knows(self, row: int) -> bool:
        return bool(0 <= self._boxes.video[row] < len(self._boxes.videos))

    def at(self, row: int) -> tuple[FrameKey, FloatArray]:
        video = self._boxes.videos[int(self._boxes.video[row])]
        height, width = self._sizes[video]
        unit = self._boxes.boxes[row] / np.array([width, height, width, height], dtype=np.float64)
        return FrameKey(video, int(self._boxes.moments[row])), unit


class _Middles(_Rows):
    """Where tubes are in the middle of their time."""

    def __init__(self, tubes: TubeSet, truth: TubeTruth) -> None:
        self._tubes, self._truth = tubes, truth

    def knows(self, row: int) -> bool:
        return self._tubes.videos[int(self._tubes.video[row])] in self._truth.sizes

    def at(self, row: int) -> tuple[FrameKey, FloatArray]:
        tubes = self._tubes
        video = tubes.videos[int(tubes.video[row])]
        height, width = self._truth.sizes[video]
        middle = int(tubes.offsets[row] + tubes.offsets[row + 1]) // 2
        unit = tubes.boxes[middle] / np.array([width, height, width, height], dtype=np.float64)
        return FrameKey(video, int(tubes.moments[middle])), unit

    def sizes(self, rows: IntArray) -> FloatArray:
        return self._tubes.lengths[rows].astype(np.float64)  # the longest tubes are missed most


def _chosen(
    rows: IntArray, worth: FloatArray, label: IntArray, places: _Rows, given: IntArray, each: int
) -> Iterator[int]:
    """Up to `each` of `rows` by falling `worth`: few of one action, and one of a moment and action."""
    of_action: Counter[int] = Counter()
    seen: set[tuple[FrameKey, int]] = set()
    for row in rows[np.argsort(-worth, kind="stable")][:_CANDIDATES].tolist():
        if len(seen) == each:
            return
        action = int(label[row])
        if of_action[action] == _OF_ACTION or not places.knows(int(given[row])):
            continue
        moment = (places.at(int(given[row]))[0], action)
        if moment in seen:
            continue
        seen.add(moment)
        of_action[action] += 1
        yield row

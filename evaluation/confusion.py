"""Which actions are taken for which others, among people who are found."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.ap_result import ApResult
from evaluation.boxes import BoolArray
from evaluation.calibration import calibrate
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.found_boxes import box_numbers
from evaluation.frame_ap import frame_map
from evaluation.matching import best_of_pairs, best_truths, group_pairs
from evaluation.moments import MomentCodes
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.result import Result
from evaluation.selection import ColumnArray, columns_of
from evaluation.tables import table_text
from evaluation.tube_dataset import FrameDetections, TubeTruth, not_together
from evaluation.tube_iou import paired_tube_iou
from evaluation.tube_scoring import tube_frame_map, video_map
from evaluation.tube_set import TubeSet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PAIRS_SHOWN = 15


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Result):
    """How often people who do one action are said to do another one; `print` shows the most frequent pairs.

    It has `per_class` (a table of pairs of actions), `to_json`, `to_csv` and `plot`, the matrix; no `mean_ap`, `curves`
    and `hits`, because people are counted, not ranked.

    Attributes:
        ids: (L) of the actions.
        names: (L) of the actions.
        thresholds: (L,) the score from which on an action is said to be done; NaN for one that is never said.
        persons: how many annotated persons were found by a box.
        of: (L, L) people who do the action of the row and not that of the column; on the diagonal, all who do it.
        called: (L, L) how many of them are said to do the action of the column.

    Example:
        >>> from evaluation import confusion_of, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> confusion = confusion_of(truth, found, actions=actions, thresholds=[0.5, 0.5])
        >>> confusion.pairs[["name", "called", "times", "of"]]
          name called  times  of
        0  sit    run      1   2
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    thresholds: FloatArray
    persons: int
    of: IntArray
    called: IntArray

    def __repr__(self) -> str:
        return f"Confusion({self.persons} persons, {len(self.ids)} actions)"

    def __str__(self) -> str:
        rows = [(pair["name"], pair["called"], pair["times"], pair["of"], pair["share"]) for pair in self._pairs()]
        headings = ["action", "taken for", "times", "of", "share"]
        return table_text(headings, rows[:_PAIRS_SHOWN], numeric={"times", "of", "share"})

    @property
    def shares(self) -> FloatArray:
        """(L, L) `called` divided by `of`, in [0, 1]; NaN where there is nobody."""
        with np.errstate(invalid="ignore"):
            shares: FloatArray = np.where(self.of > 0, self.called / np.maximum(self.of, 1), np.nan)
        return shares

    def _pairs(self) -> list[dict[str, Any]]:
        wrong = self.called.copy()
        np.fill_diagonal(wrong, 0)
        rows, columns = np.nonzero(wrong)
        order = np.argsort(-wrong[rows, columns], kind="stable")
        shares = self.shares
        return [
            {
                "id": self.ids[i],
                "name": self.names[i],
                "called_id": self.ids[j],
                "called": self.names[j],
                "times": int(wrong[i, j]),
                "of": int(self.of[i, j]),
                "share": float(shares[i, j]),
            }
            for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
        ]

    @property
    def columns(self) -> dict[str, Any]:
        """Of the pairs that occur, the most frequent first: id, name, called_id, called, times, of, share."""
        names = ("id", "name", "called_id", "called", "times", "of", "share")
        return {name: [pair[name] for pair in self._pairs()] for name in names}

    @property
    def pairs(self) -> pd.DataFrame:
        """`columns` as a table, one row per pair."""
        return self.per_class

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""
        names = ("ids", "names", "thresholds", "persons", "of", "called")
        return {**{name: getattr(self, name) for name in names}, "pairs": self._pairs()}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the shares as a matrix; see `Result.plot`."""
        from evaluation.plots import draw_matrix, height_of, picture  # matplotlib is loaded only for a picture

        side, title = height_of(len(self.names)), "done (row), said (column)"
        return picture((side + 1.5, side), lambda on: draw_matrix(on, self.names, self.shares, title=title), path, axes)


def confusion_of(
    truth: TruthRows | TubeTruth,
    detections: DetectionRows | FrameDetections | TubeSet,
    *,
    actions: ActionList | None = None,
    thresholds: Sequence[float] | None = None,
    excluded: Collection[FrameKey] = frozenset(),
    iou: float = 0.5,
) -> Confusion:
    """Count which actions are said of the annotated persons that some box, or some tube, finds.

    A person may do several actions, and several may be said; a person who does both actions of a pair confuses nobody.
    Every box belongs to the person that it overlaps most; of several boxes the highest score of each action counts.
    Among tubes, a person is a tube of the truth, whatever its label; equal tubes are one person.

    Args:
        truth: annotated boxes, or the data set of the tubes; of a data set the labels that are scored count.
        detections: scored boxes or tubes.
        actions: the actions that count, for boxes in AVA's form.
        thresholds: the score from which on each action is said to be done; None takes those of the best F1
            (`calibrate`).
        excluded: moments that do not count, for boxes in AVA's form.
        iou: how much a box or tube must overlap a person to find it.

    Raises:
        InputError: truth and detections that do not belong together, no actions, another number of thresholds than
            actions, or as the evaluations themselves.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, confusion_of
        >>> boxes = [[0.1, 0.1, 0.3, 0.5], [0.5, 0.1, 0.7, 0.5]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=boxes, labels=[1, 2])
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=boxes, labels=[1, 1], scores=[0.9, 0.8])
        >>> actions = ActionList((1, 2), ("sit", "run"), (None, None))
        >>> confusion_of(truth, found, actions=actions, thresholds=[0.5, 0.5]).shares
        array([[1., 0.],
               [1., 0.]])
    """
    result: ApResult | None = None
    wanted = thresholds is None
    if isinstance(truth, TruthRows) and isinstance(detections, DetectionRows):
        if actions is None:
            raise InputError("boxes in AVA's form need `actions`; read_action_list reads them")
        truth.check()
        detections.check()
        said = _said_of_boxes(truth, detections, actions, excluded, iou)
        if wanted:
            result = frame_map(truth, detections, actions=actions, excluded=excluded, thresholds=[iou])
    elif isinstance(truth, TubeTruth) and not isinstance(detections, DetectionRows):
        scored = [label for label in range(len(truth.labels)) if label not in truth.unscored]
        actions = ActionList(tuple(scored), tuple(truth.labels[label] for label in scored), (None,) * len(scored))
        if isinstance(detections, TubeSet):
            said = _said_of_tubes(truth, detections, actions, iou)
            result = video_map(truth, detections, [iou]) if wanted else None
        else:
            rows = truth.rows(truth.test_videos), detections.rows(truth.sizes)
            said = _said_of_boxes(*rows, actions, frozenset(), iou)
            result = tube_frame_map(truth, detections, [iou]) if wanted else None
    else:
        raise not_together(truth, detections)
    if result is not None:
        best = dict(zip(result.ids, calibrate(result).best_threshold.tolist(), strict=True))
        thresholds = [best[label] for label in actions.ids]
    limits = np.asarray(thresholds, dtype=np.float64)
    if limits.shape != (len(actions),):
        raise InputError(f"{len(limits)} thresholds for {len(actions)} actions; expected one for each")
    return _counted(actions, limits, said)


@dataclass(frozen=True, eq=False)
class _Said:
    """What M truths and N detections say of P persons.

    Attributes:
        persons: how many there are.
        person_of_truth: (M,).
        truth_column: (M,) place of the action, -1 for none that counts.
        person: (N,) whom a detection finds, -1 for nobody.
        column: (N,) place of its action, -1 for none that counts.
        scores: (N,).
        counted: (P,) which persons count.
    """

    persons: int
    person_of_truth: IntArray
    truth_column: ColumnArray
    person: IntArray
    column: ColumnArray
    scores: FloatArray
    counted: BoolArray


def _said_of_boxes(
    truth: TruthRows, detections: DetectionRows, actions: ActionList, excluded: Collection[FrameKey], iou: float
) -> _Said:
    codes = MomentCodes.of([truth, detections], excluded)
    code = codes.of_rows(truth)
    persons, person_of_truth = box_numbers(code, truth.boxes)
    found_code = codes.of_rows(detections)
    boxes, box_of_row = box_numbers(found_code, detections.boxes)
    person, overlap = best_truths(detections.boxes[boxes], found_code[boxes], truth.boxes[persons], code[persons])
    return _Said(
        persons=len(persons),
        person_of_truth=person_of_truth,
        truth_column=columns_of(truth.labels, actions),
        person=np.where(overlap >= iou, person, -1)[box_of_row],
        column=columns_of(detections.labels, actions),
        scores=detections.scores,
        counted=~np.isin(code[persons], codes.of_keys(excluded)),
    )


def _said_of_tubes(truth: TubeTruth, detections: TubeSet, actions: ActionList, iou: float) -> _Said:
    tubes = truth.of_videos(truth.test_videos)
    found = detections.of_videos(truth.test_videos)
    rows, pairs = group_pairs(found.video, tubes.video)
    nearest, overlap = best_of_pairs(rows, pairs, paired_tube_iou(tubes, pairs, found, rows).iou, len(found))
    number: dict[tuple[int, int, bytes], int] = {}
    boxes = (tubes.boxes[start:stop].tobytes() for start, stop in pairwise(tubes.offsets.tolist()))
    extents = zip(tubes.video.tolist(), tubes.first.tolist(), boxes, strict=True)
    persons = [number.setdefault(extent, len(number)) for extent in extents]
    person_of_truth = np.array(persons, dtype=np.int64)
    return _Said(
        persons=len(number),
        person_of_truth=person_of_truth,
        truth_column=columns_of(tubes.labels, actions),
        person=np.where(overlap >= iou, np.append(person_of_truth, -1)[nearest], -1),
        column=columns_of(found.labels, actions),
        scores=found.scores,
        counted=np.ones(len(number), dtype=np.bool_),
    )


def _counted(actions: ActionList, limits: FloatArray, given: _Said) -> Confusion:
    """Count pairs of actions among the persons that something finds."""
    does = np.zeros((given.persons, len(actions)), dtype=np.bool_)
    listed = given.truth_column >= 0
    does[given.person_of_truth[listed], given.truth_column[listed]] = True
    counted = given.counted & np.isin(np.arange(given.persons), given.person)
    rows = np.flatnonzero((given.person >= 0) & (given.column >= 0))
    loud = rows[given.scores[rows] >= limits[given.column[rows]]]
    said = np.zeros_like(does)
    said[given.person[loud], given.column[loud]] = True

    does, said = does[counted].astype(np.float64), said[counted].astype(np.float64)  # floats are multiplied faster
    of, called = does.T @ (1 - does), does.T @ (said * (1 - does))
    np.fill_diagonal(of, does.sum(axis=0))
    np.fill_diagonal(called, (does * said).sum(axis=0))
    counts = [np.rint(matrix).astype(np.int64) for matrix in (of, called)]
    return Confusion(actions.ids, actions.names, limits, len(does), *counts)

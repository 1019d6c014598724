"""Which actions are taken for which others, among people who are found."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.calibration import calibrate
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.found_boxes import box_numbers
from evaluation.frame_ap import frame_map
from evaluation.matching import best_truths
from evaluation.moments import MomentCodes
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.result import Result
from evaluation.selection import columns_of
from evaluation.tables import table_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PAIRS_SHOWN = 15


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Result):
    """How often people who do one action are said to do another one; `print` shows the most frequent pairs.

    Attributes:
        ids: (L) of the actions.
        names: (L) of the actions.
        thresholds: (L,) the score from which on an action is said to be done; NaN for one that is never said.
        persons: how many annotated persons were found by a box.
        of: (L, L) people who do the action of the row and not that of the column; on the diagonal, all who do it.
        called: (L, L) how many of them are said to do the action of the column.
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
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    thresholds: Sequence[float] | None = None,
    excluded: Collection[FrameKey] = frozenset(),
    iou: float = 0.5,
) -> Confusion:
    """Count which actions are said of the annotated persons that some box finds.

    A person may do several actions, and several may be said; a person who does both actions of a pair confuses nobody.
    Every box belongs to the person that it overlaps most; of several boxes the highest score of each action counts.

    Args:
        truth: annotated boxes.
        detections: scored boxes.
        actions: the actions that count.
        thresholds: the score from which on each action is said to be done; None takes those of the best F1
            (`calibrate`).
        excluded: moments that do not count.
        iou: how much a box must overlap a person to find it.

    Raises:
        InputError: another number of thresholds than actions, or as `frame_map`.

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
    if thresholds is None:
        found = calibrate(frame_map(truth, detections, actions=actions, excluded=excluded, thresholds=[iou]))
        limits = found.best_threshold
    else:
        limits = np.asarray(thresholds, dtype=np.float64)
        truth.check()
        detections.check()
    if limits.shape != (len(actions),):
        raise InputError(f"{len(limits)} thresholds for {len(actions)} actions; expected one for each")
    codes = MomentCodes.of([truth, detections], excluded)
    code = codes.of_rows(truth)
    persons, person_of_truth = box_numbers(code, truth.boxes)
    counted = ~np.isin(code[persons], codes.of_keys(excluded))

    does = np.zeros((len(persons), len(actions)), dtype=np.bool_)
    column = columns_of(truth.labels, actions)
    does[person_of_truth[column >= 0], column[column >= 0]] = True

    found_code = codes.of_rows(detections)
    boxes, box_of_row = box_numbers(found_code, detections.boxes)
    person, overlap = best_truths(detections.boxes[boxes], found_code[boxes], truth.boxes[persons], code[persons])
    person = np.where(overlap >= iou, person, -1)
    counted[np.setdiff1d(np.arange(len(persons)), person)] = False
    column = columns_of(detections.labels, actions)
    rows = np.flatnonzero((person[box_of_row] >= 0) & (column >= 0))
    said = np.zeros_like(does)
    loud = rows[detections.scores[rows] >= limits[column[rows]]]
    said[person[box_of_row[loud]], column[loud]] = True

    does, said = does[counted].astype(np.float64), said[counted].astype(np.float64)  # floats are multiplied faster
    of, called = does.T @ (1 - does), does.T @ (said * (1 - does))
    np.fill_diagonal(of, does.sum(axis=0))
    np.fill_diagonal(called, (does * said).sum(axis=0))
    counts = [np.rint(matrix).astype(np.int64) for matrix in (of, called)]
    return Confusion(actions.ids, actions.names, limits, len(does), *counts)

"""Which annotated persons some box finds, whatever its action: recall of the boxes alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.ap_result import find_thresholds
from evaluation.errors import InputError
from evaluation.matching import best_truths
from evaluation.moments import MomentCodes
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.result import Result
from evaluation.tables import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class BoxRecall(Result):
    """How well the annotated persons are found by boxes alone.

    It has `per_class`, with one row per threshold, `to_json`, `to_csv` and `plot`; no `mean_ap`, `curves` and `hits`,
    because boxes alone have no scores.

    Attributes:
        thresholds: (T) IoUs.
        recall: (T,) share of the persons that a box overlaps by so much, in [0, 1].
        iou: (P,) the largest overlap of every person with a box of its moment.

    Example:
        >>> from evaluation import box_recall, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> recall = box_recall(truth, found, thresholds=[0.5, 0.9])
        >>> recall.per_class
           threshold  truths  recall
        0        0.5       3     1.0
        1        0.9       3     1.0
    """

    thresholds: tuple[float, ...]
    recall: FloatArray
    iou: FloatArray

    def __repr__(self) -> str:
        recalls = ", ".join(f"{r:.4f} at {t:g}" for t, r in zip(self.thresholds, self.recall, strict=True))
        return f"BoxRecall({len(self.iou)} persons, {recalls})"

    @property
    def columns(self) -> dict[str, Any]:
        """Of every threshold the number of truths and the recall."""
        return {"threshold": self.thresholds, "truths": [len(self.iou)] * len(self.recall), "recall": self.recall}

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return {"truths": len(self.iou), "thresholds": records(self.columns)}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the recall over the IoU; see `Result.plot`."""
        from evaluation.plots import draw_recall, picture  # matplotlib is loaded only for a picture

        return picture((6, 4), lambda on: draw_recall(on, self.iou, self.thresholds, self.recall), path, axes)


def box_recall(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    thresholds: Sequence[float] | str = (0.5,),
    excluded: Collection[FrameKey] = frozenset(),
) -> BoxRecall:
    """Recall of boxes without regard to their actions and scores.

    Rows of the truth with one box at one moment are one person.

    Args:
        truth: annotated boxes.
        detections: boxes; several rows may have the same.
        thresholds: IoUs in (0, 1], or a range such as "0.50:0.95".
        excluded: moments that do not count.

    Raises:
        InputError: no person at a moment that counts, rows that no reader of files lets pass.

    Example:
        >>> from evaluation import DetectionRows, TruthRows, box_recall
        >>> boxes = [[0.1, 0.1, 0.3, 0.5], [0.5, 0.1, 0.7, 0.5]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=boxes, labels=[1, 2])
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=boxes[:1], labels=5, scores=0.1)
        >>> box_recall(truth, found)
        BoxRecall(2 persons, 0.5000 at 0.5)
    """
    thresholds = find_thresholds(thresholds)
    truth.check()
    detections.check()
    codes = MomentCodes.of([truth, detections], excluded)
    code = codes.of_rows(truth)
    rows = distinct_boxes(code, truth.boxes)
    rows = rows[~np.isin(code[rows], codes.of_keys(excluded))]
    if len(rows) == 0:
        raise InputError("the truth has no person at a timestamp that counts; recall cannot be computed")
    found_code = codes.of_rows(detections)
    boxes = distinct_boxes(found_code, detections.boxes)
    # Every person looks at the boxes of its moment.
    _, iou = best_truths(truth.boxes[rows], code[rows], detections.boxes[boxes], found_code[boxes])
    recall = np.array([np.mean(iou >= threshold) for threshold in thresholds])
    return BoxRecall(thresholds, recall, iou)


def distinct_boxes(code: IntArray, boxes: FloatArray) -> IntArray:
    """The first row of every different box of a moment, by rising code."""
    return box_numbers(code, boxes)[0]


def box_numbers(code: IntArray, boxes: FloatArray) -> tuple[IntArray, IntArray]:
    """`distinct_boxes`, and for every row the place of its box among these."""
    order = np.lexsort((*boxes.T, code))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (code[order][1:] != code[order][:-1]) | (boxes[order][1:] != boxes[order][:-1]).any(axis=1)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(new) - 1
    return order[new], numbers

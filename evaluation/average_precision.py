"""From ranked hits to a precision-recall curve and its area. Pure arithmetic on one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.boxes import BoolArray
from evaluation.records import FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class PrecisionRecall:
    """The curve of one action.

    Attributes:
        label: the action.
        scores: (N,) falling.
        precision: (N,) share of hits among the first n detections.
        recall: (N,) share of the truth found by the first n detections.

    Example:
        >>> from evaluation import frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> curve = result.curves[0]
        >>> curve
        PrecisionRecall(label 1, 2 detections)
        >>> curve.precision.tolist(), curve.recall.tolist()
        ([1.0, 0.5], [0.5, 0.5])
    """

    label: int
    scores: FloatArray
    precision: FloatArray
    recall: FloatArray

    def __repr__(self) -> str:
        return f"PrecisionRecall(label {self.label}, {len(self.scores)} detections)"


def precision_recall(hits: BoolArray, truths: int) -> tuple[FloatArray, FloatArray]:
    """Return precision and recall, each (N,) float64, after every detection.

    Args:
        hits: (N,) bool, best score first: whether the detection found a truth.
        truths: number of truths of the class, at least 1.
    """
    if truths < 1:
        raise ValueError(f"precision and recall of {truths} truths are undefined; expected at least 1")
    found = np.cumsum(hits).astype(np.float64)
    return found / np.arange(1, len(hits) + 1), found / truths


def average_precision(precision: FloatArray, recall: FloatArray) -> float:
    """Return the area under the interpolated precision-recall curve, in [0, 1].

    This is the rule of PASCAL VOC from 2010 on, used by the official AVA and MultiSports scripts: precision
    is made non-increasing from the right, then summed over the steps of recall. No detections give 0.
    """
    if len(precision) == 0:
        return 0.0
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))


def interpolated_precision(precision: FloatArray, recall: FloatArray, at: FloatArray) -> FloatArray:
    """(G,) the curve whose area is the AP: at every recall the best precision from there on, 0 where none is reached.

    Args:
        precision: (N,).
        recall: (N,) rising.
        at: (G,) recalls.
    """
    best: FloatArray = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    values: FloatArray = best[np.searchsorted(recall, at)]
    return values

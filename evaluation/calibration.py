"""What scores mean: how often detections of a score are right, and from which score on an action is best called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.ap_result import ApResult, DerivedResult
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray
from evaluation.tables import plain, records, table_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(DerivedResult):
    """How well scores agree with the share of hits, and the best threshold of every action.

    Only detections that took part in the result count. `print` shows the table of actions. What all results have is
    here, too: `mean_ap`, `per_class`, `curves`, `hits`, `to_json`, `to_csv` and `plot`, the reliability diagram.

    Attributes:
        result: what was evaluated, at one threshold.
        counts: (L, B) detections of every action in every bin of scores; the bins divide [0, 1] evenly.
        score_sums: (L, B) sum of their scores.
        hit_counts: (L, B) how many are hits.
        best_threshold: (L,) the score from which on F1 is largest; NaN where no detection is a hit.
        f1: (L,) there, in [0, 1].
        precision: (L,) there.
        recall: (L,) there.

    Example:
        >>> from evaluation import calibrate, frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> calibration = calibrate(result)
        >>> calibration.per_class[["name", "best_threshold", "f1"]]
          name  best_threshold        f1
        0  sit             0.9  0.666667
        1  run             0.8  1.000000
    """

    counts: IntArray
    score_sums: FloatArray
    hit_counts: IntArray
    best_threshold: FloatArray
    f1: FloatArray
    precision: FloatArray
    recall: FloatArray

    def __repr__(self) -> str:
        return f"Calibration(ECE {self.ece:.4f}, mean F1 {self.mean_f1:.4f})"

    def __str__(self) -> str:
        headings = ["id", "action", "ECE", "threshold", "F1", "precision", "recall"]
        columns = self.columns
        shown = ("id", "name", "ece", "best_threshold", "f1", "f1_precision", "f1_recall")
        rows = zip(*(plain(columns[name]) for name in shown), strict=True)
        table = table_text(headings, rows, numeric={*headings} - {"action"})
        return f"{table}\n\nexpected calibration error {self.ece:.4f}, mean of the best F1 {self.mean_f1:.4f}"

    @property
    def ece(self) -> float:
        """Expected calibration error of all detections, in [0, 1]."""
        return float(_ece(self.counts.sum(axis=0), self.score_sums.sum(axis=0), self.hit_counts.sum(axis=0)))

    @property
    def mean_f1(self) -> float:
        """Mean of the best F1 over the actions that have an AP, in [0, 1]."""
        return float(np.mean(self.f1[self.result.labels]))

    @property
    def reliability(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """The reliability curve: of every bin with detections the mean score, the share of hits, and the count."""
        counts = self.counts.sum(axis=0)
        some = counts > 0
        counts = counts[some]
        return self.score_sums.sum(axis=0)[some] / counts, self.hit_counts.sum(axis=0)[some] / counts, counts

    @property
    def columns(self) -> dict[str, Any]:
        """The result's, then ece, best_threshold, and the f1 there, with its f1_precision and f1_recall."""
        labels = self.result.labels
        errors = [_ece(self.counts[label], self.score_sums[label], self.hit_counts[label]) for label in labels]
        return {
            **self.action_columns,
            "ece": np.array(errors),
            "best_threshold": self.best_threshold[labels],
            "f1": self.f1[labels],
            "f1_precision": self.precision[labels],
            "f1_recall": self.recall[labels],
        }

    def findings(self) -> dict[str, Any]:
        """The calibration error, the mean of the best F1, and the reliability curve."""
        curve = records(dict(zip(("score", "hits", "count"), self.reliability, strict=True)))
        return {"ece": self.ece, "mean_f1": self.mean_f1, "reliability": curve}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the reliability curve; see `Result.plot`."""
        from evaluation.plots import draw_reliability, picture  # matplotlib is loaded only for a picture

        scores, hits, counts = self.reliability
        title = f"calibration error {self.ece:.4f}"
        return picture((6, 6), lambda on: draw_reliability(on, scores, hits, counts, title=title), path, axes)


def calibrate(result: ApResult, *, bins: int = 15, threshold: float | None = None) -> Calibration:
    """Compare scores with the share of hits, and find the best threshold of every action.

    The expected calibration error is the mean distance of score and share of hits over bins of equal width, weighted by
    detections (Guo et al., "On Calibration of Modern Neural Networks", 2017).

    Args:
        result: of `frame_map`, `tube_frame_map` or `video_map`; its scores must be probabilities.
        bins: how many divide [0, 1].
        threshold: one of the result's IoUs; None takes `result.threshold`.

    Raises:
        InputError: scores outside [0, 1], or a threshold that the result does not have.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, calibrate, frame_map
        >>> boxes = [[0.1, 0.1, 0.3, 0.5], [0.5, 0.1, 0.7, 0.5]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=boxes[:1], labels=1)
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=boxes, labels=1, scores=[0.9, 0.3])
        >>> calibrate(frame_map(truth, found, actions=ActionList((1,), ("sit",), (None,))))
        Calibration(ECE 0.2000, mean F1 1.0000)
    """
    result = result.at(threshold)
    scores = result.scores.astype(np.float64)
    if len(scores) and not 0 <= scores.min() <= scores.max() <= 1:
        raise InputError(
            f"calibration needs probabilities, but scores lie between {scores.min():g} and {scores.max():g}"
        )
    hits = result.hits[0]
    labels = len(result.ids)
    label = np.repeat(np.arange(labels), np.diff(result.offsets))
    cell = label * bins + np.minimum((scores * bins).astype(np.int64), bins - 1)

    def binned(cells: IntArray, weights: FloatArray | None = None) -> Any:
        return np.bincount(cells, weights=weights, minlength=labels * bins).reshape(labels, bins)

    best = np.array([_best_threshold(result, hits, place) for place in range(labels)]).reshape(labels, 4)
    return Calibration(result, binned(cell), binned(cell, scores), binned(cell[hits]), *best.T)


def _best_threshold(result: ApResult, hits: Any, label: int) -> tuple[float, float, float, float]:
    """Score, F1, precision and recall where F1 is largest; equal scores are called together."""
    rows = result.rows_of(label)
    truths = int(result.truths[label])
    found = np.cumsum(hits[rows])
    scores = result.scores[rows]
    if truths == 0 or len(found) == 0 or found[-1] == 0:
        return float("nan"), 0.0, 0.0, 0.0
    called = np.arange(1, len(found) + 1)
    f1 = 2 * found / (called + truths)
    f1[:-1][scores[1:] == scores[:-1]] = -1
    best = int(np.argmax(f1))
    return float(scores[best]), float(f1[best]), float(found[best] / called[best]), float(found[best] / truths)


def _ece(counts: IntArray, score_sums: FloatArray, hits: IntArray) -> float:
    total = counts.sum()
    return float(np.abs(score_sums - hits).sum() / total) if total else float("nan")

"""Mean AP at several IoU thresholds: what frame-mAP and video-mAP of tube data sets have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.average_precision import PrecisionRecall, average_precision, precision_recall
from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.matching import first_claims
from evaluation.protocols import Ties
from evaluation.records import FloatArray, IntArray
from evaluation.tables import notes_text, plain, table_text, write_json
from evaluation.tube_dataset import TubeTruth

if TYPE_CHECKING:
    import pandas as pd

VIDEO_RANGES: dict[str, tuple[float, ...]] = {
    # Written as the official script computes them: its 0.7 is 0.7000000000000001.
    "0.05:0.45": tuple(0.05 + 0.05 * i for i in range(9)),
    "0.10:0.90": tuple(0.1 + 0.1 * i for i in range(9)),
    "0.50:0.95": tuple(0.5 + 0.05 * i for i in range(10)),
}
"""The three means that the benchmark reports, by their official names."""


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdMapResult:
    """AP of every action at every threshold.

    The N scored detections stand label by label, best score first.

    Attributes:
        names: (L) names of the actions; a label is a place in this tuple.
        thresholds: (K) IoU thresholds.
        ap: (K, L) float64 in [0, 1]; nan where an action has no truth or is not scored by the benchmark.
        truths: (L,) number of truths.
        offsets: (L + 1,) the detections of label l are offsets[l] to offsets[l + 1] - 1.
        scores: (N,).
        hits: (K, N) whether the detection found a truth.
        notes: what was odd in the files but tolerated, as the official script does.
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    ap: FloatArray
    truths: IntArray
    offsets: IntArray
    scores: FloatArray
    hits: BoolArray
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """The mAP at every threshold, the official means over ranges, the table of actions, and the notes."""
        shown = [threshold for threshold in (0.2, 0.5, 0.75) if threshold in self.thresholds]
        if not shown or len(self.thresholds) < 6:
            shown = list(self.thresholds)
        means: list[tuple[str, float]] = [(f"{threshold:g}", self.mean_at(threshold)) for threshold in shown]
        means += self.range_means.items()
        names = ["id", "name", "truths", "detections", *(f"ap@{threshold}" for threshold in shown)]
        headings = ["id", "action", "truths", "detections", *(f"AP@{threshold:g}" for threshold in shown)]
        columns = self.columns
        rows = zip(*(plain(columns[name]) for name in names), strict=True)
        lines = [table_text(["IoU", "mAP"], means, numeric={"mAP"}), ""]
        lines.append(table_text(headings, rows, numeric={*headings} - {"action"}))
        return "\n".join(lines + notes_text(self.notes))

    def __repr__(self) -> str:
        means = ", ".join(f"{self.mean_at(threshold):.4f} at {threshold:g}" for threshold in self.thresholds[:4])
        return f"ThresholdMapResult({means}{', ...' if len(self.thresholds) > 4 else ''})"

    @property
    def labels(self) -> IntArray:
        """Labels that count: scored by the benchmark, with truth."""
        return np.flatnonzero(~np.isnan(self.ap[0]))

    @property
    def threshold(self) -> float:
        """The threshold that stands for all: 0.5, the default of the official script, or else the first."""
        return 0.5 if 0.5 in self.thresholds else self.thresholds[0]

    @property
    def mean_ap(self) -> float:
        """Mean over labels at `threshold`, in [0, 1]."""
        return self.mean_at(self.threshold)

    def mean_at(self, threshold: float) -> float:
        """Mean over labels at one of the thresholds, in [0, 1]."""
        return float(np.mean(self.ap[self.thresholds.index(threshold), self.labels]))

    def mean_over(self, thresholds: Sequence[float]) -> float:
        """Mean over labels and some of the thresholds, in [0, 1]."""
        return float(np.mean([self.mean_at(threshold) for threshold in thresholds]))

    @property
    def range_means(self) -> dict[str, float]:
        """The official means over ranges of thresholds, as far as the thresholds were scored, by official name."""
        scored = set(self.thresholds)
        return {name: self.mean_over(each) for name, each in VIDEO_RANGES.items() if set(each) <= scored}

    def to_json(self, path: str | os.PathLike[str], *, metric: str, moments: str) -> None:
        """Write mean_ap in [0, 1], per_class as AP by id, then every threshold and range.

        Args:
            path: the file.
            metric: "frame-mAP" or "video-mAP".
            moments: which frames are scored, in words.
        """
        at: dict[str, Any] = {}
        for k, threshold in enumerate(self.thresholds):
            per_class = {str(label): float(self.ap[k, label]) for label in self.labels.tolist()}
            at[repr(threshold)] = {"mean_ap": self.mean_at(threshold), "per_class": per_class}
        content = {
            "mean_ap": self.mean_ap,
            "metric": f"{metric}@{self.threshold:g}",
            "moments": moments,
            "per_class": at[repr(self.threshold)]["per_class"],
            "ranges": self.range_means,
            "thresholds": at,
            "names": {str(label): self.names[label] for label in self.labels.tolist()},
            "notes": list(self.notes),
        }
        write_json(path, content)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table of actions, with a header."""
        with atomic_path(path) as temporary:
            self.per_class.to_csv(temporary, index=False, lineterminator="\n")

    def plot(self, path: str | os.PathLike[str], *, metric: str) -> None:
        """Draw AP per action, sorted, and the precision-recall curves at `threshold`.

        Args:
            path: its suffix chooses the format.
            metric: "frame-mAP" or "video-mAP".

        Raises:
            InputError: a suffix that matplotlib cannot write.
        """
        from evaluation.plots import ActionBars, Curve, draw_bars_and_curves  # matplotlib is loaded only for a picture

        labels = self.labels
        ap = self.ap[self.thresholds.index(self.threshold), labels]
        order = np.argsort(ap, kind="stable")
        bars = ActionBars(
            names=[self.names[label] for label in labels[order]],
            ap=ap[order],
            truths=self.truths[labels[order]].tolist(),
            kinds=[None] * len(order),
        )
        curves = [Curve(curve.precision, curve.recall, None) for curve in self.curves(self.threshold)]
        title = f"{metric}@{self.threshold:g} {self.mean_ap:.4f}"
        draw_bars_and_curves(path, bars, curves, title=title, mean=self.mean_ap)

    @property
    def columns(self) -> dict[str, Any]:
        """What is known of the labels that count: id, name, truths, detections, then ap and recall per threshold."""
        labels = self.labels
        table: dict[str, Any] = {
            "id": labels,
            "name": [self.names[label] for label in labels],
            "truths": self.truths[labels],
            "detections": np.diff(self.offsets)[labels],
        }
        for k, threshold in enumerate(self.thresholds):
            found = np.append(0, np.cumsum(self.hits[k]))[self.offsets]
            table[f"ap@{threshold}"] = self.ap[k, labels]
            table[f"recall@{threshold}"] = np.diff(found)[labels] / self.truths[labels]
        return table

    @property
    def per_class(self) -> pd.DataFrame:
        """`columns` as a table, one row per label."""
        import pandas as pd  # scoring does without it, and starts in half the time

        table: pd.DataFrame = pd.DataFrame(self.columns)
        return table

    def curves(self, threshold: float) -> Iterator[PrecisionRecall]:
        """Yield the precision-recall curve of every label that counts."""
        hits = self.hits[self.thresholds.index(threshold)]
        for label in self.labels.tolist():
            rows = slice(int(self.offsets[label]), int(self.offsets[label + 1]))
            precision, recall = precision_recall(hits[rows], int(self.truths[label]))
            yield PrecisionRecall(label, self.scores[rows], precision, recall)


def check_thresholds(thresholds: Sequence[float]) -> None:
    """Refuse IoU thresholds that no pair of tubes or all pairs reach.

    Raises:
        InputError: none, or one that is not above 0 and up to 1.
    """
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise InputError(f"IoU thresholds must lie above 0 and up to 1, found {list(thresholds)}")


def claim_order(labels: IntArray, scores: FloatArray, count: int, ties: Ties) -> tuple[IntArray, IntArray]:
    """Return the order in which detections claim truths, label by label, and where each label starts.

    Args:
        labels: (N,); labels outside 0 to count - 1 are left out.
        scores: (N,).
        count: number of labels.
        ties: "stable": of equal scores the first in the file claims first. "official": whatever
            numpy.argsort makes of them, which is what the official script does in the same numpy.

    Returns:
        Places of the detections, and (count + 1,) offsets of the labels into them.
    """
    within = np.flatnonzero((labels >= 0) & (labels < count))
    # Small integers are sorted by counting, which is stable and fast.
    small = labels[within].astype(np.int16) if count < 2**15 else labels[within]
    order = within[np.argsort(small, kind="stable")]
    offsets = np.searchsorted(labels[order], np.arange(count + 1))
    for label in range(count):
        places = order[offsets[label] : offsets[label + 1]]
        falling = -scores[places]
        ranked = np.argsort(falling)
        if ties == "stable" and np.any(np.diff(falling[ranked]) == 0):  # a stable sort takes many times longer
            ranked = np.argsort(falling, kind="stable")
        order[offsets[label] : offsets[label + 1]] = places[ranked]
    return order, offsets


def threshold_map(
    truth: TubeTruth,
    truth_labels: IntArray,
    offsets: IntArray,
    scores: FloatArray,
    found: IntArray,
    iou: FloatArray,
    thresholds: Sequence[float],
    notes: tuple[str, ...],
) -> ThresholdMapResult:
    """Turn the best truth of every detection into AP.

    Args:
        truth: names of the labels, and which are not scored.
        truth_labels: (M,) label of every truth.
        offsets: (L + 1,) of the labels into the N detections, which stand in claim order.
        scores: (N,).
        found: (N,) the truth each overlaps most, -1 for none.
        iou: (N,) by how much.
        thresholds: IoU thresholds.
        notes: for the result.

    Raises:
        InputError: no truth is left to score.
    """
    check_thresholds(thresholds)
    truths = np.bincount(truth_labels, minlength=len(truth.labels))
    counted = [label for label in np.flatnonzero(truths).tolist() if label not in truth.unscored]
    if not counted:
        raise InputError("the truth has no tube of a scored label in its test videos; is it the right file and split?")
    hits = np.stack([first_claims(found, iou, threshold) for threshold in thresholds])
    ap = np.full((len(thresholds), len(truth.labels)), np.nan)
    for k, at_threshold in enumerate(hits):
        for label in counted:
            at_label = at_threshold[offsets[label] : offsets[label + 1]]
            ap[k, label] = average_precision(*precision_recall(at_label, int(truths[label])))
    return ThresholdMapResult(
        names=truth.labels,
        thresholds=tuple(thresholds),
        ap=ap,
        truths=truths,
        offsets=offsets,
        scores=scores,
        hits=hits,
        notes=notes,
    )


def tolerated(detections: int, unknown_videos: int, unknown_labels: int, what: str) -> tuple[str, ...]:
    """Return notes on detections that cannot be right, but that the official script accepts."""
    notes = [] if detections else [f"there are no {what} at all"]
    if unknown_videos:
        notes.append(f"{unknown_videos} {what} name a video that is not a test video; they count as false")
    if unknown_labels:
        notes.append(f"{unknown_labels} {what} have a label that the truth does not have; they are ignored")
    return tuple(notes)

"""What every evaluation by average precision finds, of boxes or tubes: numbers, curves, a table, files, a picture."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from evaluation.average_precision import PrecisionRecall, average_precision, precision_recall
from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray
from evaluation.result import Result
from evaluation.tables import plain, records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

IOU_RANGES: dict[str, tuple[float, ...]] = {
    # Written as the official MultiSports script computes them: its 0.7 is 0.7000000000000001.
    "0.05:0.45": tuple(0.05 + 0.05 * i for i in range(9)),
    "0.10:0.90": tuple(0.1 + 0.1 * i for i in range(9)),
    "0.50:0.95": tuple(0.5 + 0.05 * i for i in range(10)),
}
"""The means over IoU thresholds that MultiSports reports, by their official names; COCO's AP is over the last."""

R = TypeVar("R", bound="ApResult")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ApResult(Result):
    """AP of every action at every threshold, and the ranked detections that it comes from.

    The N detections that took part stand action by action, best score first. `print` shows the result as a table.

    Attributes:
        metric: "frame-mAP" or "video-mAP".
        ids: (L) labels of the actions.
        names: (L) what they are called.
        types: (L) the group of each, None where there is none.
        thresholds: (T) IoU thresholds.
        ap: (T, L) float64 in [0, 1]; NaN where it is not defined: no truth, or not scored by the benchmark.
        truths: (L,) number of truths.
        offsets: (L + 1,) the detections of the action at place l are offsets[l] to offsets[l + 1] - 1.
        scores: (N,).
        hits: (T, N) whether the detection found a truth.
        videos: (V) names of the videos.
        video: (N,) place of the detection's video in `videos`; -1 for a video that the truth does not name.
        truths_of_video: (V, L) number of truths.
        notes: what did not count and what looks wrong, one sentence each, with counts.

    Example:
        >>> from evaluation import frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> result.mean_ap
        0.75
        >>> result.per_class[["name", "ap", "recall"]]
          name   ap  recall
        0  sit  0.5     0.5
        1  run  1.0     1.0
    """

    metric: str
    ids: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[str | None, ...]
    thresholds: tuple[float, ...]
    ap: FloatArray
    truths: IntArray
    offsets: IntArray
    scores: FloatArray
    hits: BoolArray
    videos: tuple[str, ...]
    video: npt.NDArray[np.int32]
    truths_of_video: IntArray
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        means = ", ".join(f"{self.mean_at(threshold):.4f} at {threshold:g}" for threshold in self.thresholds[:4])
        return f"{type(self).__name__}({means}{', ...' if len(self.thresholds) > 4 else ''})"

    @property
    def labels(self) -> IntArray:
        """Places of the actions that have an AP."""
        return np.flatnonzero(~np.isnan(self.ap[0]))

    @property
    def threshold(self) -> float:
        """The threshold that stands for all: 0.5, the default of the official scripts, or else the first."""
        return 0.5 if 0.5 in self.thresholds else self.thresholds[0]

    @property
    def mean_ap(self) -> float:
        """Mean over the actions at `threshold`, in [0, 1]."""
        return self.mean_at(self.threshold)

    def mean_at(self, threshold: float) -> float:
        """Mean over the actions at one of the thresholds, in [0, 1]."""
        ap = self.ap[self.thresholds.index(threshold), self.labels]
        return float(np.mean(ap)) if len(ap) else float("nan")

    def at(self: R, threshold: float | None) -> R:
        """The same result at one of its thresholds alone; None takes `threshold`.

        Raises:
            InputError: a threshold that the result does not have.
        """
        threshold = self.threshold if threshold is None else threshold
        if threshold not in self.thresholds:
            raise InputError(f"the result has no IoU threshold {threshold:g}; it has {list(self.thresholds)}")
        rows = slice(self.thresholds.index(threshold), self.thresholds.index(threshold) + 1)
        return replace(self, thresholds=(threshold,), ap=self.ap[rows], hits=self.hits[rows])

    def mean_over(self, thresholds: Sequence[float]) -> float:
        """Mean over the actions and some of the thresholds, in [0, 1]."""
        return float(np.mean([self.mean_at(threshold) for threshold in thresholds]))

    @property
    def range_means(self) -> dict[str, float]:
        """The means over the ranges of `IOU_RANGES` whose thresholds were all scored, by official name."""
        scored = set(self.thresholds)
        return {name: self.mean_over(each) for name, each in IOU_RANGES.items() if set(each) <= scored}

    def rows_of(self, label: int) -> slice:
        """The detections of the action at place `label`."""
        return slice(int(self.offsets[label]), int(self.offsets[label + 1]))

    @property
    def curves(self) -> tuple[PrecisionRecall, ...]:
        """Precision and recall of every action that has an AP, at `threshold`."""
        return self.curves_at(self.threshold)

    def curves_at(self, threshold: float) -> tuple[PrecisionRecall, ...]:
        """Precision and recall of every action that has an AP, at one of the thresholds."""
        hits = self.hits[self.thresholds.index(threshold)]
        curves = []
        for label in self.labels.tolist():
            rows = self.rows_of(label)
            precision, recall = precision_recall(hits[rows], int(self.truths[label]))
            curves.append(PrecisionRecall(self.ids[label], self.scores[rows], precision, recall))
        return tuple(curves)

    @property
    def shown(self) -> IntArray:
        """Places of the actions that tables show."""
        return self.labels

    @property
    def columns(self) -> dict[str, Any]:
        """Of every action id, name, type, ap, truths, detections and recall (both at `threshold`).

        With several thresholds ap@... and recall@... of each follow.
        """
        return self.columns_of(self.shown)

    def columns_of(self, shown: IntArray) -> dict[str, Any]:
        """`columns` of the actions at some places."""
        at = {threshold: (self.ap[k, shown], self._recalls(k)[shown]) for k, threshold in enumerate(self.thresholds)}
        ap, recall = at[self.threshold]
        table: dict[str, Any] = {
            "id": [self.ids[label] for label in shown],
            "name": [self.names[label] for label in shown],
            "type": [self.types[label] for label in shown],
            "ap": ap,
            "truths": self.truths[shown],
            "detections": np.diff(self.offsets)[shown],
            "recall": recall,
        }
        if len(self.thresholds) > 1:
            for threshold, (ap, recall) in at.items():
                table[f"ap@{threshold}"], table[f"recall@{threshold}"] = ap, recall
        return table

    def _recalls(self, k: int) -> FloatArray:
        """(L,) share of the truth that was found at the k-th threshold; NaN without an AP."""
        found = np.diff(np.append(0, np.cumsum(self.hits[k]))[self.offsets])
        return np.where(np.isnan(self.ap[k]), np.nan, found / np.maximum(self.truths, 1))

    @property
    def per_class(self) -> pd.DataFrame:
        """`columns` as a table, one row per action."""
        import pandas as pd  # scoring tubes does without it, and starts in half the time

        table: pd.DataFrame = pd.DataFrame(self.columns)
        table["type"] = table["type"].astype(object)
        return table

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes: mean_ap in [0, 1], per_class as AP by id, actions, thresholds, ranges and notes."""
        actions = records({name: column for name, column in self.columns.items() if "@" not in name})
        at: dict[str, Any] = {}
        for k, threshold in enumerate(self.thresholds):
            per_class = {str(self.ids[label]): plain(self.ap[k, label]) for label in self.shown.tolist()}
            at[repr(threshold)] = {"mean_ap": plain(self.mean_at(threshold)), "per_class": per_class}
        return {
            "mean_ap": plain(self.mean_ap),
            "metric": f"{self.metric}@{self.threshold:g}",
            "per_class": at[repr(self.threshold)]["per_class"],
            "actions": actions,
            "ranges": self.range_means,
            "thresholds": at,
            "notes": list(self.notes),
        }

    @property
    def title(self) -> str:
        """The heading of a picture."""
        return f"{self.metric}@{self.threshold:g} {self.mean_ap:.4f}"

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw AP per action, sorted; on a picture of its own the precision-recall curves, too; see `Result.plot`."""
        from evaluation.plots import ActionBars, Curve, draw_result  # matplotlib is loaded only for a picture

        ap = self.ap[self.thresholds.index(self.threshold)]
        order = self.labels[np.argsort(ap[self.labels], kind="stable")]
        bars = ActionBars(
            names=[self.names[label] for label in order],
            values=ap[order],
            counts=self.truths[order].tolist(),
            kinds=[self.types[label] for label in order],
        )
        kind_of = dict(zip(self.ids, self.types, strict=True))
        curves = [Curve(curve.precision, curve.recall, kind_of[curve.label]) for curve in self.curves]
        return draw_result(bars, curves, title=self.title, mean=self.mean_ap, path=path, axes=axes)


@dataclass(frozen=True, eq=False, repr=False)
class DerivedResult(Result):
    """What is found out about a result at one IoU threshold; `mean_ap`, `curves` and `hits` are those of that result.

    `per_class` has a row for every action that has an AP. It begins with the columns of the result: id, name, type, ap,
    truths, detections and recall.

    Attributes:
        result: what was evaluated, at one threshold.
    """

    result: ApResult

    @property
    def threshold(self) -> float:
        """The IoU of a hit."""
        return self.result.threshold

    @property
    def mean_ap(self) -> float:
        """Mean AP over the actions, in [0, 1]."""
        return self.result.mean_ap

    @property
    def curves(self) -> tuple[PrecisionRecall, ...]:
        """Precision and recall of every action that has an AP."""
        return self.result.curves

    @property
    def hits(self) -> BoolArray:
        """(1, N) whether each of the result's detections found a truth."""
        return self.result.hits

    @property
    def action_columns(self) -> dict[str, Any]:
        """The columns of the result."""
        return self.result.columns_of(self.result.labels)

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes: mean_ap, metric, per_class as AP by id, actions, and what is found out."""
        actions = records(self.columns)
        return {
            "mean_ap": self.mean_ap,
            "metric": f"{self.result.metric}@{self.threshold:g}",
            "per_class": {str(action["id"]): action["ap"] for action in actions},
            **self.findings(),
            "actions": actions,
        }

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """What is found out about the whole."""


@dataclass(frozen=True, eq=False)
class Claims(Generic[R]):
    """A result with what each of its N detections looked at: where the AP is lost, and among whom.

    Attributes:
        result: at one threshold.
        row: (N,) index of every ranked detection into the detections that were given.
        found: (N,) the truth that it overlaps most, -1 for none.
        iou: (N,) by how much.
        truth_label: (M,) place of every truth's action in the result.
        truth_video: (M,) place of its video.
    """

    result: R
    row: IntArray
    found: IntArray
    iou: FloatArray
    truth_label: IntArray
    truth_video: IntArray

    @property
    def reached(self) -> IntArray:
        """(N,) the truth that it overlaps enough, -1 for none."""
        return np.where(self.iou >= self.result.threshold, self.found, -1)


def find_thresholds(thresholds: Sequence[float] | str) -> tuple[float, ...]:
    """IoU thresholds, as they are or by the name of a range: "0.50:0.95" are 0.5, 0.55, ... 0.95.

    Raises:
        InputError: none, one that is not above 0 and up to 1, or no such range.
    """
    if isinstance(thresholds, str):
        first, _, last = thresholds.partition(":")
        try:
            name = f"{float(first):.2f}:{float(last):.2f}"
        except ValueError:
            name = thresholds
        if name not in IOU_RANGES:
            raise InputError(f"'{thresholds}' is not a range of IoU thresholds; expected {', '.join(IOU_RANGES)}")
        return IOU_RANGES[name]
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise InputError(f"IoU thresholds must lie above 0 and up to 1, found {list(thresholds)}")
    return tuple(dict.fromkeys(thresholds))


def parse_thresholds(texts: Sequence[str]) -> tuple[float, ...]:
    """IoU thresholds as a command line has them: numbers, and ranges such as "0.50:0.95".

    Raises:
        InputError: a text that is neither, or a threshold outside (0, 1].
    """
    thresholds: list[float] = []
    for text in texts:
        try:
            thresholds.append(float(text))
        except ValueError:
            thresholds += find_thresholds(text)
    return find_thresholds(thresholds)


def ap_table(hits: BoolArray, offsets: IntArray, truths: IntArray, scored: BoolArray) -> FloatArray:
    """Return the (T, L) AP of every action at every threshold; NaN where `scored` is false.

    Args:
        hits: (T, N) of ranked detections, action by action.
        offsets: (L + 1,) of the actions.
        truths: (L,).
        scored: (L,) which actions have an AP.
    """
    ap = np.full((len(hits), len(truths)), np.nan)
    for k, at_threshold in enumerate(hits):
        for label in np.flatnonzero(scored).tolist():
            at_label = at_threshold[offsets[label] : offsets[label + 1]]
            ap[k, label] = average_precision(*precision_recall(at_label, int(truths[label])))
    return ap

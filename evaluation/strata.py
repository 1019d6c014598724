"""AP among some of the truth: persons by size, frames by the number of people, tubes by length."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, Literal

import numpy as np

from evaluation.ap_result import Claims, R, ap_table
from evaluation.boxes import area
from evaluation.formats.action_list import ActionList
from evaluation.found_boxes import distinct_boxes
from evaluation.frame_ap import FrameMapResult, frame_claims
from evaluation.protocols import Protocol, ProtocolName, Ties
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.result import Result
from evaluation.tables import plain, table_text
from evaluation.tube_ap import ThresholdMapResult
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_scoring import video_claims
from evaluation.tube_set import TubeSet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SIZES = (0.02, 0.1, 0.3)
"""Shares of the frame's area that part boxes by size."""
PEOPLE = (2, 4, 8)
"""Numbers of annotated persons that part frames."""
LENGTHS = (8, 16, 32, 64)
"""Numbers of frames that part tubes."""


@dataclass(frozen=True, eq=False, repr=False)
class Strata(Result, Generic[R]):
    """The result in every stratum, by its name (`strata["below 2"]`); `print` shows a table.

    It has `per_class`, `to_json`, `to_csv` and `plot`, the mean AP of the strata. `mean_ap`, `curves` and `hits` are
    those of each result.

    Attributes:
        by: what the strata are of.
        results: the result of every stratum, by its name, in rising order.

    Example:
        >>> from evaluation import frame_map_by, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> strata = frame_map_by("size", truth, found, actions=actions, edges=[0.05])
        >>> strata["0.05 or more"].mean_ap
        0.75
    """

    by: str
    results: dict[str, R]

    def __repr__(self) -> str:
        means = ", ".join(f"{name}: {result.mean_ap:.4f}" for name, result in self.results.items())
        return f"Strata(by {self.by}, {means})"

    def __str__(self) -> str:
        headings = [self.by, *list(self.columns)[1:]]
        rows = zip(*map(plain, self.columns.values()), strict=True)
        return table_text(headings, rows, numeric={*headings[1:]})

    def __getitem__(self, name: str) -> R:
        return self.results[name]

    @property
    def columns(self) -> dict[str, Any]:
        """Of every stratum its name, mean_ap, actions (that have an AP), truths, detections and recall."""
        results = list(self.results.values())
        truths = [int(result.truths[result.labels].sum()) for result in results]
        found = [int(result.hits[result.thresholds.index(result.threshold)].sum()) for result in results]
        return {
            "stratum": list(self.results),
            "mean_ap": [result.mean_ap for result in results],
            "actions": [len(result.labels) for result in results],
            "truths": truths,
            "detections": [len(result.scores) for result in results],
            "recall": [hits / count if count else float("nan") for hits, count in zip(found, truths, strict=True)],
        }

    def to_frame(self) -> pd.DataFrame:
        """`columns` as a table, one row per stratum."""
        import pandas as pd  # scoring tubes does without it, and starts in half the time

        frame: pd.DataFrame = pd.DataFrame(self.columns)
        return frame

    @property
    def per_class(self) -> pd.DataFrame:
        """The tables of actions of all strata, one after the other, with a column stratum."""
        import pandas as pd  # scoring tubes does without it, and starts in half the time

        tables = [result.per_class.assign(stratum=name) for name, result in self.results.items()]
        table: pd.DataFrame = pd.concat(tables, ignore_index=True)
        table.insert(0, "stratum", table.pop("stratum"))
        return table

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return {"by": self.by, "strata": {name: result.summary() for name, result in self.results.items()}}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the mean AP of every stratum and how many truths it has; see `Result.plot`."""
        from evaluation.plots import draw_strata, picture  # matplotlib is loaded only for a picture

        return picture((7, 4), lambda on: draw_strata(on, self.by, self.columns), path, axes)


def frame_map_by(
    by: Literal["size", "people"],
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    edges: Sequence[float] | None = None,
    excluded: Collection[FrameKey] = frozenset(),
    protocol: ProtocolName | Protocol = "official",
    ties: Ties = "stable",
    threshold: float = 0.5,
) -> Strata[FrameMapResult]:
    """Frame-mAP among persons of one size, or in frames with so many people.

    Detections claim truths as in `frame_map`, all at once. Then, as in COCO's evaluation by area, a stratum counts its
    own truths, the detections that reach one of them, and those that reach none and are of the stratum themselves.

    Args:
        by: "size": the area of a box as a share of the frame. "people": annotated persons at the moment (different
            boxes, of whatever action).
        edges: where strata begin, rising; None takes `SIZES` or `PEOPLE`.
        threshold: the IoU of a hit.
        truth, detections, actions, excluded, protocol, ties: as of `frame_map`.

    Raises:
        InputError: as `frame_map`.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, frame_map_by
        >>> boxes = [[0.1, 0.1, 0.2, 0.2], [0.1, 0.1, 0.9, 0.9]]
        >>> truth = TruthRows.from_arrays(video="v", time=902, boxes=boxes, labels=1)
        >>> found = DetectionRows.from_arrays(video="v", time=902, boxes=boxes[1:], labels=1, scores=0.9)
        >>> frame_map_by("size", truth, found, actions=ActionList((1,), ("sit",), (None,)), edges=[0.1])
        Strata(by size, below 0.1: 0.0000, 0.1 or more: 1.0000)
    """
    claims = frame_claims(
        truth, detections, actions=actions, excluded=excluded, protocol=protocol, ties=ties, threshold=threshold
    )
    of_truth: FloatArray | IntArray
    of_rows: FloatArray | IntArray
    if by == "size":
        of_truth, of_rows = area(claims.truth_boxes), area(detections.boxes[claims.row])
        edges = SIZES if edges is None else edges
    else:
        people = _people(truth, claims.codes.of_rows(truth))
        of_truth = people[1][np.searchsorted(people[0], claims.truth_code)]
        of_rows = _looked_up(claims.codes.of_rows(detections)[claims.row], *people)
        edges = PEOPLE if edges is None else edges
    return _strata(by, claims, of_truth, of_rows, edges)


def video_map_by_length(
    truth: TubeTruth,
    detections: TubeSet,
    *,
    edges: Sequence[float] = LENGTHS,
    threshold: float = 0.5,
    ties: Ties = "stable",
) -> Strata[ThresholdMapResult]:
    """Video-mAP among tubes of one length; strata are counted as in `frame_map_by`.

    Args:
        edges: numbers of frames at which strata begin, rising.
        threshold: the 3D IoU of a hit.
        truth, detections, ties: as of `video_map`.

    Raises:
        InputError: as `video_map`.

    Example:
        >>> from evaluation import read_multisports, read_video_detections, video_map_by_length
        >>> truth = read_multisports("GT.pkl")
        >>> video_map_by_length(truth, read_video_detections("tubes.pkl"), edges=[2])
        Strata(by frames, below 2: nan, 2 or more: 1.0000)
    """
    claims = video_claims(truth, detections, (threshold,), ties=ties)
    of_truth = truth.of_videos(truth.test_videos).lengths
    return _strata("frames", claims, of_truth, detections.lengths[claims.row], edges)


def _strata(
    by: str, claims: Claims[R], of_truth: FloatArray | IntArray, of_rows: FloatArray | IntArray, edges: Sequence[float]
) -> Strata[R]:
    """The result of every stratum; `of_truth` (M,) and `of_rows` (N,) are compared with the edges."""
    stratum_of_truth = np.searchsorted(edges, of_truth, side="right")
    reached = claims.reached
    stratum = np.searchsorted(edges, of_rows, side="right")
    some = reached >= 0
    stratum[some] = stratum_of_truth[reached[some]]
    names = [f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"{edges[-1]:g} or more"]
    return Strata(
        by,
        {
            name: _among(claims, np.flatnonzero(stratum == place), stratum_of_truth == place)
            for place, name in enumerate(names)
        },
    )


def _among(claims: Claims[R], rows: IntArray, truths: np.ndarray[Any, np.dtype[np.bool_]]) -> R:
    """The result of some detections and some truths."""
    result = claims.result
    shape = result.truths_of_video.shape
    cells = claims.truth_video[truths] * shape[1] + claims.truth_label[truths]
    truths_of_video = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    counts = truths_of_video.sum(axis=0)
    offsets = np.searchsorted(rows, result.offsets)
    hits = result.hits[:, rows]
    return replace(
        result,
        ap=ap_table(hits, offsets, counts, ~np.isnan(result.ap[0]) & (counts > 0)),
        truths=counts,
        offsets=offsets,
        scores=result.scores[rows],
        hits=hits,
        video=result.video[rows],
        truths_of_video=truths_of_video,
        notes=(),
    )


def _people(truth: TruthRows, code: IntArray) -> tuple[IntArray, IntArray]:
    """The moments with truth, rising, and how many different boxes each has."""
    rows = distinct_boxes(code, truth.boxes)
    moments, counts = np.unique(code[rows], return_counts=True)
    return moments, counts


def _looked_up(code: IntArray, moments: IntArray, counts: IntArray) -> IntArray:
    """The counts of some moments, 0 where a moment is not among `moments`, which rise."""
    place = np.minimum(np.searchsorted(moments, code), len(moments) - 1)
    return np.where(moments[place] == code, counts[place], 0)

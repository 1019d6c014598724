"""Mean AP at several IoU thresholds: what frame-mAP and video-mAP of tube data sets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.ap_result import ApResult, ap_table, find_thresholds
from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.matching import first_claims
from evaluation.protocols import Ties
from evaluation.records import FloatArray, IntArray
from evaluation.row_order import stable_number_order
from evaluation.tables import notes_text, plain, table_text
from evaluation.tube_dataset import TubeTruth


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ThresholdMapResult(ApResult):
    """What a frame-mAP or video-mAP of tubes found; a label is a place in `names`.

    Example:
        >>> from evaluation import read_multisports, read_video_detections, video_map
        >>> truth = read_multisports("GT.pkl")
        >>> result = video_map(truth, read_video_detections("tubes.pkl"), "0.50:0.95")
        >>> result.range_means
        {'0.50:0.95': 1.0}
    """

    def __str__(self) -> str:
        """The mAP at every threshold, the official means over ranges, the table of actions, and the notes."""
        shown = [threshold for threshold in (0.2, 0.5, 0.75) if threshold in self.thresholds]
        if not shown or len(self.thresholds) < 6:
            shown = list(self.thresholds)
        means: list[tuple[str, float]] = [(f"{threshold:g}", self.mean_at(threshold)) for threshold in shown]
        means += self.range_means.items()
        headings = ["id", "action", "truths", "detections", *(f"AP@{threshold:g}" for threshold in shown)]
        columns = [plain(self.columns[name]) for name in ("id", "name", "truths", "detections")]
        columns += [plain(self.ap[self.thresholds.index(threshold), self.labels]) for threshold in shown]
        lines = [table_text(["IoU", "mAP"], means, numeric={"mAP"}), ""]
        lines.append(table_text(headings, zip(*columns, strict=True), numeric={*headings} - {"action"}))
        return "\n".join(lines + notes_text(self.notes))


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
        ranked = stable_number_order(falling) if ties == "stable" else np.argsort(falling)
        order[offsets[label] : offsets[label + 1]] = places[ranked]
    return order, offsets


def threshold_map(
    truth: TubeTruth,
    truth_labels: IntArray,
    truth_video: IntArray,
    *,
    metric: str,
    offsets: IntArray,
    scores: FloatArray,
    video: npt.NDArray[np.integer],
    found: IntArray,
    iou: FloatArray,
    thresholds: Sequence[float] | str,
    notes: tuple[str, ...],
) -> ThresholdMapResult:
    """Turn the best truth of every detection into AP.

    Args:
        truth: names of the labels, and which are not scored.
        truth_labels: (M,) label of every truth.
        truth_video: (M,) place of its video in the test videos.
        metric: what is computed.
        offsets: (L + 1,) of the labels into the N detections, which stand in claim order.
        scores: (N,).
        video: (N,) place of the video in the test videos; -1 for none of them.
        found: (N,) the truth each overlaps most, -1 for none.
        iou: (N,) by how much.
        thresholds: IoU thresholds, or the name of a range.
        notes: for the result.

    Raises:
        InputError: no truth is left to score.
    """
    thresholds = find_thresholds(thresholds)
    labels = len(truth.labels)
    shape = (len(truth.test_videos), labels)
    truths_of_video = np.bincount(truth_video * labels + truth_labels, minlength=shape[0] * labels).reshape(shape)
    truths = truths_of_video.sum(axis=0)
    scored = scored_labels(truths, truth)
    hits = np.stack([first_claims(found, iou, threshold) for threshold in thresholds])
    return ThresholdMapResult(
        metric=metric,
        ids=tuple(range(labels)),
        names=truth.labels,
        types=(None,) * labels,
        thresholds=thresholds,
        ap=ap_table(hits, offsets, truths, scored),
        truths=truths,
        offsets=offsets,
        scores=scores,
        hits=hits,
        videos=truth.test_videos,
        video=video.astype(np.int32, copy=False),
        truths_of_video=truths_of_video,
        notes=notes,
    )


def scored_labels(truths: IntArray, truth: TubeTruth) -> BoolArray:
    """Return (L,) which labels count: scored by the benchmark, with truth.

    Raises:
        InputError: none.
    """
    scored: BoolArray = truths > 0
    scored[list(truth.unscored)] = False
    if not scored.any():
        raise InputError("the truth has no tube of a scored label in its test videos; is it the right file and split?")
    return scored


def tolerated(detections: int, unknown_videos: int, unknown_labels: int, what: str) -> tuple[str, ...]:
    """Return notes on detections that cannot be right, but that the official script accepts."""
    notes = [] if detections else [f"no {what} at all"]
    if unknown_videos:
        notes.append(f"{unknown_videos} {what} name a video that is not a test video; they count as false")
    if unknown_labels:
        notes.append(f"{unknown_labels} {what} have a label that the truth does not have; they are ignored")
    return tuple(notes)

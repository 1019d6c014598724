"""Where the AP is lost: every false detection gets one reason (localisation, label, duplicate, time, ...).

`video_errors` is the error analysis of the official MultiSports script; `frame_errors` asks the same of boxes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.ap_result import find_thresholds
from evaluation.average_precision import average_precision
from evaluation.boxes import BoolArray, paired_iou
from evaluation.files import atomic_path
from evaluation.matching import best_of_pairs, best_truths, first_claims, group_pairs
from evaluation.protocols import Ties
from evaluation.records import FloatArray, IntArray
from evaluation.tables import notes_text, plain, table_text, write_json
from evaluation.tube_ap import claim_order, scored_labels, tolerated
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_iou import paired_tube_iou
from evaluation.tube_scoring import frame_groups
from evaluation.tube_set import TubeSet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

VIDEO_REASONS = ("repeat", "extra", "loc", "cls", "time", "cls+time", "cls+loc", "time+loc", "cls+time+loc")
"""In the official order: Repeat, Extra, Loc., Cls., Time, Cls.+Time, Cls.+Loc., Time+Loc., C+T+L."""

FRAME_REASONS = ("repeat", "extra", "loc", "cls", "time", "cls+loc")


@dataclass(frozen=True, eq=False, repr=False)
class ErrorBreakdown:
    """Why the AP is not 1, label by label; every share is in [0, 1].

    The share of a reason is computed like AP, from the rate of that reason instead of the precision: how much
    of the area above the recall axis it takes. Shares and AP need not add up to 1, because each curve is made
    non-increasing on its own.

    Attributes:
        metric: "frame-mAP" or "video-mAP".
        threshold: IoU that a hit needs.
        reasons: (R) names of the reasons.
        labels: (L,) the labels that count: scored by the benchmark, with truth.
        names: (L) their names.
        ap: (L,).
        shares: (L, R).
        missed: (L,) share of the truth that nothing found.
        counts: (L, R + 1) number of detections per reason; the last column counts the hits.
        notes: what was odd in the files but tolerated.
    """

    metric: str
    threshold: float
    reasons: tuple[str, ...]
    labels: IntArray
    names: tuple[str, ...]
    ap: FloatArray
    shares: FloatArray
    missed: FloatArray
    counts: IntArray
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Where the AP is lost, action by action and on the mean, and the notes."""
        reasons = [*self.reasons, "missed"]
        headings = ["id", "action", "AP", *reasons]
        mean = ["", "mean", self.mean_ap, *self.means.values()]
        rows = [mean, *zip(*map(plain, self.columns.values()), strict=True)]
        lines = [f"AP@{self.threshold:g} and where it is lost (shares of the area that AP measures)", ""]
        lines.append(table_text(headings, rows, numeric={*headings} - {"action"}))
        return "\n".join(lines + notes_text(self.notes))

    def __repr__(self) -> str:
        return f"ErrorBreakdown(mean AP {self.mean_ap:.4f} at {self.threshold:g}, {len(self.labels)} labels)"

    @property
    def mean_ap(self) -> float:
        """Mean AP over the labels, in [0, 1]."""
        return float(np.mean(self.ap))

    @property
    def means(self) -> dict[str, float]:
        """Mean over the labels of every reason, and of "missed"."""
        shares = {reason: float(np.mean(self.shares[:, r])) for r, reason in enumerate(self.reasons)}
        return {**shares, "missed": float(np.mean(self.missed))}

    @property
    def columns(self) -> dict[str, Any]:
        """What is known of every label: id, name, ap, one column per reason, missed."""
        shares = {reason: self.shares[:, r] for r, reason in enumerate(self.reasons)}
        return {"id": self.labels, "name": list(self.names), "ap": self.ap, **shares, "missed": self.missed}

    def to_json(self, path: str | os.PathLike[str], **more: Any) -> None:
        """Write mean_ap in [0, 1], per_class as AP by id, the means of the reasons, and every action's shares.

        Args:
            path: the file.
            more: further entries.
        """
        columns = {name: plain(column) for name, column in self.columns.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        content = {
            "mean_ap": self.mean_ap,
            "metric": f"{self.metric}@{self.threshold:g}",
            "per_class": {str(row["id"]): row["ap"] for row in rows},
            "means": self.means,
            "actions": rows,
            "notes": list(self.notes),
        }
        write_json(path, {**content, **{key: plain(value) for key, value in more.items()}})

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table of actions, with a header."""
        with atomic_path(path) as temporary:
            self.per_class.to_csv(temporary, index=False, lineterminator="\n")

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw AP and the share of every reason per action, sorted by AP.

        Args:
            path: a file to write; its suffix chooses the format.
            axes: what to draw on; None makes a picture.

        Raises:
            InputError: a suffix that matplotlib cannot write.
        """
        from evaluation.plots import draw_shares  # matplotlib is loaded only for a picture

        order = np.argsort(self.ap, kind="stable")
        parts = [("AP", self.ap), *zip(self.reasons, self.shares.T, strict=True), ("missed", self.missed)]
        return draw_shares(
            [self.names[place] for place in order],
            [(name, values[order]) for name, values in parts],
            title=f"{self.metric}@{self.threshold:g} {self.mean_ap:.4f} and where the AP is lost",
            path=path,
            axes=axes,
        )

    @property
    def per_class(self) -> pd.DataFrame:
        """`columns` as a table, one row per label."""
        import pandas as pd  # scoring does without it, and starts in half the time

        table: pd.DataFrame = pd.DataFrame(self.columns)
        return table


def video_errors(
    truth: TubeTruth, detections: TubeSet, threshold: float = 0.5, *, ties: Ties = "stable"
) -> ErrorBreakdown:
    """Find out why tubes are false, by the rules of the official script.

    A tube that reaches the threshold with a claimed truth of its label is a "repeat"; with a truth of another
    label, "cls". Otherwise the truth that it overlaps most, of any label, tells what is wrong: "loc", if the
    temporal IoU reaches the square root of the threshold; "time", if the spatial IoU does; else both; "cls" is
    added if the label differs. A tube that overlaps nothing is "extra".

    Unlike the script, labels without truth are left out (it counts them as AP 0, missed 100%, or stops).

    Args:
        truth: the data set; its test videos are scored.
        detections: scored tubes.
        threshold: 3D IoU of a hit.
        ties: how tubes of equal score are ordered.

    Raises:
        InputError: no truth to score, or a threshold that is not above 0 and up to 1.
    """
    find_thresholds([threshold])
    tubes = truth.of_videos(truth.test_videos)
    claims = detections.of_videos(truth.test_videos)
    order, offsets = claim_order(claims.labels, claims.scores, len(truth.labels), ties)
    rows, pairs = group_pairs(claims.video[order], tubes.video)
    iou, temporal, spatial = (part.astype(np.float64) for part in paired_tube_iou(tubes, pairs, claims, order[rows]))
    same = claims.labels[order][rows] == tubes.labels[pairs]
    own, own_iou = best_of_pairs(rows[same], pairs[same], iou[same], len(order))
    _, other_iou = best_of_pairs(rows[~same], pairs[~same], iou[~same], len(order))
    nearest, any_iou = best_of_pairs(rows, np.arange(len(rows)), iou, len(order))

    root = math.sqrt(threshold)
    right_label = np.append(same, False)[nearest]
    right_time = np.append(temporal, 0.0)[nearest] >= root
    right_place = np.append(spatial, 0.0)[nearest] >= root
    place = {name: r for r, name in enumerate(VIDEO_REASONS)}
    # Later lines overrule earlier ones.
    which = np.full(len(order), place["cls+time+loc"])
    which[right_place] = place["cls+time"]
    which[right_time] = place["cls+loc"]
    which[right_label] = place["time+loc"]
    which[right_label & right_place] = place["time"]
    which[right_label & right_time] = place["loc"]
    which[~(any_iou > 0)] = place["extra"]
    which[other_iou >= threshold] = place["cls"]
    which[own_iou >= threshold] = place["repeat"]
    which[first_claims(own, own_iou, threshold)] = len(VIDEO_REASONS)
    notes = tolerated(len(claims), int(np.sum(claims.video[order] < 0)), len(claims) - len(order), "tubes")
    return _lost(truth, tubes.labels, offsets, which, VIDEO_REASONS, "video-mAP", threshold, notes)


def frame_errors(
    truth: TubeTruth, detections: FrameDetections, threshold: float = 0.5, *, ties: Ties = "stable"
) -> ErrorBreakdown:
    """Find out why boxes of single frames are false, in the spirit of `video_errors`.

    A box that reaches the threshold with a claimed truth of its label is a "repeat"; with a truth of another
    label, "cls"; with the nearest end of a tube of its label that is not on at that frame, "time" (the action
    is over, or has not begun). Otherwise the truth of that frame that it overlaps most tells: "loc" if it has
    the label of the box, "cls+loc" if not. The rest is "extra".

    Args:
        truth: the data set; its test videos are scored.
        detections: scored boxes.
        threshold: IoU of a hit.
        ties: how boxes of equal score are ordered.

    Raises:
        InputError: no truth to score, or a threshold that is not above 0 and up to 1.
    """
    find_thresholds([threshold])
    tubes = truth.of_videos(truth.test_videos)
    labels = len(truth.labels)
    order, offsets = claim_order(detections.labels, detections.scores, labels, ties)
    boxes, box_labels = detections.boxes[order], detections.labels[order]
    truth_boxes, truth_labels = tubes.boxes.astype(np.float64), np.repeat(tubes.labels, tubes.lengths)
    frames, truth_frames = frame_groups(tubes, detections)
    frames = frames[order]
    own_groups = np.where(frames >= 0, frames * labels + box_labels, -1)
    own, own_iou = best_truths(boxes, own_groups, truth_boxes, truth_frames * labels + truth_labels)
    rest = np.flatnonzero(own_iou < threshold)  # the others are hits and repeats
    rows, pairs = group_pairs(frames[rest], truth_frames)
    iou = paired_iou(boxes[rest[rows]], truth_boxes[pairs])
    same = box_labels[rest[rows]] == truth_labels[pairs]
    _, other_iou = best_of_pairs(rows[~same], pairs[~same], iou[~same], len(rest))
    nearest, any_iou = best_of_pairs(rows, np.arange(len(rows)), iou, len(rest))
    place = {name: r for r, name in enumerate(FRAME_REASONS)}
    # Later lines overrule earlier ones.
    which = np.full(len(order), place["extra"])
    which[rest[any_iou > 0]] = place["cls+loc"]
    which[rest[(any_iou > 0) & np.append(same, False)[nearest]]] = place["loc"]
    which[rest[_near_an_end(tubes, detections, order[rest], threshold)]] = place["time"]
    which[rest[other_iou >= threshold]] = place["cls"]
    which[own_iou >= threshold] = place["repeat"]
    which[first_claims(own, own_iou, threshold)] = len(FRAME_REASONS)
    unknown = int(np.sum(~detections.known[order]))
    notes = tolerated(len(detections), unknown, len(detections) - len(order), "boxes")
    return _lost(truth, truth_labels, offsets, which, FRAME_REASONS, "frame-mAP", threshold, notes)


def _near_an_end(tubes: TubeSet, detections: FrameDetections, places: IntArray, threshold: float) -> BoolArray:
    """Return which detections overlap the nearest end of a tube of their label that is not on at their frame."""
    labels = int(max(tubes.labels.max(initial=0), detections.labels.max(initial=0))) + 1
    known = detections.known[places]
    groups = np.where(known, detections.video[places] * labels + detections.labels[places], -1)
    rows, pairs = group_pairs(groups, tubes.video * labels + tubes.labels)
    moments = detections.moments[places][rows]
    before, after = moments < tubes.first[pairs], moments > tubes.last[pairs]
    ends = np.where(before, tubes.offsets[:-1][pairs], tubes.offsets[1:][pairs] - 1)
    iou = paired_iou(detections.boxes[places][rows], tubes.boxes[ends].astype(np.float64))
    near = np.zeros(len(places), dtype=np.bool_)
    near[rows[(before | after) & (iou >= threshold)]] = True
    return near


def _lost(
    truth: TubeTruth,
    truth_labels: IntArray,
    offsets: IntArray,
    which: IntArray,
    reasons: Sequence[str],
    metric: str,
    threshold: float,
    notes: tuple[str, ...],
) -> ErrorBreakdown:
    """Turn the reason of every detection (in claim order; len(reasons) is a hit) into shares per label."""
    truths = np.bincount(truth_labels, minlength=len(truth.labels))
    labels = np.flatnonzero(scored_labels(truths, truth))
    shares = np.zeros((len(labels), len(reasons) + 1))
    counts = np.zeros((len(labels), len(reasons) + 1), dtype=np.int64)
    missed = np.ones(len(labels))
    for row, label in enumerate(labels.tolist()):
        reason = which[offsets[label] : offsets[label + 1]]
        if len(reason) == 0:
            continue
        seen = np.arange(1, len(reason) + 1)
        # float32, because the official script keeps these curves in it.
        recall = (np.cumsum(reason == len(reasons)) / truths[label]).astype(np.float32)
        for r in range(len(reasons) + 1):
            rate = (np.cumsum(reason == r) / seen).astype(np.float32)
            shares[row, r] = average_precision(rate, recall)
        counts[row] = np.bincount(reason, minlength=len(reasons) + 1)
        missed[row] = 1 - float(recall[-1])
    return ErrorBreakdown(
        metric=metric,
        threshold=threshold,
        reasons=tuple(reasons),
        labels=labels,
        names=tuple(truth.labels[label] for label in labels),
        ap=shares[:, -1],
        shares=shares[:, :-1],
        missed=missed,
        counts=counts,
        notes=notes,
    )

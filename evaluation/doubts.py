"""What looks wrong in detections that can be scored all the same: a counted note each, never a silent number."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from evaluation.boxes import BoolArray
from evaluation.errors import some
from evaluation.records import FloatArray, FrameKey, Int32Array, IntArray, TruthRows
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet


@dataclass(frozen=True)
class ScoreRange:
    """What is known of some scores; that of parts adds up.

    Attributes:
        count: how many scores.
        outside: how many lie outside [0, 1].
        whole: whether all are whole numbers.
        lowest: the least; infinity of none.
        highest: the largest; minus infinity of none.
    """

    count: int = 0
    outside: int = 0
    whole: bool = True
    lowest: float = math.inf
    highest: float = -math.inf

    @classmethod
    def of(cls, scores: FloatArray) -> ScoreRange:
        """The range of (N,) scores."""
        if len(scores) == 0:
            return cls()
        lowest, highest = float(scores.min()), float(scores.max())
        inside = lowest >= 0 and highest <= 1
        return cls(
            count=len(scores),
            outside=0 if inside else int(np.count_nonzero((scores < 0) | (scores > 1))),
            # The first one alone decides for nearly every file, in no time.
            whole=float(scores[0]) % 1 == 0 and bool((scores % 1 == 0).all()),
            lowest=lowest,
            highest=highest,
        )

    def __add__(self, other: ScoreRange) -> ScoreRange:
        return ScoreRange(
            self.count + other.count,
            self.outside + other.outside,
            self.whole and other.whole,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
        )


def doubts_about_scores(scores: ScoreRange) -> list[str]:
    """Notes on scores that are not probabilities, or that look like the last column of a truth file."""
    if scores.count == 0:
        return []
    if scores.whole:
        return [
            f"all {scores.count} scores are whole numbers: is this the truth, or a file without scores, instead of "
            "detections?"
        ]
    if scores.outside:
        return [
            f"{scores.outside} of {scores.count} scores lie outside [0, 1], from {scores.lowest:g} to "
            f"{scores.highest:g}: are they logits or percentages? Only their order counts."
        ]
    return []


def doubts_about_excluded(excluded: Collection[FrameKey], truth: TruthRows) -> list[str]:
    """A note on excluded key frames of videos that the truth does not name."""
    known = {str(name) for name in truth.video.categories} | {key.video for key in truth.empty_moments}
    strange = sorted({key.video for key in excluded} - known)
    count = sum(key.video in set(strange) for key in excluded)
    if not strange:
        return []
    return [
        f"{count} excluded key frames are of {len(strange)} videos that the truth does not name ({some(strange, 3)})."
    ]


def doubts_about_rows(scores: ScoreRange, excluded: Collection[FrameKey], truth: TruthRows) -> list[str]:
    """Notes on detections in AVA's form, and on the excluded key frames."""
    return [*doubts_about_scores(scores), *doubts_about_excluded(excluded, truth)]


def doubts_about_frames(detections: FrameDetections, truth: TubeTruth) -> list[str]:
    """Notes on frame detections of a tube data set."""
    counts = np.array([truth.frame_counts[name] for name in detections.videos], dtype=np.int64)
    known = detections.known
    last = counts[np.where(known, detections.video, 0)] if len(counts) else detections.moments
    return [
        *_doubts_about_moments(detections.moments, known & (detections.moments > last), "detections"),
        *_doubts_about_boxes(detections.boxes, "detections"),
        *_doubts_about_labels(detections.labels, len(truth.labels)),
        *doubts_about_scores(ScoreRange.of(detections.scores)),
    ]


def doubts_about_tubes(tubes: TubeSet, truth: TubeTruth) -> list[str]:
    """Notes on tubes that were found."""
    unlimited = np.iinfo(np.int64).max
    counts = np.array([truth.frame_counts.get(name, unlimited) for name in tubes.videos], dtype=np.int64)
    last = np.repeat(counts[tubes.video], tubes.lengths) if len(counts) else tubes.moments
    return [
        *_doubts_about_moments(tubes.moments, tubes.moments > last, "boxes of tubes"),
        *_doubts_about_boxes(tubes.boxes, "boxes of tubes"),
        *_doubts_about_labels(tubes.labels, len(truth.labels)),
        *doubts_about_scores(ScoreRange.of(tubes.scores)),
    ]


def _doubts_about_moments(moments: IntArray | Int32Array, beyond: BoolArray, what: str) -> list[str]:
    notes = []
    before = int(np.count_nonzero(moments < 1))
    if before:
        notes.append(f"{before} {what} are of a frame below 1: frames count from 1; are these counted from 0?")
    late = int(np.count_nonzero(beyond))
    if late:
        notes.append(f"{late} {what} are of a frame beyond the last of their video.")
    return notes


def _doubts_about_boxes(boxes: FloatArray, what: str) -> list[str]:
    inverted = int(np.count_nonzero((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])))
    return [f"{inverted} {what} are inverted (x1 > x2 or y1 > y2): are they x, y, width, height?"] if inverted else []


def _doubts_about_labels(labels: IntArray, count: int) -> list[str]:
    if len(labels) and int(labels.min()) >= 1 and int(labels.max()) == count:
        return [f"the labels are 1 to {count}, where 0 to {count - 1} are expected: do they count from 1?"]
    return []

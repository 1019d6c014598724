"""What looks wrong in detections that can be scored all the same: a counted note each, never a silent number."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from evaluation.boxes import BoolArray
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet


def doubts_about_scores(scores: FloatArray) -> list[str]:
    """Notes on (N,) scores that are not probabilities, or that look like the last column of a truth file."""
    if len(scores) == 0:
        return []
    if bool((scores % 1 == 0).all()):
        return [
            f"all {len(scores)} scores are whole numbers: is this the truth, or a file without scores, instead of "
            "detections?"
        ]
    outside = int(np.count_nonzero((scores < 0) | (scores > 1)))
    if outside:
        lowest, highest = float(scores.min()), float(scores.max())
        return [
            f"{outside} of {len(scores)} scores lie outside [0, 1], from {lowest:g} to {highest:g}: are they logits or "
            "percentages? Only their order counts."
        ]
    return []


def doubts_about_excluded(excluded: Collection[FrameKey], truth: TruthRows) -> list[str]:
    """A note on excluded key frames of videos that the truth does not name."""
    known = {str(name) for name in truth.video.categories} | {key.video for key in truth.empty_moments}
    strange = sorted({key.video for key in excluded} - known)
    count = sum(key.video in set(strange) for key in excluded)
    if not strange:
        return []
    shown = ", ".join(strange[:3]) + (", ..." if len(strange) > 3 else "")
    return [f"{count} excluded key frames are of {len(strange)} videos that the truth does not name ({shown})."]


def doubts_about_rows(detections: DetectionRows, excluded: Collection[FrameKey], truth: TruthRows) -> list[str]:
    """Notes on detections in AVA's form, and on the excluded key frames."""
    return [*doubts_about_scores(detections.scores), *doubts_about_excluded(excluded, truth)]


def doubts_about_frames(detections: FrameDetections, truth: TubeTruth) -> list[str]:
    """Notes on frame detections of a tube data set."""
    counts = np.array([truth.frame_counts[name] for name in detections.videos], dtype=np.int64)
    known = detections.known
    last = counts[np.where(known, detections.video, 0)] if len(counts) else detections.moments
    return [
        *_doubts_about_moments(detections.moments, known & (detections.moments > last), "detections"),
        *_doubts_about_boxes(detections.boxes, "detections"),
        *_doubts_about_labels(detections.labels, len(truth.labels)),
        *doubts_about_scores(detections.scores),
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
        *doubts_about_scores(tubes.scores),
    ]


def _doubts_about_moments(moments: IntArray, beyond: BoolArray, what: str) -> list[str]:
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

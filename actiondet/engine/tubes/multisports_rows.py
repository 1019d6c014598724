"""From dense scores to MultiSports' frame detections: rows of frame, label, score and pixel box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.records import ActionDetections
from evaluation.tube_dataset import FrameDetections, TubeTruth

Rows = npt.NDArray[np.float32]
"""(N, 8) in the official layout: place of the video, frame, label, score, x1, y1, x2, y2 (pixels)."""


@dataclass(frozen=True, kw_only=True)
class RowChoice:
    """Which of a person's scores become rows.

    Attributes:
        min_score: those at least as large ...
        labels_per_box: ... and among the largest so many; None: all of them.
        labels: the label of each column of the scores; None: column c is label c.
    """

    min_score: float = 0.005
    labels_per_box: int | None = None
    labels: tuple[int, ...] | None = None

    def of(self, found: ActionDetections, *, place: int, size: tuple[int, int]) -> Rows:
        """The rows of one frame, person by person, labels rising.

        Args:
            found: dense scores.
            place: of the video in the truth's test videos.
            size: (height, width) of the video in the truth, pixels.
        """
        scores = found.action_scores
        kept = scores >= self.min_score
        if self.labels_per_box is not None and self.labels_per_box < scores.shape[1]:
            best = np.argsort(-scores, axis=1, kind="stable")[:, : self.labels_per_box]
            among = np.zeros_like(kept)
            np.put_along_axis(among, best, True, axis=1)
            kept &= among
        persons, columns = np.nonzero(kept)
        rows = np.empty((len(persons), 8), dtype=np.float32)
        rows[:, 0], rows[:, 1] = place, found.key.moment
        rows[:, 2] = columns if self.labels is None else np.asarray(self.labels)[columns]
        rows[:, 3] = scores[persons, columns]
        height, width = size
        rows[:, 4:] = (found.boxes.astype(np.float64) * (width, height, width, height))[persons]
        return rows


def frame_detections(
    detections: Iterable[ActionDetections], truth: TubeTruth, choice: RowChoice | None = None
) -> FrameDetections:
    """The rows of many frames of `truth`'s test videos."""
    choice = choice or RowChoice()
    place = {name: number for number, name in enumerate(truth.test_videos)}
    parts = [choice.of(each, place=place[each.key.video], size=truth.sizes[each.key.video]) for each in detections]
    return as_detections(np.concatenate([np.empty((0, 8), np.float32), *parts]), truth)


def as_detections(rows: Rows, truth: TubeTruth) -> FrameDetections:
    """The columns of `rows`; boxes and scores stay where they are."""
    return FrameDetections(
        videos=truth.test_videos,
        video=rows[:, 0].astype(np.int64),
        moments=rows[:, 1].astype(np.int64),
        boxes=rows[:, 4:],
        labels=rows[:, 2].astype(np.int64),
        scores=rows[:, 3],
    )

"""What a benchmark of tubes is scored on: its truth and its frame detections, in pixels as the files hold them.

`TubeTruth.rows` and `FrameDetections.rows` are the bridges to the unit boxes of the rest of the project;
`evaluation.tube_set` says why the scoring itself stays in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evaluation.records import DetectionRows, FloatArray, IntArray, TruthRows, expect_shape
from evaluation.tube_set import Sizes, TubeSet

if TYPE_CHECKING:
    import pandas as pd


def _videos(places: IntArray, names: Sequence[str]) -> pd.Categorical:
    import pandas as pd  # scoring does without it, and starts in half the time

    index: pd.Index = pd.Index(list(names), dtype="object")
    return pd.Categorical.from_codes(places, index)


def _unit(boxes: FloatArray, places: IntArray, names: Sequence[str], sizes: Sizes) -> FloatArray:
    """Divide pixel boxes by the size of their own video; float64."""
    table = np.array([sizes[name] for name in names], dtype=np.float64).reshape(-1, 2)
    unit: FloatArray = boxes / np.tile(table[places][:, ::-1], 2)
    return unit


@dataclass(frozen=True, eq=False, repr=False)
class TubeTruth:
    """The truth of a data set of tubes (MultiSports, JHMDB, UCF101-24).

    Attributes:
        labels: names of the actions; a label is a place in this tuple.
        unscored: labels that are annotated but not scored.
        train_videos: videos to train on.
        test_videos: videos to test on; frame detections name a video by its place here.
        frame_counts: number of frames of every video.
        sizes: (height, width) of every video in pixels.
        tubes: the tubes of all videos, in file order.
    """

    labels: tuple[str, ...]
    unscored: frozenset[int]
    train_videos: tuple[str, ...]
    test_videos: tuple[str, ...]
    frame_counts: Mapping[str, int]
    sizes: Sizes
    tubes: TubeSet

    def __repr__(self) -> str:
        return (
            f"TubeTruth({len(self.labels)} labels, {len(self.train_videos)} train videos, "
            f"{len(self.test_videos)} test videos, {len(self.tubes)} tubes)"
        )

    def of_videos(self, videos: Sequence[str]) -> TubeSet:
        """Return the tubes of `videos`, video by video; their `video` points into `videos`."""
        tubes = self.tubes.of_videos(videos)
        # Stable: within a video the file's own order decides between equal IoUs, as in the official script.
        order = np.argsort(tubes.video, kind="stable")
        return tubes.take(order[tubes.video[order] >= 0])

    def rows(self, videos: Sequence[str]) -> TruthRows:
        """Return the boxes of `videos` as rows with unit boxes; `persons` counts the tubes."""
        tubes = self.of_videos(videos)
        video = np.repeat(tubes.video, tubes.lengths)
        return TruthRows(
            video=_videos(video, videos),
            moment=tubes.moments,
            boxes=_unit(tubes.boxes, video, videos, self.sizes),
            labels=np.repeat(tubes.labels, tubes.lengths),
            persons=np.repeat(np.arange(len(tubes)), tubes.lengths),
            empty_moments=(),
        )


@dataclass(frozen=True, eq=False, repr=False)
class FrameDetections:
    """Scored (box, label) pairs of single frames as columns of N rows.

    Attributes:
        videos: the test videos of the truth.
        video: (N,) int64 place in `videos`; a place that does not exist is a video unknown to the truth.
        moments: (N,) int64 frame numbers, from 1.
        boxes: (N, 4) pixels, float32 or float64 as in the file.
        labels: (N,) int64, from 0.
        scores: (N,) float32 or float64 as in the file.
    """

    videos: tuple[str, ...]
    video: IntArray
    moments: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        rows = len(self.video)
        expect_shape(self.moments, "moments", rows)
        expect_shape(self.boxes, "boxes", rows, 4)
        expect_shape(self.labels, "labels", rows)
        expect_shape(self.scores, "scores", rows)

    def __len__(self) -> int:
        return len(self.video)

    def __repr__(self) -> str:
        return f"FrameDetections({len(self)} rows, {len(self.videos)} videos)"

    @property
    def known(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """(N,) whether the row's video is one of `videos`."""
        return (self.video >= 0) & (self.video < len(self.videos))

    def part(self, start: int, stop: int) -> FrameDetections:
        """Return the rows `start` to `stop` - 1, without a copy."""
        rows = slice(start, stop)
        return replace(
            self,
            video=self.video[rows],
            moments=self.moments[rows],
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            scores=self.scores[rows],
        )

    def on_annotated_frames(self, truth: TubeTruth) -> FrameDetections:
        """Return the rows of frames that have truth: all that MMAction2 tests, where the authors test every frame."""
        tubes = truth.of_videos(self.videos)
        first = min(int(self.moments.min(initial=0)), int(tubes.moments.min(initial=0)))
        span = max(int(self.moments.max(initial=0)), int(tubes.moments.max(initial=0))) - first + 1
        annotated = np.repeat(tubes.video * span, tubes.lengths) + tubes.moments - first
        kept = self.known & np.isin(self.video * span + self.moments - first, annotated)
        return FrameDetections(
            videos=self.videos,
            video=self.video[kept],
            moments=self.moments[kept],
            boxes=self.boxes[kept],
            labels=self.labels[kept],
            scores=self.scores[kept],
        )

    def rows(self, sizes: Sizes) -> DetectionRows:
        """Return the rows of known videos with unit boxes."""
        known = self.known
        video = self.video[known]
        return DetectionRows(
            video=_videos(video, self.videos),
            moment=self.moments[known],
            boxes=_unit(self.boxes[known], video, self.videos, sizes),
            labels=self.labels[known],
            scores=self.scores[known].astype(np.float64),
        )

    @classmethod
    def from_rows(cls, rows: DetectionRows, videos: Sequence[str], sizes: Sizes) -> FrameDetections:
        """Build pixel columns (float64) from unit boxes; a video that `videos` lacks gets the place -1."""
        place = {name: index for index, name in enumerate(videos)}
        names = [str(name) for name in rows.video.categories]
        places = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        codes = np.asarray(rows.video.codes)
        table = np.array([sizes.get(name, (1, 1)) for name in names], dtype=np.float64).reshape(-1, 2)
        return cls(
            videos=tuple(videos),
            video=places[codes],
            moments=rows.moment,
            boxes=rows.boxes * np.tile(table[codes][:, ::-1], 2),
            labels=rows.labels,
            scores=rows.scores,
        )

"""What a benchmark of tubes is scored on: its truth and its frame detections, in pixels as the files hold them.

`TubeTruth.rows` and `FrameDetections.rows` are the bridges to the unit boxes of the rest of the project;
`evaluation.tube_set` says why the scoring itself stays in pixels.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError
from evaluation.name_column import NameColumn
from evaluation.records import DetectionRows, FloatArray, IntArray, TruthRows, expect_shape
from evaluation.row_values import (
    LARGEST_ID,
    box_column,
    check_pixels,
    is_inverted,
    name_codes,
    number_column,
)
from evaluation.tube_set import Sizes, TubeSet


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

    @classmethod
    def from_tubes(
        cls,
        tubes: TubeSet,
        *,
        labels: Sequence[str],
        sizes: Sizes,
        frame_counts: Mapping[str, int] | None = None,
        test_videos: Sequence[str] | None = None,
        unscored: Collection[int] = (),
    ) -> TubeTruth:
        """Make tubes the truth to score against.

        Args:
            tubes: in pixels, of all videos; `TubeSet.from_arrays` makes them.
            labels: names of the actions; a label is a place among them.
            sizes: (height, width) of every video in pixels.
            frame_counts: number of frames of every video; None ends each with its last tube.
            test_videos: the videos that are scored, also those without tubes; None takes those that have tubes.
            unscored: labels that do not count.

        Raises:
            InputError: a label without name, a video without size, a box that is inverted or beyond the last frame.

        Example:
            >>> from evaluation import TubeSet, TubeTruth
            >>> boxes = [[10, 10, 50, 90], [12, 10, 52, 90]]
            >>> tubes = TubeSet.from_arrays(video="v", tube=0, frame=[1, 2], boxes=boxes, labels=0)
            >>> TubeTruth.from_tubes(tubes, labels=["run", "jump"], sizes={"v": (240, 320)})
            TubeTruth(2 labels, 0 train videos, 1 test videos, 1 tubes)
        """
        if len(tubes) and not 0 <= int(tubes.labels.min()) <= int(tubes.labels.max()) < len(labels):
            raise InputError(
                f"labels of tubes are {tubes.labels.min()} to {tubes.labels.max()}; expected 0 to {len(labels) - 1}"
            )
        videos = tuple(tubes.videos if test_videos is None else test_videos)
        if missing := [name for name in (*videos, *tubes.videos) if name not in sizes]:
            raise InputError(f"sizes has no (height, width) for video {missing[0]}")
        last = np.zeros(len(tubes.videos), dtype=np.int64)
        np.maximum.at(last, tubes.video, tubes.last)
        truth = cls(
            labels=tuple(labels),
            unscored=frozenset(unscored),
            train_videos=(),
            test_videos=videos,
            frame_counts={**dict.fromkeys(videos, 0), **dict(zip(tubes.videos, last.tolist(), strict=True))}
            if frame_counts is None
            else frame_counts,
            sizes=sizes,
            tubes=tubes,
        )
        truth.check("tubes")
        return truth

    def check(self, where: str | os.PathLike[str]) -> None:
        """Refuse truth that cannot be meant, before it is trained on or scored against.

        Readers accept it, so that a checker can list every fault.

        Args:
            where: where it comes from, for messages.

        Raises:
            InputError: inverted boxes, frames before the first or after the last of their video.
        """
        tubes = self.tubes
        tube_of = np.repeat(np.arange(len(tubes.labels)), np.diff(tubes.offsets))
        lengths = np.array([self.frame_counts.get(name, LARGEST_ID) for name in tubes.videos], dtype=np.int64)
        faults = (
            (is_inverted(tubes.boxes), "is inverted (x1 > x2 or y1 > y2; is it x, y, width, height?)"),
            (tubes.moments < 1, "is of a frame below 1; frames count from 1"),
            (tubes.moments > lengths[tubes.video][tube_of], "is of a frame beyond the last of its video"),
        )
        for wrong, what in faults:
            if (rows := np.flatnonzero(wrong)).size:
                row = int(rows[0])
                video = tubes.videos[tubes.video[tube_of[row]]]
                box = ", ".join(f"{side:g}" for side in tubes.boxes[row])
                raise InputError(
                    f"{where}: {len(rows)} of {len(wrong)} boxes cannot be meant; the first, ({box}) of frame "
                    f"{tubes.moments[row]} in video {video}, {what}"
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
            video=NameColumn(video, videos),
            moment=tubes.moments.astype(np.int64),
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

    Example:
        >>> from evaluation import read_frame_detections, read_multisports
        >>> truth = read_multisports("GT.pkl")
        >>> found = read_frame_detections("boxes.pkl", truth)
        >>> found
        FrameDetections(4 rows, 1 videos)
        >>> found.rows(truth.sizes)
        DetectionRows(4 rows, 1 videos)
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
        return self._take(slice(start, stop))

    def _take(self, rows: slice | npt.NDArray[np.bool_]) -> FrameDetections:
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
        return self._take(self.known & np.isin(self.video * span + self.moments - first, annotated))

    def rows(self, sizes: Sizes) -> DetectionRows:
        """Return the rows of known videos with unit boxes."""
        known = self.known
        video = self.video[known]
        return DetectionRows(
            video=NameColumn(video, self.videos),
            moment=self.moments[known],
            boxes=_unit(self.boxes[known], video, self.videos, sizes),
            labels=self.labels[known],
            scores=self.scores[known].astype(np.float64),
        )

    @classmethod
    def from_table(cls, table: FloatArray, *, videos: Sequence[str], where: str | os.PathLike[str]) -> FrameDetections:
        """Build the columns from a table and check every number.

        Args:
            table: (N, 8) place of the video, frame, label, score, x1, y1, x2, y2 in pixels. Boxes and scores stay
                where they are: copying them would cost as much as reading the file.
            videos: the test videos of the truth.
            where: where the table comes from, for messages.

        Raises:
            InputError: a number that is not finite, a frame or label that is not whole, boxes that are not in pixels.
        """
        if not np.isfinite(table).all():
            row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
            raise InputError(f"{where}: row {row} (of {len(table)}, from 0) has a number that is not finite")
        if (rows := np.flatnonzero((np.abs(table[:, :3]) > LARGEST_ID).any(axis=1))).size:
            row = int(rows[0])
            raise InputError(
                f"{where}: row {row}: video, frame or label exceed {LARGEST_ID}, found {table[row, :3].tolist()}"
            )
        video, moments, labels = (table[:, column].astype(np.int64) for column in range(3))
        for column, whole in enumerate((video, moments, labels)):
            if not np.array_equal(whole, table[:, column]):
                row = int(np.flatnonzero(whole != table[:, column])[0])
                raise InputError(
                    f"{where}: row {row}: video, frame and label must be whole numbers, found {table[row, :3].tolist()}"
                )
        check_pixels(table[:, 4:], where)
        return cls(
            videos=tuple(videos), video=video, moments=moments, boxes=table[:, 4:], labels=labels, scores=table[:, 3]
        )

    @classmethod
    def from_arrays(
        cls,
        truth: TubeTruth,
        *,
        video: npt.ArrayLike,
        frame: npt.ArrayLike,
        boxes: npt.ArrayLike,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
    ) -> FrameDetections:
        """Build rows from arrays, lists or pandas columns; what the readers of files refuse is refused here, too.

        Args:
            truth: names the test videos; rows of other videos count as false.
            video: (N,) names, or one name for all rows.
            frame: (N,) frame numbers, from 1.
            boxes: (N, 4) x1, y1, x2, y2 in pixels.
            labels: (N,) from 0.
            scores: (N,).

        Raises:
            InputError: naming the first row, from 0, that cannot be a detection.
        """
        pixels = box_column(boxes)
        rows = len(pixels)
        codes, names = name_codes(video, rows)
        place = {name: index for index, name in enumerate(truth.test_videos)}
        places = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        numbers = [number_column(each, name, rows) for each, name in ((frame, "frame"), (labels, "label"))]
        numbers.append(number_column(scores, "score", rows))
        table = np.column_stack([places[codes] if rows else codes, *numbers, pixels])
        return cls.from_table(table, videos=truth.test_videos, where="frame detections")

    @classmethod
    def from_rows(cls, rows: DetectionRows, videos: Sequence[str], sizes: Sizes) -> FrameDetections:
        """Build pixel columns (float64) from unit boxes; a video that `videos` lacks gets the place -1."""
        place = {name: index for index, name in enumerate(videos)}
        names = [str(name) for name in rows.video.categories]
        places = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        codes = rows.video.codes
        table = np.array([sizes.get(name, (1, 1)) for name in names], dtype=np.float64).reshape(-1, 2)
        return cls(
            videos=tuple(videos),
            video=places[codes],
            moments=rows.moment,
            boxes=rows.boxes * np.tile(table[codes][:, ::-1], 2),
            labels=rows.labels,
            scores=rows.scores,
        )


def not_together(truth: object, detections: object) -> InputError:
    """The error for truth and detections of which no evaluation knows what to make."""
    return InputError(
        f"a {type(truth).__name__} and a {type(detections).__name__} do not belong together; expected TruthRows with "
        "DetectionRows, or TubeTruth with FrameDetections or a TubeSet"
    )

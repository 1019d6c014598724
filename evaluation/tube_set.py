"""Many tubes as columns, in pixels exactly as the files hold them.

Scoring a tube means comparing an IoU with a threshold, and on whole-pixel annotations that IoU is often
*exactly* the threshold. A division by the frame's width and back can move it by one part in 10^16, and the
verdict with it. So these columns keep the numbers of the file, in its own float type; `TubeSet.tubes` and
`TubeSet.from_tubes` are the bridges to the unit boxes of the rest of the project.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError
from evaluation.name_column import NameColumn
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, Int32Array, IntArray, Tube, expect_shape
from evaluation.row_values import (
    LARGEST_ID,
    SIDES,
    box_column,
    check_pixels,
    frame_boxes,
    id_column,
    joined_names,
    name_codes,
    number_column,
    refuse,
    table_columns,
)

if TYPE_CHECKING:
    import pandas as pd

Sizes = Mapping[str, tuple[int, int]]
"""(height, width) of every video in pixels."""


def frame_numbers(moments: IntArray) -> Int32Array:
    """Frame numbers as a `TubeSet` holds them: in 4 bytes, for there may be hundreds of millions.

    Raises:
        ValueError: one is too large.
    """
    if len(moments) and (moments.min() < -LARGEST_ID or moments.max() > LARGEST_ID):
        raise ValueError(f"moments reach from {moments.min()} to {moments.max()}; expected frame numbers")
    return moments.astype(np.int32)


@dataclass(frozen=True, eq=False, repr=False)
class TubeSet:
    """N tubes as columns; the M boxes of all tubes lie one tube after the other.

    Attributes:
        videos: names that `video` points into.
        video: (N,) int64 place in `videos`.
        labels: (N,) int64, from 0.
        scores: (N,) confidence of the whole tube; 1.0 for truth.
        offsets: (N + 1,) int64; tube i owns the boxes offsets[i] to offsets[i + 1] - 1.
        moments: (M,) int32 frame numbers; within a tube each is one more than the last.
        boxes: (M, 4) pixels, float32 or float64 as in the file.
        box_scores: (M,) confidence per box.
    """

    videos: tuple[str, ...]
    video: IntArray
    labels: IntArray
    scores: FloatArray
    offsets: IntArray
    moments: Int32Array
    boxes: FloatArray
    box_scores: FloatArray

    def __post_init__(self) -> None:
        tubes, boxes = len(self.video), len(self.moments)
        expect_shape(self.labels, "labels", tubes)
        expect_shape(self.scores, "scores", tubes)
        expect_shape(self.offsets, "offsets", tubes + 1)
        expect_shape(self.boxes, "boxes", boxes, 4)
        expect_shape(self.box_scores, "box_scores", boxes)
        if self.offsets[0] != 0 or self.offsets[-1] != boxes or (tubes and self.lengths.min() < 1):
            raise ValueError("offsets do not divide the boxes into tubes of one box or more")
        if (broken := self.first_broken()) is not None:
            raise ValueError(f"the timestamps of tube {broken} are not consecutive")

    def __len__(self) -> int:
        return len(self.video)

    def __repr__(self) -> str:
        return f"TubeSet({len(self)} tubes, {len(self.moments)} boxes, {len(np.unique(self.video))} videos)"

    @property
    def lengths(self) -> IntArray:
        """(N,) boxes per tube."""
        return np.diff(self.offsets)

    @property
    def first(self) -> IntArray:
        """(N,) first moment of every tube."""
        return self.moments[self.offsets[:-1]].astype(np.int64)

    @property
    def last(self) -> IntArray:
        """(N,) last moment of every tube."""
        return self.moments[self.offsets[1:] - 1].astype(np.int64)

    def first_broken(self) -> int | None:
        """Return the first tube whose moments are not consecutive, if there is one."""
        jumps = np.diff(self.moments) != 1
        jumps[self.offsets[1:-1] - 1] = False  # from the end of one tube to the start of the next
        found = np.flatnonzero(jumps)
        return int(np.searchsorted(self.offsets, found[0], side="right") - 1) if len(found) else None

    def take(self, places: IntArray) -> TubeSet:
        """Return the tubes at `places`, in that order."""
        lengths = self.lengths[places]
        rows = row_ranges(self.offsets[places], lengths)
        return TubeSet(
            videos=self.videos,
            video=self.video[places],
            labels=self.labels[places],
            scores=self.scores[places],
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            moments=self.moments[rows],
            boxes=self.boxes[rows],
            box_scores=self.box_scores[rows],
        )

    def of_videos(self, videos: Sequence[str]) -> TubeSet:
        """Return the same tubes with `video` pointing into `videos`; -1 where the name is not among them."""
        place = {name: index for index, name in enumerate(videos)}
        known = np.array([place.get(name, -1) for name in self.videos] + [-1], dtype=np.int64)
        return replace(self, videos=tuple(videos), video=known[self.video])

    def tubes(self, sizes: Sizes) -> Iterator[Tube]:
        """Yield every tube with float64 unit boxes; `sizes` has the (height, width) of its video in pixels."""
        for i, (place, label, score) in enumerate(zip(self.video, self.labels, self.scores, strict=True)):
            height, width = sizes[self.videos[place]]
            rows = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
            yield Tube(
                video=self.videos[place],
                label=int(label),
                score=float(score),
                moments=self.moments[rows].astype(np.int64),
                boxes=self.boxes[rows] / np.array([width, height, width, height], dtype=np.float64),
                box_scores=self.box_scores[rows],
            )

    def select(
        self,
        *,
        videos: Collection[str] | None = None,
        labels: Collection[int] | None = None,
        min_score: float | None = None,
    ) -> TubeSet:
        """The tubes of some videos and labels, or of a score that is not lower; None takes all."""
        chosen = np.ones(len(self), dtype=np.bool_)
        if videos is not None:
            chosen &= np.isin(self.video, [place for place, name in enumerate(self.videos) if name in videos])
        if labels is not None:
            chosen &= np.isin(self.labels, list(labels))
        if min_score is not None:
            chosen &= self.scores >= min_score
        return self.take(np.flatnonzero(chosen))

    @classmethod
    def concatenate(cls, parts: Sequence[TubeSet]) -> TubeSet:
        """The tubes of all parts, one after the other."""
        codes, names = joined_names([(part.video, part.videos) for part in parts])
        lengths = [np.zeros(0, np.int64), *(part.lengths for part in parts)]
        none = np.zeros(0, np.float32)
        return cls(
            videos=names,
            video=codes,
            labels=np.concatenate([lengths[0], *(part.labels for part in parts)]),
            scores=np.concatenate([none, *(part.scores for part in parts)]),
            offsets=np.append(0, np.cumsum(np.concatenate(lengths))),
            moments=np.concatenate([np.zeros(0, np.int32), *(part.moments for part in parts)]),
            boxes=np.concatenate([none.reshape(0, 4), *(part.boxes for part in parts)]),
            box_scores=np.concatenate([none, *(part.box_scores for part in parts)]),
        )

    @classmethod
    def from_table(
        cls,
        table: FloatArray,
        *,
        offsets: IntArray,
        videos: Sequence[str],
        labels: IntArray,
        scores: FloatArray,
        where: str | os.PathLike[str],
    ) -> TubeSet:
        """Build the columns from the boxes of N tubes and check every number.

        Args:
            table: (M, 5) frame, x1, y1, x2, y2 in pixels, tube after tube; (M, 6) with a score per box.
            offsets: (N + 1,) the rows of tube i are offsets[i] to offsets[i + 1] - 1.
            videos: (N) name of the video of every tube.
            labels: (N,) from 0.
            scores: (N,).
            where: where the table comes from, for messages.

        Raises:
            InputError: a number that is not finite, frames that are not consecutive whole numbers, boxes that are not
                in pixels; naming the first tube and row.
        """

        def fault(row: int, what: str) -> InputError:
            tube = int(np.searchsorted(offsets, row, side="right")) - 1
            name = f"a tube of label {labels[tube]} in video {videos[tube]}"
            return InputError(f"{where}: {name}, row {row - int(offsets[tube])}: {what}")

        if (rows := np.flatnonzero(~np.isfinite(table).all(axis=1))).size:
            raise fault(int(rows[0]), "a number is not finite")
        if (tubes := np.flatnonzero(~np.isfinite(scores))).size:
            tube = int(tubes[0])
            raise InputError(
                f"{where}: a tube of label {labels[tube]} in video {videos[tube]}: its score is {scores[tube]}"
            )
        frames = table[:, 0]
        if (rows := np.flatnonzero(np.abs(frames) > LARGEST_ID)).size:
            raise fault(int(rows[0]), f"the frame number {frames[rows[0]]:g} is too large")
        if (rows := np.flatnonzero(frames % 1)).size:
            raise fault(int(rows[0]), f"the frame number {frames[rows[0]]} is not whole")
        steps = np.diff(frames)
        steps[offsets[1:-1] - 1] = 1  # from the end of one tube to the start of the next
        if (rows := np.flatnonzero(steps != 1)).size:
            before, after = frames[rows[0] : rows[0] + 2]
            raise fault(
                int(rows[0]) + 1, f"frame {after:g} follows {before:g}; a tube has all frames from first to last"
            )
        check_pixels(table[:, 1:5], where)
        place: dict[str, int] = {}
        return cls(
            video=np.array([place.setdefault(name, len(place)) for name in videos], dtype=np.int64),
            videos=tuple(place),
            labels=labels,
            scores=scores,
            offsets=offsets,
            moments=frames.astype(np.int32),
            boxes=np.ascontiguousarray(table[:, 1:5]),
            box_scores=table[:, 5] if table.shape[1] == 6 else np.ones(len(table), table.dtype),
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        video: npt.ArrayLike,
        tube: npt.ArrayLike,
        frame: npt.ArrayLike,
        boxes: npt.ArrayLike,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike = 1.0,
        box_scores: npt.ArrayLike | None = None,
    ) -> TubeSet:
        """Build tubes from one row per box, in any order; what the readers of files refuse is refused here, too.

        Args:
            video: (M,) names, or one name for all rows.
            tube: (M,) which tube of its video and label a box belongs to, any whole number.
            frame: (M,) frame numbers; a tube has all frames from its first to its last, each once.
            boxes: (M, 4) x1, y1, x2, y2 in pixels.
            labels: (M,) from 0.
            scores: (M,) of the whole tube, the same in all its rows; 1 for truth.
            box_scores: (M,) of every box; None for those of the tubes.

        Raises:
            InputError: naming the first tube that cannot be one.

        Example:
            >>> from evaluation import TubeSet
            >>> TubeSet.from_arrays(
            ...     video="v", tube=[0, 0, 1, 1], frame=[1, 2, 1, 2], labels=[3, 3, 3, 3], scores=[0.9, 0.9, 0.2, 0.2],
            ...     boxes=[[10, 10, 50, 90], [12, 10, 52, 90], [60, 10, 99, 80], [60, 10, 99, 80]],
            ... )
            TubeSet(2 tubes, 4 boxes, 1 videos)
        """
        pixels = box_column(boxes)
        rows = len(pixels)
        codes, names = name_codes(video, rows)
        label = id_column(labels, "label", rows)
        number = id_column(tube, "tube", rows, complaint="is not the number of a tube", least=-LARGEST_ID)
        score = number_column(scores, "score", rows)
        columns = [number_column(frame, "frame", rows), *pixels.T]
        columns.append(score if box_scores is None else number_column(box_scores, "box score", rows))
        order = np.lexsort((columns[0], number, label, codes))
        codes, label, number, score = codes[order], label[order], number[order], score[order]
        steps = (np.diff(column) != 0 for column in (codes, label, number))
        first = np.flatnonzero(np.append(rows > 0, np.any(list(steps), axis=0))[:rows])
        tube_of = np.repeat(np.arange(len(first)), np.diff(np.append(first, rows)))
        refuse(
            (score != score[first[tube_of]]) & ~np.isnan(score) if rows else np.zeros(0, np.bool_),
            lambda row: (
                f"score {score[row]:g} differs from {score[first[tube_of[row]]]:g}, that of its tube's first box"
            ),
        )
        return cls.from_table(
            np.stack(columns, axis=1)[order],
            offsets=np.append(first, rows),
            videos=[names[code] for code in codes[first].tolist()],
            labels=label[first],
            scores=score[first],
            where="tubes",
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> TubeSet:
        """Build tubes from a table of boxes: video, tube, frame, x1, y1, x2, y2, label and maybe score, box_score.

        Raises:
            InputError: a missing column, or the first tube that cannot be one.
        """
        columns = table_columns(
            frame, needed=["video", "tube", "frame", *SIDES, "label"], optional=["score", "box_score"]
        )
        return cls.from_arrays(
            video=columns["video"],
            tube=columns["tube"],
            frame=columns["frame"],
            boxes=frame_boxes(columns),
            labels=columns["label"],
            scores=columns.get("score", 1.0),
            box_scores=columns.get("box_score"),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per box, with the columns that `from_frame` takes; `tube` counts the tubes."""
        import pandas as pd  # scoring does without it, and starts in half the time

        tube = np.repeat(np.arange(len(self)), self.lengths)
        frame: pd.DataFrame = pd.DataFrame(
            {"video": NameColumn(self.video[tube], self.videos).to_pandas(), "tube": tube, "frame": self.moments}
        )
        frame[list(SIDES)] = self.boxes
        frame["label"], frame["score"], frame["box_score"] = self.labels[tube], self.scores[tube], self.box_scores
        return frame

    @classmethod
    def from_tubes(cls, tubes: Iterable[Tube], sizes: Sizes) -> TubeSet:
        """Build the columns from tubes with unit boxes; pixels become float32, as the field's files hold them.

        Raises:
            ValueError: a tube that skips a moment, or a video without a size.
        """
        tubes = list(tubes)
        videos = tuple(dict.fromkeys(tube.video for tube in tubes))
        place = {name: index for index, name in enumerate(videos)}
        if missing := [name for name in videos if name not in sizes]:
            raise ValueError(f"the frame size of video {missing[0]} is not known")
        frames = [np.tile(sizes[tube.video][::-1], 2) for tube in tubes]
        empty = [np.zeros((0, 4))]
        return cls(
            videos=videos,
            video=np.array([place[tube.video] for tube in tubes], dtype=np.int64),
            labels=np.array([tube.label for tube in tubes], dtype=np.int64),
            scores=np.array([tube.score for tube in tubes], dtype=np.float64),
            offsets=np.cumsum([0, *(len(tube) for tube in tubes)], dtype=np.int64),
            moments=frame_numbers(np.concatenate([*(tube.moments for tube in tubes), np.zeros(0, np.int64)])),
            boxes=np.concatenate(
                empty + [tube.boxes * frame for tube, frame in zip(tubes, frames, strict=True)], dtype=np.float32
            ),
            box_scores=np.concatenate([*(tube.box_scores for tube in tubes), np.zeros(0)], dtype=np.float32),
        )

"""Many tubes as columns, in pixels exactly as the files hold them.

Scoring a tube means comparing an IoU with a threshold, and on whole-pixel annotations that IoU is often
*exactly* the threshold. A division by the frame's width and back can move it by one part in 10^16, and the
verdict with it. So these columns keep the numbers of the file, in its own float type; `TubeSet.tubes` and
`TubeSet.from_tubes` are the bridges to the unit boxes of the rest of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray, Tube, expect_shape

Sizes = Mapping[str, tuple[int, int]]
"""(height, width) of every video in pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class TubeSet:
    """N tubes as columns; the M boxes of all tubes lie one tube after the other.

    Attributes:
        videos: names that `video` points into.
        video: (N,) int64 place in `videos`.
        labels: (N,) int64, from 0.
        scores: (N,) confidence of the whole tube; 1.0 for truth.
        offsets: (N + 1,) int64; tube i owns the boxes offsets[i] to offsets[i + 1] - 1.
        moments: (M,) int64 frame numbers; within a tube each is one more than the last.
        boxes: (M, 4) pixels, float32 or float64 as in the file.
        box_scores: (M,) confidence per box.
    """

    videos: tuple[str, ...]
    video: IntArray
    labels: IntArray
    scores: FloatArray
    offsets: IntArray
    moments: IntArray
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
            raise ValueError(f"the moments of tube {broken} are not consecutive")

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
        return self.moments[self.offsets[:-1]]

    @property
    def last(self) -> IntArray:
        """(N,) last moment of every tube."""
        return self.moments[self.offsets[1:] - 1]

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
                moments=self.moments[rows],
                boxes=self.boxes[rows] / np.array([width, height, width, height], dtype=np.float64),
                box_scores=self.box_scores[rows],
            )

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
            moments=np.concatenate([*(tube.moments for tube in tubes), np.zeros(0, np.int64)]),
            boxes=np.concatenate(
                empty + [tube.boxes * frame for tube, frame in zip(tubes, frames, strict=True)], dtype=np.float32
            ),
            box_scores=np.concatenate([*(tube.box_scores for tube in tubes), np.zeros(0)], dtype=np.float32),
        )

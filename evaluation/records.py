"""What is scored: the records that the whole project exchanges (numpy only).

Boxes are *unit boxes*: (x1, y1, x2, y2) as fractions of the frame's width and height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd  # only AVA's million rows need it; scoring tubes starts in half the time without

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


def check_finite(scores: FloatArray) -> None:
    """Refuse scores of a network that contain NaN or infinity.

    Raises:
        InputError: naming the likely cause.
    """
    if not np.isfinite(scores).all():
        raise InputError(
            "scores contain NaN or infinity; expected finite numbers: the weights are damaged, or their training "
            "diverged (train.base_lr)"
        )


class FrameKey(NamedTuple):
    """One annotated instant of one video.

    Attributes:
        video: the data set's name of the video.
        moment: exact integer in the benchmark's own unit: microseconds in the AVA family (whose official
            key has six decimals of a second), the frame number from 1 in MultiSports and other tube sets.
    """

    video: str
    moment: int


def expect_shape(array: npt.NDArray[np.generic], name: str, *shape: int | None) -> None:
    """Raise a ValueError unless `array` has `shape`; None stands for any length."""
    fits = array.ndim == len(shape)
    for have, want in zip(array.shape, shape, strict=False):  # a loop: hundreds of thousands of records are made
        fits = fits and (want is None or have == want)
    if not fits:
        wanted = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
        raise ValueError(f"{name} has shape {array.shape}, expected {wanted}")


@dataclass(frozen=True, eq=False, repr=False)
class PersonBoxes:
    """The persons found at one moment.

    Attributes:
        key: video and moment.
        boxes: (P, 4) float32 unit boxes.
        scores: (P,) float32 detector confidence in [0, 1].
    """

    key: FrameKey
    boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        expect_shape(self.boxes, "boxes", None, 4)
        expect_shape(self.scores, "scores", len(self.boxes))

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"PersonBoxes({self.key.video}@{self.key.moment}, {len(self)} persons)"


@dataclass(frozen=True, eq=False, repr=False)
class ActionDetections:
    """What a network says of the persons at one moment: dense scores, the model's natural output.

    Attributes:
        key: video and moment.
        boxes: (P, 4) float32 unit boxes.
        person_scores: (P,) confidence of the person detector.
        action_scores: (P, C) score of every action for every person; column c is label c + 1 on
            AVA-format sets and label c on sets whose labels start at 0.
    """

    key: FrameKey
    boxes: FloatArray
    person_scores: FloatArray
    action_scores: FloatArray

    def __post_init__(self) -> None:
        expect_shape(self.boxes, "boxes", None, 4)
        expect_shape(self.person_scores, "person_scores", len(self.boxes))
        expect_shape(self.action_scores, "action_scores", len(self.boxes), None)

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        persons, actions = self.action_scores.shape
        return f"ActionDetections({self.key.video}@{self.key.moment}, {persons} persons, {actions} actions)"


@dataclass(frozen=True, eq=False, repr=False)
class DetectionRows:
    """Scored (box, label) pairs as columns of N rows, the way result files hold them.

    Attributes:
        video: (N,) pandas Categorical of video names.
        moment: (N,) int64, unit as in FrameKey.
        boxes: (N, 4) float64 unit boxes.
        labels: (N,) int64.
        scores: (N,) float64.
    """

    video: pd.Categorical
    moment: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        rows = len(self.video)
        expect_shape(self.moment, "moment", rows)
        expect_shape(self.boxes, "boxes", rows, 4)
        expect_shape(self.labels, "labels", rows)
        expect_shape(self.scores, "scores", rows)

    def __len__(self) -> int:
        return len(self.moment)

    def __repr__(self) -> str:
        return f"DetectionRows({len(self)} rows, {len(self.video.categories)} videos)"


@dataclass(frozen=True, eq=False, repr=False)
class TruthRows:
    """Annotated (box, label) pairs as columns of N rows.

    Attributes:
        video: (N,) pandas Categorical of video names.
        moment: (N,) int64, unit as in FrameKey.
        boxes: (N, 4) float64 unit boxes.
        labels: (N,) int64.
        persons: (N,) int64 identity of the person within its video; -1 where the file gives none.
        empty_moments: annotated moments at which nobody was found (rows of a file that name only a
            video and a time).
    """

    video: pd.Categorical
    moment: IntArray
    boxes: FloatArray
    labels: IntArray
    persons: IntArray
    empty_moments: tuple[FrameKey, ...]

    def __post_init__(self) -> None:
        rows = len(self.video)
        expect_shape(self.moment, "moment", rows)
        expect_shape(self.boxes, "boxes", rows, 4)
        expect_shape(self.labels, "labels", rows)
        expect_shape(self.persons, "persons", rows)

    def __len__(self) -> int:
        return len(self.moment)

    def __repr__(self) -> str:
        return f"TruthRows({len(self)} rows, {len(self.video.categories)} videos)"


@dataclass(frozen=True, eq=False, repr=False)
class Tube:
    """One person doing one action over time.

    Attributes:
        video: the data set's name of the video.
        label: the action.
        score: confidence of the whole tube; 1.0 for truth.
        moments: (T,) int64, rising.
        boxes: (T, 4) unit boxes.
        box_scores: (T,) confidence per moment.
    """

    video: str
    label: int
    score: float
    moments: IntArray
    boxes: FloatArray
    box_scores: FloatArray

    def __post_init__(self) -> None:
        expect_shape(self.moments, "moments", None)
        expect_shape(self.boxes, "boxes", len(self.moments), 4)
        expect_shape(self.box_scores, "box_scores", len(self.moments))
        if len(self.moments) == 0:
            raise ValueError(f"a tube of {self.video} has no boxes; expected at least one")
        if np.any(np.diff(self.moments) <= 0):
            raise ValueError(f"moments of a tube of {self.video} do not rise")

    def __len__(self) -> int:
        return len(self.moments)

    def __repr__(self) -> str:
        first, last = int(self.moments[0]), int(self.moments[-1])
        return f"Tube({self.video}, label {self.label}, {first}..{last}, score {self.score:.3f})"

"""What is scored: the records that the whole project exchanges (numpy only).

Boxes are *unit boxes*: (x1, y1, x2, y2) as fractions of the frame's width and height.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from evaluation import row_values as values
from evaluation.errors import InputError
from evaluation.name_column import NameColumn, RowChoice

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.formats.action_list import ActionList

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]


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

    Example:
        >>> from evaluation import FrameKey
        >>> FrameKey("a", 902_000_000).video
        'a'
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

    Example:
        >>> from evaluation import FrameKey, read_proposals
        >>> read_proposals("persons.pkl")[FrameKey("a", 902_000_000)]
        PersonBoxes(a@902000000, 2 persons)
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

    Example:
        >>> import numpy as np
        >>> from evaluation import ActionDetections, ActionList, DetectionRows, FrameKey
        >>> boxes = np.array([[0.1, 0.1, 0.3, 0.5]], np.float32)
        >>> found = ActionDetections(FrameKey("a", 902_000_000), boxes, np.array([0.99]), np.array([[0.8, 0.3]]))
        >>> found
        ActionDetections(a@902000000, 1 persons, 2 actions)
        >>> actions = ActionList((1, 2), ("sit", "run"), (None, None))
        >>> DetectionRows.from_detections([found], actions=actions).scores
        array([0.8, 0.3])
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


Rows = TypeVar("Rows", bound="BoxRows")


@dataclass(frozen=True, eq=False, repr=False)
class BoxRows:
    """What N (box, label) pairs have in common, found or annotated.

    Attributes:
        video: (N,) names of videos; a pandas Categorical becomes such a column.
        moment: (N,) int64, unit as in FrameKey.
        boxes: (N, 4) float64 unit boxes.
        labels: (N,) int64.
    """

    video: NameColumn
    moment: IntArray
    boxes: FloatArray
    labels: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", NameColumn.of(self.video))
        rows = len(self.video)
        expect_shape(self.moment, "moment", rows)
        expect_shape(self.boxes, "boxes", rows, 4)
        expect_shape(self.labels, "labels", rows)

    def __len__(self) -> int:
        return len(self.moment)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows, {len(self.video.categories)} videos)"

    def __getitem__(self: Rows, rows: RowChoice) -> Rows:
        """The rows of a slice, of an (N,) mask, or at some places."""
        names = [field.name for field in fields(self) if field.name != "empty_moments"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True, eq=False, repr=False)
class DetectionRows(BoxRows):
    """Scored (box, label) pairs as columns of N rows, the way result files hold them.

    `rows[a:b]`, `rows[mask]` and `rows[places]` choose rows, `select` chooses by video, label and score.

    Attributes:
        video: (N,) names of videos; a pandas Categorical becomes such a column.
        moment: (N,) int64, unit as in FrameKey.
        boxes: (N, 4) float64 unit boxes.
        labels: (N,) int64.
        scores: (N,) float64.

    Example:
        >>> from evaluation import DetectionRows
        >>> rows = DetectionRows.from_arrays(
        ...     video=["a", "a", "b"],
        ...     time=[902, 903, 902],
        ...     boxes=[[0.1, 0.1, 0.5, 0.9], [0.1, 0.1, 0.5, 0.9], [0.4, 0.2, 0.6, 0.8]],
        ...     labels=[12, 12, 80],
        ...     scores=[0.9, 0.8, 0.3],
        ... )
        >>> rows.select(videos=["a"], min_score=0.85)
        DetectionRows(1 rows, 2 videos)
        >>> DetectionRows.concatenate([rows[:1], rows[2:]]).to_frame()[["video", "time", "label", "score"]]
          video   time  label  score
        0     a  902.0     12    0.9
        1     b  902.0     80    0.3
    """

    scores: FloatArray

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_shape(self.scores, "scores", len(self))

    def check(self) -> None:
        """Refuse values that no reader of files lets pass.

        Raises:
            InputError: a box that is not finite or in pixels, or a score that is not finite.
        """
        values.check_unit_boxes(self.boxes)
        values.check_scores(self.scores)

    def select(
        self,
        *,
        videos: Collection[str] | None = None,
        labels: Collection[int] | None = None,
        min_score: float | None = None,
    ) -> DetectionRows:
        """The rows of some videos and labels, or of a score that is not lower; None takes all."""
        chosen = _chosen(self.video, self.labels, videos, labels)
        return self[chosen if min_score is None else chosen & (self.scores >= min_score)]

    @classmethod
    def concatenate(cls, parts: Sequence[DetectionRows]) -> DetectionRows:
        """The rows of all parts, one after the other."""
        return cls(
            **_joined_boxes(parts),
            scores=np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        video: npt.ArrayLike | pd.Series | pd.Categorical | NameColumn,
        time: npt.ArrayLike,
        boxes: npt.ArrayLike,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
    ) -> DetectionRows:
        """Build rows from arrays, lists or pandas columns; what the readers of files refuse is refused here, too.

        Args:
            video: (N,) names, or one name for all rows.
            time: (N,) seconds, or one time for all rows.
            boxes: (N, 4) unit boxes x1, y1, x2, y2.
            labels: (N,) action ids.
            scores: (N,) finite scores.

        Raises:
            InputError: naming the first row, from 0, that cannot be a detection.
        """
        columns = _box_columns(video, time, boxes, labels)
        table = cls(**columns, scores=values.number_column(scores, "score", len(columns["boxes"])))
        table.check()
        return table

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> DetectionRows:
        """Build rows from a table with the columns video, time (seconds), x1, y1, x2, y2, label and score.

        Raises:
            InputError: a missing column, or a row that cannot be a detection.
        """
        columns = values.table_columns(frame, needed=["video", "time", *values.SIDES, "label", "score"])
        return cls.from_arrays(
            video=columns["video"],
            time=columns["time"],
            boxes=values.frame_boxes(columns),
            labels=columns["label"],
            scores=columns["score"],
        )

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table with the columns that `from_frame` takes."""
        frame = _frame_of(self)
        frame["score"] = self.scores
        return frame

    @classmethod
    def from_detections(cls, detections: Sequence[ActionDetections], *, actions: ActionList) -> DetectionRows:
        """One row for every person and listed action, from dense scores; the scores are the action's alone.

        Args:
            detections: in the order of the rows.
            actions: the actions that become rows, in the order of a person's rows.

        Raises:
            InputError: an action without a column of scores.
        """
        columns = actions.columns
        if short := [each for each in detections if each.action_scores.shape[1] <= columns.max()]:
            raise InputError(f"{short[0]} has no column for action {actions.largest_id}; is it the right action list?")
        videos = {name: code for code, name in enumerate(dict.fromkeys(each.key.video for each in detections))}
        counts = np.array([len(each) * len(columns) for each in detections], dtype=np.int64)
        codes = np.array([videos[each.key.video] for each in detections], dtype=np.int64)
        moments = np.array([each.key.moment for each in detections], dtype=np.int64)
        boxes = np.concatenate([np.zeros((0, 4)), *(each.boxes for each in detections)])
        return cls(
            video=NameColumn(np.repeat(codes, counts), tuple(videos)),
            moment=np.repeat(moments, counts),
            boxes=boxes.repeat(len(columns), axis=0),
            labels=np.tile(np.asarray(actions.ids, dtype=np.int64), len(boxes)),
            scores=np.concatenate([np.zeros(0), *(each.action_scores[:, columns].ravel() for each in detections)]),
        )


@dataclass(frozen=True, eq=False, repr=False)
class TruthRows(BoxRows):
    """Annotated (box, label) pairs as columns of N rows.

    `rows[a:b]`, `rows[mask]` and `rows[places]` choose rows and keep `empty_moments`.

    Attributes:
        video: (N,) names of videos; a pandas Categorical becomes such a column.
        moment: (N,) int64, unit as in FrameKey.
        boxes: (N, 4) float64 unit boxes.
        labels: (N,) int64.
        persons: (N,) int64 identity of the person within its video; -1 where the file gives none.
        empty_moments: annotated moments at which nobody was found (rows of a file that name only a
            video and a time).

    Example:
        >>> from evaluation import TruthRows
        >>> TruthRows.from_arrays(video="a", time=902, boxes=[[0.1, 0.1, 0.5, 0.9]], labels=[12], empty=[("a", 903)])
        TruthRows(1 rows, 1 videos)
    """

    persons: IntArray
    empty_moments: tuple[FrameKey, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_shape(self.persons, "persons", len(self))

    def check(self) -> None:
        """Refuse values that no reader of files lets pass.

        Raises:
            InputError: a box that is not finite or in pixels.
        """
        values.check_unit_boxes(self.boxes)

    def select(self, *, videos: Collection[str] | None = None, labels: Collection[int] | None = None) -> TruthRows:
        """The rows of some videos and labels, and the empty moments of these videos; None takes all."""
        table = self[_chosen(self.video, self.labels, videos, labels)]
        if videos is None:
            return table
        return replace(table, empty_moments=tuple(key for key in self.empty_moments if key.video in videos))

    @classmethod
    def concatenate(cls, parts: Sequence[TruthRows]) -> TruthRows:
        """The rows of all parts, one after the other."""
        return cls(
            **_joined_boxes(parts),
            persons=np.concatenate([np.zeros(0, np.int64), *(part.persons for part in parts)]),
            empty_moments=tuple(dict.fromkeys(key for part in parts for key in part.empty_moments)),
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        video: npt.ArrayLike | pd.Series | pd.Categorical | NameColumn,
        time: npt.ArrayLike,
        boxes: npt.ArrayLike,
        labels: npt.ArrayLike,
        persons: npt.ArrayLike | None = None,
        empty: Iterable[tuple[str, float]] = (),
    ) -> TruthRows:
        """Build rows from arrays, lists or pandas columns; what the readers of files refuse is refused here, too.

        Args:
            video: (N,) names, or one name for all rows.
            time: (N,) seconds, or one time for all rows.
            boxes: (N, 4) unit boxes x1, y1, x2, y2.
            labels: (N,) action ids.
            persons: (N,) identities within each video; None where they are not known.
            empty: video and time of moments that were annotated and show nobody.

        Raises:
            InputError: naming the first row, from 0, that cannot be an annotation.
        """
        columns = _box_columns(video, time, boxes, labels)
        numbers = values.number_column(-1 if persons is None else persons, "person", len(columns["boxes"]))
        values.refuse(~values.is_person(numbers), lambda row: f"person {numbers[row]:g} {values.NOT_A_PERSON}")
        keys = list(empty)
        key_codes, key_names = values.name_codes([name for name, _ in keys], len(keys))
        key_moments = values.moment_column([time for _, time in keys], len(keys))
        table = cls(
            **columns,
            persons=numbers.astype(np.int64),
            empty_moments=tuple(
                FrameKey(key_names[code], moment)
                for code, moment in zip(key_codes.tolist(), key_moments.tolist(), strict=True)
            ),
        )
        table.check()
        values.check_uninverted(table.boxes)
        return table

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> TruthRows:
        """Build rows from a table with the columns video, time (seconds), x1, y1, x2, y2, label and maybe person.

        A row that has a video and a time alone (NaN in the other columns) is a moment that shows nobody.

        Raises:
            InputError: a missing column, or a row that cannot be an annotation.
        """
        columns = values.table_columns(frame, needed=["video", "time", *values.SIDES, "label"], optional=["person"])
        boxes = values.frame_boxes(columns)
        empty = np.isnan(boxes).all(axis=1) & np.asarray(frame["label"].isna())
        keys = zip(frame["video"][empty].tolist(), frame["time"][empty].tolist(), strict=True)
        return cls.from_arrays(
            video=columns["video"][~empty],
            time=columns["time"][~empty],
            boxes=boxes[~empty],
            labels=columns["label"][~empty],
            persons=columns["person"][~empty] if "person" in columns else None,
            empty=list(keys),
        )

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table with the columns that `from_frame` takes; without the empty moments."""
        frame = _frame_of(self)
        frame["person"] = self.persons
        return frame


def _chosen(
    video: NameColumn, labels: IntArray, videos: Collection[str] | None, wanted: Collection[int] | None
) -> npt.NDArray[np.bool_]:
    """(N,) which rows are of some videos and labels; None takes all."""
    chosen = np.ones(len(labels), dtype=np.bool_)
    if videos is not None:
        known = np.array([str(name) in videos for name in video.categories] + [False], dtype=np.bool_)
        chosen &= known[video.codes]
    if wanted is not None:
        chosen &= np.isin(labels, list(wanted))
    return chosen


def _box_columns(
    video: npt.ArrayLike | pd.Series | pd.Categorical | NameColumn,
    time: npt.ArrayLike,
    boxes: npt.ArrayLike,
    labels: npt.ArrayLike,
) -> dict[str, Any]:
    """What rows of boxes have in common, by name, of the arguments of `from_arrays`."""
    unit_boxes = values.box_column(boxes)
    rows = len(unit_boxes)
    return {
        "video": NameColumn(*values.name_codes(video, rows)),
        "moment": values.moment_column(time, rows),
        "boxes": unit_boxes,
        "labels": values.id_column(labels, "label", rows),
    }


def _joined_boxes(parts: Sequence[DetectionRows] | Sequence[TruthRows]) -> dict[str, Any]:
    """What rows of boxes have in common, by name, of all parts one after the other."""
    codes, names = values.joined_names([(part.video.codes, part.video.categories.tolist()) for part in parts])
    return {
        "video": NameColumn(codes, names),
        "moment": np.concatenate([np.zeros(0, np.int64), *(part.moment for part in parts)]),
        "boxes": np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
        "labels": np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)]),
    }


def _frame_of(rows: DetectionRows | TruthRows) -> pd.DataFrame:
    import pandas as pd  # scoring does without it, and starts in half the time

    frame: pd.DataFrame = pd.DataFrame({"video": rows.video.to_pandas(), "time": rows.moment / 1e6})
    frame[list(values.SIDES)] = rows.boxes
    frame["label"] = rows.labels
    return frame


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
        person: identity within the video; -1 where it is not known.

    Example:
        >>> from evaluation import read_multisports
        >>> truth = read_multisports("GT.pkl")
        >>> next(truth.tubes.tubes(truth.sizes))
        Tube(v, label 0, 1..2, score 1.000)
    """

    video: str
    label: int
    score: float
    moments: IntArray
    boxes: FloatArray
    box_scores: FloatArray
    person: int = -1

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

"""Clip recognition: averaging the views of a video, top-k accuracy and mean class accuracy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray, check_finite
from evaluation.result import Result
from evaluation.tables import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class RecognitionResult(Result):
    """How well N videos were recognized.

    It has `hits`, `per_class`, `to_json`, `to_csv` and `plot`, the accuracy of every class; no `mean_ap` and `curves`,
    because every video gets one label.

    Attributes:
        ranks: (N,) place of the true label among all labels by score, from 0.
        labels: (N,) the true labels.
        guesses: (N,) the labels with the highest scores.
        names: (C) what the labels are called; their numbers, where they have no names.

    Example:
        >>> from evaluation import read_video_scores, recognition_accuracy
        >>> scores = read_video_scores("scores.pkl")
        >>> recognition_accuracy(scores.scores, scores.labels, names=scores.classes)
        RecognitionResult(2 videos, top-1 1.0000, top-5 1.0000)
    """

    ranks: IntArray
    labels: IntArray
    guesses: IntArray
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"RecognitionResult({len(self.ranks)} videos, top-1 {self.top(1):.4f}, top-5 {self.top(5):.4f})"

    def __str__(self) -> str:
        return "\n".join(
            [
                f"top-1 {self.top(1):.4f}",
                f"top-5 {self.top(5):.4f}",
                f"mean class accuracy {self.mean_class_accuracy:.4f}",
                f"videos {len(self.ranks)}",
            ]
        )

    @property
    def figures(self) -> dict[str, float]:
        """The figures by name, as JSON files have them."""
        top = {"top_1": self.top(1), "top_5": self.top(5)}
        return top | {"mean_class_accuracy": self.mean_class_accuracy, "videos": len(self.labels)}

    def top(self, k: int) -> float:
        """Share of videos whose label is among the `k` highest scores, in [0, 1]."""
        return float(np.mean(self.ranks < k))

    @property
    def hits(self) -> BoolArray:
        """(N,) whether the label with the highest score is the true one."""
        hits: BoolArray = self.ranks == 0
        return hits

    @property
    def columns(self) -> dict[str, Any]:
        """Of every label that occurs its id, name, videos and accuracy."""
        videos = np.bincount(self.labels)
        right = np.bincount(self.labels[self.hits], minlength=len(videos))
        ids = np.flatnonzero(videos)
        return {
            "id": ids,
            "name": [self.names[label] for label in ids.tolist()],
            "videos": videos[ids],
            "accuracy": right[ids] / videos[ids],
        }

    @property
    def mean_class_accuracy(self) -> float:
        """Mean of the top-1 accuracy over the labels that occur, in [0, 1]."""
        return float(np.mean(self.columns["accuracy"]))

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes: `figures`, and classes with what `per_class` has."""
        return {**self.figures, "classes": records(self.columns)}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the accuracy of every class, sorted; see `Result.plot`."""
        from evaluation.plots import (  # matplotlib is loaded only for a picture
            ActionBars,
            draw_bars,
            height_of,
            picture,
        )

        columns = self.columns
        order = np.argsort(columns["accuracy"], kind="stable")
        bars = ActionBars(
            names=[columns["name"][place] for place in order],
            values=columns["accuracy"][order],
            counts=columns["videos"][order].tolist(),
            kinds=[None] * len(order),
            label="accuracy (dashed: mean); n: number of videos",
        )
        size, mean = (9, height_of(len(order))), self.mean_class_accuracy
        title = f"top-1 {self.top(1):.4f}, mean class accuracy {mean:.4f}"
        return picture(size, lambda on: draw_bars(on, bars, mean, title=title), path, axes)


def recognition_accuracy(
    scores: FloatArray, labels: IntArray, *, names: Sequence[str] | None = None
) -> RecognitionResult:
    """Compare scores with the true labels.

    Args:
        scores: (N, C), higher is more likely. Of equal scores the lower label ranks first.
        labels: (N,) in 0..C-1.
        names: (C) of the labels, for tables; None takes their numbers.

    Raises:
        ValueError: no videos, shapes that do not fit, or labels outside the scores' columns.
        InputError: scores that are not finite, or another number of names than columns.

    Example:
        >>> import numpy as np
        >>> from evaluation import recognition_accuracy
        >>> scores = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]])
        >>> result = recognition_accuracy(scores, np.array([0, 1, 1]), names=["run", "sit"])
        >>> result.per_class
           id name  videos  accuracy
        0   0  run       1       1.0
        1   1  sit       2       0.5
    """
    if scores.ndim != 2 or len(scores) == 0 or labels.shape != (len(scores),):
        raise ValueError(f"scores {scores.shape} and labels {labels.shape}; expected (N, C) and (N,) with N > 0")
    check_finite(scores)
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels {labels.min()}..{labels.max()} do not fit {scores.shape[1]} columns of scores")
    own = scores[np.arange(len(scores)), labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    ranks: IntArray = np.sum((scores > own) | ((scores == own) & before), axis=1)
    names = [str(label) for label in range(scores.shape[1])] if names is None else names
    if len(names) != scores.shape[1]:
        raise InputError(f"{len(names)} names for {scores.shape[1]} columns of scores; expected one for each")
    return RecognitionResult(ranks, labels, np.argmax(scores, axis=1), tuple(names))


def average_views(scores: FloatArray, videos: IntArray) -> tuple[IntArray, FloatArray]:
    """Average the scores of all views (temporal clips times spatial crops) of every video.

    Args:
        scores: (V, C) scores of views, in any order; softmax them first, as the published protocols do.
        videos: (V,) number of the video that each view shows.

    Returns:
        (N,) the videos, rising; (N, C) float64 mean scores.

    Raises:
        ValueError: shapes that do not fit, or videos with different numbers of views: some view is missing or
            came twice.

    Example:
        >>> import numpy as np
        >>> from evaluation import average_views
        >>> videos, scores = average_views(np.array([[0.6, 0.4], [0.8, 0.2]]), np.array([7, 7]))
        >>> videos.tolist(), scores.round(6).tolist()
        ([7], [[0.7, 0.3]])
    """
    if scores.ndim != 2 or videos.shape != (len(scores),):
        raise ValueError(f"scores {scores.shape} and videos {videos.shape}; expected (V, C) and (V,)")
    names, number, views = np.unique(videos, return_inverse=True, return_counts=True)
    if len(views) and views.min() != views.max():
        odd = names[views != np.bincount(views).argmax()]
        raise ValueError(
            f"videos have between {views.min()} and {views.max()} views; expected as many for each "
            f"(video {odd[0]} is an odd one)"
        )
    total = np.zeros((len(names), scores.shape[1]), dtype=np.float64)
    np.add.at(total, number, scores)
    return names, total / views[:, None]

"""Clip recognition: averaging the views of a video, top-k accuracy and mean class accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.records import FloatArray, IntArray, check_finite


@dataclass(frozen=True, eq=False, repr=False)
class RecognitionResult:
    """How well N videos were recognised.

    Attributes:
        ranks: (N,) place of the true label among all labels by score, from 0.
        labels: (N,) the true labels.
        guesses: (N,) the labels with the highest scores.
    """

    ranks: IntArray
    labels: IntArray
    guesses: IntArray

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
    def per_class(self) -> pd.DataFrame:
        """One row per label that occurs: label, videos, accuracy."""
        frame = pd.DataFrame({"label": self.labels, "hit": self.ranks == 0})
        table: pd.DataFrame = frame.groupby("label")["hit"].agg(videos="count", accuracy="mean").reset_index()
        return table

    @property
    def mean_class_accuracy(self) -> float:
        """Mean of the top-1 accuracy over the labels that occur, in [0, 1]."""
        return float(self.per_class["accuracy"].mean())


def recognition_accuracy(scores: FloatArray, labels: IntArray) -> RecognitionResult:
    """Compare scores with the true labels.

    Args:
        scores: (N, C), higher is more likely. Of equal scores the lower label ranks first.
        labels: (N,) in 0..C-1.

    Raises:
        ValueError: no videos, shapes that do not fit, or labels outside the scores' columns.
        InputError: scores that are not finite.
    """
    if scores.ndim != 2 or len(scores) == 0 or labels.shape != (len(scores),):
        raise ValueError(f"scores {scores.shape} and labels {labels.shape}; expected (N, C) and (N,) with N > 0")
    check_finite(scores)
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels {labels.min()}..{labels.max()} do not fit {scores.shape[1]} columns of scores")
    own = scores[np.arange(len(scores)), labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    ranks: IntArray = np.sum((scores > own) | ((scores == own) & before), axis=1)
    return RecognitionResult(ranks, labels, np.argmax(scores, axis=1))


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

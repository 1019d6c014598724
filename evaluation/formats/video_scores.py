"""Scores of whole videos on disk, to be scored again: a pickle of plain containers and arrays."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass

import numpy as np

from evaluation.errors import InputError
from evaluation.files import atomic_path, load_pickle
from evaluation.records import FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class VideoScores:
    """What a recognizer says of N videos.

    Attributes:
        videos: (N) names, as the list of the data set has them.
        labels: (N,) the true labels, from 0.
        scores: (N, C) float64, averaged or summed over the views of each video.
        classes: (C) names of the labels.
        views: temporal clips and spatial crops of each video.
        average: how the views became one score: "softmax", "sum" or "logits".

    Example:
        >>> from evaluation import read_video_scores
        >>> read_video_scores("scores.pkl")
        VideoScores(2 videos, 2 classes)
    """

    videos: tuple[str, ...]
    labels: IntArray
    scores: FloatArray
    classes: tuple[str, ...]
    views: tuple[int, int]
    average: str

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.videos), len(self.classes)) or self.labels.shape != (len(self.videos),):
            raise ValueError(
                f"scores {self.scores.shape} and labels {self.labels.shape} of {len(self.videos)} videos and "
                f"{len(self.classes)} classes"
            )

    def __repr__(self) -> str:
        return f"VideoScores({len(self.videos)} videos, {len(self.classes)} classes)"


def write_video_scores(path: str | os.PathLike[str], scores: VideoScores) -> None:
    """Write `scores`; `read_video_scores` gives the same numbers back.

    Example:
        >>> from evaluation import read_video_scores, write_video_scores
        >>> write_video_scores("copy.pkl", read_video_scores("scores.pkl"))
        >>> read_video_scores("copy.pkl")
        VideoScores(2 videos, 2 classes)
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pickle.dump(asdict(scores), file, protocol=4)


def read_video_scores(path: str | os.PathLike[str]) -> VideoScores:
    """Read what `write_video_scores` wrote; nothing in the file is executed.

    Raises:
        InputError: not such a file.

    Example:
        >>> from evaluation import read_video_scores
        >>> read_video_scores("scores.pkl").classes
        ('run', 'sit')
    """
    content = load_pickle(path)
    if not isinstance(content, dict) or set(content) != set(VideoScores.__dataclass_fields__):
        raise InputError(f"{path}: holds no video scores; expected a file of tools/test_rec.py --dump")
    try:
        return VideoScores(
            videos=tuple(content["videos"]),
            labels=np.asarray(content["labels"], dtype=np.int64),
            scores=np.asarray(content["scores"], dtype=np.float64),
            classes=tuple(content["classes"]),
            views=tuple(content["views"]),
            average=str(content["average"]),
        )
    except (TypeError, ValueError) as fault:
        raise InputError(f"{path}: its parts do not fit together ({fault})") from None

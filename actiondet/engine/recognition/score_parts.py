"""An interrupted test goes on: the scores of finished clips are kept in small files until the dump is written."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from actiondet.config import RecognitionConfig
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.records import FloatArray, IntArray

PART_SECONDS = 60.0
"""Work that is lost at most when a test is killed."""


@dataclass(frozen=True, eq=False)
class ViewScores:
    """What a network says of single views.

    Attributes:
        scores: (V, C) float32.
        videos: (V,) numbers of the videos.
        views: (V,) numbers of the views of these videos.
    """

    scores: FloatArray
    videos: IntArray
    views: IntArray

    @classmethod
    def joined(cls, parts: Sequence[ViewScores], *, classes: int) -> ViewScores:
        """All of `parts`, which may be none, one after the other."""
        empty = np.zeros(0, dtype=np.int64)
        every = [cls(np.zeros((0, classes), dtype=np.float32), empty, empty), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in every]) for name in cls.__dataclass_fields__))

    def chosen(self, rows: npt.NDArray[np.bool_] | IntArray) -> ViewScores:
        """Some of the views."""
        return ViewScores(self.scores[rows], self.videos[rows], self.views[rows])


class ScoreParts:
    """The files of one test: each holds the clips that one process finished in about a minute.

    A part is written whole or not at all. A run with other settings, weights or videos has another `name`, and so
    another folder; the number of processes may change.
    """

    def __init__(self, folder: Path, *, share: range, classes: int, clips: int, crops: int, process: int) -> None:
        """Read what an interrupted test left of `share`.

        Args:
            folder: of the parts; made with the first of them.
            share: the draws (video x clips + clip) of this process. Only these are taken from the parts, so that no
                view comes twice while other processes write theirs.
            classes: columns of the scores.
            clips, crops: of each video, and of each clip.
            process: number of this one; part of the files' names.

        Raises:
            InputError: a part that is damaged.
        """
        self._folder, self._process = folder, process
        found = [_read(path) for path in sorted(folder.glob("[!.]*.npz"))]
        tried = {int(draw) for draws, _ in found for draw in draws}
        self.done = frozenset(tried.intersection(share))
        every = ViewScores.joined([scores for _, scores in found], classes=classes)
        draws = every.videos * clips + every.views // crops
        self.kept = every.chosen(np.isin(draws, list(self.done)))
        self._classes = classes
        self._number = len(found)
        self._draws: list[int] = []
        self._fresh: list[ViewScores] = []
        self._written = time.monotonic()

    def add(self, draws: Sequence[int], scores: Sequence[ViewScores]) -> None:
        """Note a finished batch: `draws` and the scores of those that could be read."""
        self._draws += draws
        self._fresh += scores
        if time.monotonic() - self._written >= PART_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what has been noted since the last part."""
        if self._draws:
            fresh = ViewScores.joined(self._fresh, classes=self._classes)
            with atomic_path(self._folder / f"{self._process:03d}_{self._number:05d}.npz") as temporary:
                np.savez(temporary, draws=np.array(self._draws), **vars(fresh))
            self._draws, self._fresh, self._number = [], [], self._number + 1
        self._written = time.monotonic()

    def remove(self) -> None:
        """Delete the parts: the test is over."""
        shutil.rmtree(self._folder, ignore_errors=True)


def parts_folder(dump: Path, config: RecognitionConfig, weights: str | Path, videos: Sequence[str]) -> Path:
    """Where the parts of a test lie: beside `dump`, its name made of everything that the scores depend on."""
    digest = hashlib.sha256()
    asked = {"model", "clip", "transform", "data", "test"}
    free = {"data": {"unreadable", "max_unreadable", "keep_gib"}, "test": {"batch"}}
    settings = config.model_dump(mode="json", include=asked, exclude=free)
    digest.update(json.dumps([settings, config.train.precision, list(videos)], sort_keys=True).encode())
    with open(weights, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return dump.with_name(f"{dump.name}.{digest.hexdigest()[:12]}.parts")


def _read(path: Path) -> tuple[IntArray, ViewScores]:
    """The draws of a part, and their scores."""
    try:
        with np.load(path) as part:
            return part["draws"], ViewScores(part["scores"], part["videos"], part["views"])
    except (OSError, ValueError, KeyError, BadZipFile) as fault:
        raise InputError(f"{path}: damaged ({fault}); delete it, and its clips are tested again") from None

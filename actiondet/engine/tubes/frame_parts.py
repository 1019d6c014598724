"""An interrupted test on frames goes on: the rows of each finished video are kept until the final file is written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

import numpy as np

from actiondet.config import DetectionConfig
from actiondet.config.schema import MultiSportsConfig
from actiondet.data.dense import VideoEnd
from actiondet.engine.tubes.multisports_rows import Rows
from evaluation.errors import InputError
from evaluation.files import atomic_path, write_text


class FrameParts:
    """The finished videos of one test, known by their places in the truth's test videos.

    A video has rows and the VideoEnd, or, if it could not be read, the VideoEnd alone. Each file is written whole or
    not at all, so any number of processes may write and look at the same time.
    """

    def __init__(self, folder: Path) -> None:
        """Use `folder`; it is made with the first part."""
        self.folder = folder

    def write(self, place: int, rows: Rows, end: VideoEnd) -> None:
        """Keep what was found in a video."""
        if not end.fault:
            with atomic_path(self._rows(place)) as temporary:
                np.save(temporary, rows)
        write_text(self._end(place), json.dumps(astuple(end)))

    def drop_fault(self, place: int) -> None:
        """Forget that a video could not be read, so that it is tried again."""
        if self.is_done(place) and self.end(place).fault:
            self._end(place).unlink()

    def is_done(self, place: int) -> bool:
        """Whether the video is done with, well or badly."""
        return self._end(place).is_file()

    def end(self, place: int) -> VideoEnd:
        """How the video ended."""
        return VideoEnd(*json.loads(self._end(place).read_text(encoding="utf-8")))

    def joined(self, places: Iterable[int]) -> Rows:
        """The rows of some videos that were read to their end, one video after the other.

        Raises:
            InputError: a part that is damaged.
        """
        parts = [self._opened(place) for place in places]
        rows = np.empty((sum(map(len, parts)), 8), dtype=np.float32)
        begin = 0
        for part in parts:
            rows[begin : begin + len(part)] = part
            begin += len(part)
        return rows

    def remove(self) -> None:
        """Delete the parts: the final file holds everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _opened(self, place: int) -> Rows:
        try:
            # Mapped, so that only the joined array takes memory.
            rows: Rows = np.load(self._rows(place), mmap_mode="r")
        except (OSError, ValueError) as fault:
            raise InputError(
                f"{self._rows(place)}: damaged ({fault}); delete {self._end(place).name} beside it, and its video is "
                "tested again"
            ) from None
        return rows

    def _rows(self, place: int) -> Path:
        return self.folder / f"{place:05d}.npy"

    def _end(self, place: int) -> Path:
        return self.folder / f"{place:05d}.json"


def parts_folder(target: Path, config: DetectionConfig, weights: str | Path, *how: object) -> Path:
    """Where the parts of a test lie: beside `target`, its name made of everything that the rows depend on.

    Videos that are added later belong to the same test: the truth says their places.

    Args:
        target: the final file.
        config: of the test, on a set of tubes.
        weights: the file.
        how: further options of the test.
    """
    assert isinstance(config.data, MultiSportsConfig)
    digest = hashlib.sha256()
    asked = {"model", "clip", "transform", "data", "test"}
    free = {"data": {"max_unreadable"}, "test": {"batch"}}
    settings = config.model_dump(mode="json", include=asked, exclude=free)
    digest.update(json.dumps([settings, config.train.precision, [repr(each) for each in how]], sort_keys=True).encode())
    files = config.data.val
    for path in (weights, files.truth, files.proposals):
        with open(path or os.devnull, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return target.with_name(f"{target.name}.{digest.hexdigest()[:12]}.parts")

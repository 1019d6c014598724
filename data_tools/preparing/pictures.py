"""Extracting one video, or a piece of it, into a folder of numbered JPEG pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from actiondet.video import FrameFolder, index_video
from data_tools.disk import remove
from data_tools.preparing.cut import Cut, read_in_order, scaled_size
from evaluation.errors import InputError

TEMPLATE = "img_{:05d}.jpg"
"""The first picture is img_00001.jpg: what FrameFolder and the field's tools expect."""
_QUALITY = 95


class Pictures(Cut):
    """A job: a folder of pictures of a piece of a video; it has a rate, and no coding."""

    def is_whole(self, folder: Path, frames: int) -> bool:
        """Whether the folder is there with so many pictures, none missing in between."""
        assert self.fps is not None  # pictures have no times of their own
        try:
            return len(FrameFolder(folder / self.name, TEMPLATE, fps=self.fps).index) == frames
        except (InputError, OSError):
            return False

    def make(self, folder: Path) -> int:
        """Write the pictures; the folder gets its name when all are there.

        Raises:
            InputError: the source cannot be read, is too short, or is damaged within the piece.
        """
        assert self.source is not None
        cv2.setNumThreads(1)
        index = index_video(self.source)
        chosen = self.choose(index)
        size = scaled_size(index, self.short_side)
        with _atomic_folder(folder / self.name) as temporary:
            for place, (_, image) in enumerate(read_in_order(index, chosen, size), start=1):
                bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
                coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
                # Not cv2.imwrite: it does not report a full disk.
                (temporary / TEMPLATE.format(place)).write_bytes(coded.tobytes())
        return len(chosen)


@contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, which takes its place only if the block succeeds."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    remove(temporary)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        remove(target)
        os.replace(temporary, target)
    finally:
        remove(temporary)

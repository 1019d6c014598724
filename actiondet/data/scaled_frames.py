"""The frames of clips that lie near each other: each is decoded, converted and resized once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from actiondet.video import VideoReader
from actiondet.video.pixels import Image
from evaluation.records import IntArray

Scaled = TypeVar("Scaled")

_AT_ONCE = 16
"""Frames that are resized together, which is faster than one by one; few, so that large ones take little memory."""


class ScaledFrames(Generic[Scaled]):
    """Frames of one video at the network's size, kept as long as clips that come next may share them."""

    def __init__(self, resize: Callable[[Image], Sequence[Scaled]]) -> None:
        """Hold nothing yet; `resize` takes (T, H, W, 3) frames, and gives T things."""
        self._resize = resize
        self._path = ""
        self._frames: dict[int, Scaled] = {}

    def expect(self, reader: VideoReader, windows: Sequence[IntArray]) -> None:
        """Read the frames of all `windows`, (T,) numbers each, in one pass; drop those that are in none.

        Raises:
            InputError: one of them cannot be read.
        """
        wanted = np.unique(np.concatenate(windows)).tolist()
        held = self._frames if reader.index.path == self._path else {}
        self._frames = {number: held[number] for number in wanted if number in held}
        self._path = reader.index.path
        missing = [number for number in wanted if number not in self._frames]
        for start in range(0, len(missing), _AT_ONCE):
            numbers = missing[start : start + _AT_ONCE]
            self._frames.update(zip(numbers, self._resize(reader.read(numbers)), strict=True))

    def of(self, reader: VideoReader, window: IntArray) -> list[Scaled]:
        """The (T,) frames of `window`; where they were not expected, they are read now.

        Raises:
            InputError: a frame cannot be read.
        """
        if reader.index.path != self._path or not all(number in self._frames for number in window.tolist()):
            self.expect(reader, [window])
        return [self._frames[number] for number in window.tolist()]

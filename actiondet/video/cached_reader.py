"""Videos decoded once and kept in memory: small sets train faster so."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from actiondet.video import VideoIndex, VideoReader
from actiondet.video.index import IntArray
from actiondet.video.pixels import Image


class MemoryBudget:
    """How much memory is left for decoded videos, shared by the readers of one data set in one process.

    Attributes:
        bytes: that are left.
    """

    def __init__(self, size: int) -> None:
        self.bytes = size

    def take(self, size: int) -> bool:
        """Whether `size` bytes are left; they are then taken."""
        if size > self.bytes:
            return False
        self.bytes -= size
        return True


class CachedReader:
    """A reader that decodes its video as a whole when first read, and keeps the frames if there is room for them."""

    def __init__(self, reader: VideoReader, room: MemoryBudget) -> None:
        self._reader = reader
        self._room = room
        self._images: Image | None = None

    @property
    def index(self) -> VideoIndex:
        """The video's frames and their times."""
        return self._reader.index

    def read(self, frames: Sequence[int] | IntArray) -> Image:
        """(T, H, W, 3) uint8 RGB, as the reader itself gives them."""
        index = self.index
        size = len(index) * index.height * index.width * 3
        if self._images is None and self._room.take(size):
            try:
                self._images = self._reader.read(range(len(index)))
            finally:
                self._reader.close()
                if self._images is None:
                    self._room.bytes += size
        if self._images is None:
            return self._reader.read(frames)
        images: Image = self._images[index.checked_numbers(frames)]
        return images

    def close(self) -> None:
        """Close the file; the frames stay."""
        self._reader.close()

    def __enter__(self) -> CachedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

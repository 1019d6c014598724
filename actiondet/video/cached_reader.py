"""Videos decoded once and kept in memory that all processes share: small sets train faster so."""

from __future__ import annotations

import mmap
import multiprocessing
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from actiondet.video.base import VideoReader
from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.pixels import Image
from evaluation.errors import InputError

_EMPTY, _TAKEN = -1, -2
_AT_ONCE = 64
"""Frames that are decoded together: few, so that a long video takes little memory beside that in which it is kept."""
# Without a reserve: the memory may be larger than the machine's, as long as it is not filled.
_FLAGS = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


class SharedFrames:
    """Memory for the frames of decoded videos, which processes that are forked later share with this one.

    It is taken from the system as it fills. A pickled copy is empty and has memory of its own.
    """

    def __init__(self, videos: Iterable[str], size: int) -> None:
        """Make room.

        Args:
            videos: all that may be kept, by the paths of their files.
            size: of the memory in bytes.
        """
        self._places: Mapping[str, int] = {path: place for place, path in enumerate(videos)}
        self._size = size
        self._memory = mmap.mmap(-1, max(size, 1), flags=_FLAGS)
        numbers = mmap.mmap(-1, 8 * (len(self._places) + 1))
        # Where each video begins; and last, where the free memory does.
        self._starts = np.frombuffer(numbers, dtype=np.int64)
        self._starts[:-1] = _EMPTY
        self._lock = multiprocessing.Lock()

    def find(self, index: VideoIndex) -> Image | None:
        """The frames (N, H, W, 3) of a video; None where they are not here."""
        start = int(self._starts[self._places[index.path]])
        return None if start < 0 else self._view(index, start)

    def take(self, index: VideoIndex) -> Image | None:
        """Room for the frames (N, H, W, 3) of a video; None where there is none, or where another process fills it."""
        place = self._places[index.path]
        with self._lock:
            start = int(self._starts[-1])
            if self._starts[place] != _EMPTY or start + _bytes(index) > self._size:
                return None
            self._starts[place] = _TAKEN
            self._starts[-1] = start + _bytes(index)
        return self._view(index, start)

    def finish(self, index: VideoIndex, room: Image) -> None:
        """All processes may read what `take` gave for this video: it is filled."""
        memory = np.frombuffer(self._memory, dtype=np.uint8)
        self._starts[self._places[index.path]] = room.ctypes.data - memory.ctypes.data

    def give_back(self, index: VideoIndex, room: Image) -> None:
        """What `take` gave is not needed."""
        memory = np.frombuffer(self._memory, dtype=np.uint8)
        start = room.ctypes.data - memory.ctypes.data
        with self._lock:
            self._starts[self._places[index.path]] = _EMPTY
            if self._starts[-1] == start + room.nbytes:  # else the hole stays
                self._starts[-1] = start

    def _view(self, index: VideoIndex, start: int) -> Image:
        flat = np.frombuffer(self._memory, dtype=np.uint8, count=_bytes(index), offset=start)
        return flat.reshape(len(index), index.height, index.width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return {"videos": list(self._places), "size": self._size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _bytes(index: VideoIndex) -> int:
    return len(index) * index.height * index.width * 3


class CachedReader(VideoReader):
    """A reader that decodes its video as a whole when first read, and keeps the frames if there is room for them."""

    def __init__(self, reader: VideoReader, shared: SharedFrames) -> None:
        super().__init__(reader.index)
        self._reader = reader
        self._shared = shared

    def _read_rising(self, numbers: IntArray) -> Image:
        index = self.index
        kept = self._shared.find(index)
        if kept is None and (room := self._shared.take(index)) is not None:
            try:
                for start in range(0, len(index), _AT_ONCE):
                    part = room[start : start + _AT_ONCE]
                    part[:] = self._reader.read(range(start, start + len(part)))
                self._shared.finish(index, room)
                kept = room
            except (InputError, OSError):
                pass  # a frame is damaged; those that are asked for may be whole
            finally:
                self._reader.close()
                if kept is None:
                    self._shared.give_back(index, room)
        if kept is None:
            return self._reader.read(numbers)
        images: Image = kept[numbers]
        return images

    def close(self) -> None:
        """Close the file; the frames stay."""
        self._reader.close()

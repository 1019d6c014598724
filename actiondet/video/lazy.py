"""Readers that open their file where they are used."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import numpy as np

from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.pixels import Image

Handle = TypeVar("Handle")

_opened: WeakSet[LazyReader[Any]] = WeakSet()
_inherited: list[object] = []


def _forget_handles() -> None:
    """In a forked child: put the parent's handles aside, unused and unclosed, until the child ends.

    They share their place in the file with the parent's, and closing one may wait for threads that only the
    parent has.
    """
    for reader in list(_opened):
        _inherited.append(reader._handle)
        reader._handle = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_handles)


class LazyReader(ABC, Generic[Handle]):
    """A reader whose file is opened at the first `read`, and again in every process that it is forked or pickled into.

    So one reader may be made in the parent and used in the workers of a data loader. A reader serves one thread at
    a time.

    Attributes:
        index: what is in the file.
    """

    def __init__(self, index: VideoIndex) -> None:
        self.index = index
        self._handle: Handle | None = None

    def read(self, frames: Sequence[int] | IntArray) -> Image:
        """Decode frames by number.

        Args:
            frames: numbers of shown frames, from 0; in any order, repeats allowed.

        Returns:
            (T, H, W, 3) uint8 RGB, in the order asked.

        Raises:
            InputError: the file cannot be opened, or is damaged at one of these frames.
            IndexError: no frame with that number.
        """
        numbers = self.index.checked_numbers(frames)
        if len(numbers) == 0:
            return np.empty((0, self.index.height, self.index.width, 3), dtype=np.uint8)
        # Going back within a group of pictures would decode it again: ask in rising order, each frame once.
        ordered, places = np.unique(numbers, return_inverse=True)
        images = self._read_rising(self._open_here(), ordered)
        return images if len(ordered) == len(numbers) and (np.diff(numbers) > 0).all() else images[places]

    @abstractmethod
    def _open(self) -> Handle:
        """Open the file."""

    @abstractmethod
    def _close(self, handle: Handle) -> None:
        """Close what `_open` gave."""

    @abstractmethod
    def _read_rising(self, handle: Handle, numbers: IntArray) -> Image:
        """Decode the frames `numbers`, which rise strictly and exist."""

    def _open_here(self) -> Handle:
        if self._handle is None:
            self._handle = self._open()
            _opened.add(self)
        return self._handle

    def close(self) -> None:
        """Close the file; a later `read` opens it again."""
        if self._handle is not None:
            self._close(self._handle)
        self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    def __enter__(self) -> LazyReader[Handle]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Readers that open their file where they are used."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from actiondet.video.base import VideoReader
from actiondet.video.index import VideoIndex
from evaluation.errors import InputError

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


def _size(path: str) -> int | None:
    """Of a file in bytes; None where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


class LazyReader(VideoReader, Generic[Handle]):
    """A reader whose file is opened at the first `read`, and again in every process that it is forked or pickled into.

    So one reader may be made in the parent and used in the workers of a data loader. A reader serves one thread at
    a time.
    """

    def __init__(self, index: VideoIndex) -> None:
        super().__init__(index)
        self._handle: Handle | None = None
        self._size = _size(index.path)

    @abstractmethod
    def _open(self) -> Handle:
        """Open the file."""

    def _close(self, handle: Handle) -> None:
        """Close what `_open` gave; here it closes when it is forgotten."""

    def _open_here(self) -> Handle:
        if self._handle is None:
            if _size(self.index.path) not in (self._size, None):
                raise InputError(
                    f"{self.index.path}: is another file than the one whose frames were counted; leave videos as they "
                    "are while they are used, and repeat the command"
                )
            self._handle = self._open()
            _opened.add(self)
        return self._handle

    def close(self) -> None:
        """As of every reader."""
        if self._handle is not None:
            self._close(self._handle)
        self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

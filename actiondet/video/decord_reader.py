"""Reading with decord, for the files for which it is exact."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.lazy import LazyReader
from actiondet.video.pixels import Image
from evaluation.errors import InputError


def decord_is_installed() -> bool:
    """Whether decord can be imported; its wheels exist for x86_64 only."""
    return find_spec("decord") is not None


class DecordReader(LazyReader[Any]):
    """Reads chosen frames of a video file with decord, with one thread.

    Raises:
        InputError: the index says that decord would give wrong frames.
    """

    def __init__(self, index: VideoIndex) -> None:
        if index.decord_unsafe is not None:
            raise InputError(
                f"{index.path}: decord would give wrong frames, because {index.decord_unsafe}; use reader auto or pyav"
            )
        super().__init__(index)

    def _open(self) -> Any:
        decord: Any = import_module("decord")  # not at the top: it is optional and slow; Any: it has no types
        decord.logging.set_level(decord.logging.QUIET)
        try:
            handle = decord.VideoReader(os.path.abspath(self.index.path), num_threads=1)
        except Exception as fault:  # decord's own error is nothing more special
            raise InputError(f"{self.index.path}: decord cannot open it ({_reason(fault)}); use reader pyav") from None
        if len(handle) != len(self.index):
            raise InputError(
                f"{self.index.path}: decord sees {len(handle)} of {len(self.index)} frames; use reader pyav"
            )
        return handle

    def _read_rising(self, numbers: IntArray) -> Image:
        handle = self._open_here()
        try:
            images: Image = handle.get_batch(numbers.tolist()).asnumpy()
        except Exception as fault:  # as above
            raise InputError(
                f"{self.index.path}: decord cannot decode frames {numbers[0]} to {numbers[-1]}, the file is damaged "
                f"there ({_reason(fault)})"
            ) from None
        return images


def _reason(fault: Exception) -> str:
    """What decord says, without its stack."""
    return str(fault).strip().splitlines()[0].rsplit("] ", 1)[-1] if str(fault).strip() else type(fault).__name__

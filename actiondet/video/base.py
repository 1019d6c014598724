"""What a reader of frames is, wherever the frames come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.pixels import Image


class VideoReader(ABC):
    """Gives chosen frames of one video: exactly those that sequential decoding shows.

    A reader can be pickled and forked; it opens its file when it is first read in a process.

    Attributes:
        index: the video's frames and their times.
    """

    def __init__(self, index: VideoIndex) -> None:
        self.index = index

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
        images = self._read_rising(ordered)
        return images if len(ordered) == len(numbers) and (np.diff(numbers) > 0).all() else images[places]

    @abstractmethod
    def _read_rising(self, numbers: IntArray) -> Image:
        """Decode the frames `numbers`, which rise strictly and exist."""

    def close(self) -> None:  # noqa: B027  # a folder of frames has nothing to close
        """Close the file; a later `read` opens it again."""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

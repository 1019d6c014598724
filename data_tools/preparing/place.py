"""Putting a video where a data set has it, as it is or re-encoded, once it has been looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actiondet.video import VideoIndex, index_video
from data_tools.disk import link_or_copy
from data_tools.preparing.coding import USUAL, Coding
from data_tools.preparing.cut import Cut
from evaluation.errors import InputError
from evaluation.files import atomic_path


@dataclass(frozen=True, kw_only=True)
class Place:
    """A job: a whole video that must have the frames and the size that its annotations name.

    Attributes:
        source: the video; None if it was not found.
        name: of the output below the folder of the data set; where it is re-encoded it ends in .mp4.
        frames: how many it must have; None does not ask.
        slack: by how many it may miss that (decoders disagree about the end of old AVI files).
        size: (height, width) that it must have, in pixels; None does not ask.
        coding: whether to re-encode it (H.264 in mp4) instead of linking or copying the file, and its keyframes.
    """

    source: str | None
    name: str
    frames: int | None = None
    slack: int = 0
    size: tuple[int, int] | None = None
    coding: Coding = USUAL

    @property
    def order(self) -> str:
        """Whether it is the file itself."""
        return self.coding.order.removeprefix(", ") if self.coding.recode else "as it is"

    def is_whole(self, folder: Path, frames: int) -> bool:
        """Whether the output is there, with so many frames, which are as many as the annotations name."""
        try:
            return self._fits(frames) and len(index_video(folder / self.name)) == frames
        except (InputError, OSError):
            return False

    def make(self, folder: Path) -> int:
        """Check the video and link it (copy it to another disk); return its number of frames.

        Raises:
            InputError: it cannot be read, or has other frames or another size than the annotations name.
        """
        assert self.source is not None
        index = index_video(self.source)
        self._check(index)
        if self.coding.recode:
            return Cut(source=self.source, name=self.name, coding=self.coding).make(folder)
        with atomic_path(folder / self.name) as temporary:
            link_or_copy(self.source, temporary)
        return len(index)

    def _fits(self, frames: int) -> bool:
        return self.frames is None or abs(frames - self.frames) <= self.slack

    def _check(self, index: VideoIndex) -> None:
        if not self._fits(len(index)):
            raise InputError(
                f"{index.path}: has {len(index)} frames, its annotations are for {self.frames}; expected the "
                "official file, neither cut nor changed in rate"
            )
        if self.size is not None and (index.height, index.width) != self.size:
            raise InputError(
                f"{index.path}: is {index.width}x{index.height}, its annotations are for {self.size[1]}x{self.size[0]} "
                "pixels; expected the official file, not resized"
            )

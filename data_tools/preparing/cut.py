"""Cutting and re-encoding one video, frame by frame: no system FFmpeg, and no frame more or less than asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from actiondet.video import VideoIndex, VideoWriter, index_video, nearest_frames
from actiondet.video.pixels import Image
from actiondet.video.pyav_reader import PyavReader
from actiondet.video.sampling import IntArray
from data_tools.disk import link_or_copy
from data_tools.preparing.coding import USUAL, Coding
from data_tools.preparing.sources import is_same
from evaluation.errors import InputError
from evaluation.files import atomic_path

_AT_ONCE = 16
"""Frames that are decoded before they are written."""
_CRF = 18
"""Finer than FFmpeg's default of 23, which the published scripts use: what is lost here is lost for good."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A job: one mp4 (H.264, with its sound) of a piece of a video, or of all of it.

    Attributes:
        source: the video; None if it was not found.
        name: of the output below the folder of the data set; ends in .mp4.
        start_us: where the piece begins, microseconds after the first shown frame.
        end_us: where it ends; None at the end of the video.
        shortest_us: a video of which less than this is left from `start_us` on is refused.
        longest_us: a video that is longer is refused; None does not ask.
        fps: frames a second of the output; None keeps the source's frames and their times.
        short_side: the shorter side of the picture is reduced to so many pixels; a smaller picture, and any with
            None, keeps its size. Sizes are made even by scaling, so that unit boxes stay right.
        coding: keyframes, and whether a source that is already what is asked for is re-encoded.
    """

    source: str | None
    name: str
    start_us: int = 0
    end_us: int | None = None
    shortest_us: int = 0
    longest_us: int | None = None
    fps: Fraction | None = None
    short_side: int | None = None
    coding: Coding = USUAL

    @property
    def order(self) -> str:
        """Rate, size and unusual coding; the name says the rest."""
        rate = "own rate" if self.fps is None else f"{self.fps} fps"
        size = "own size" if self.short_side is None else f"short side {self.short_side}"
        return f"{rate}, {size}{self.coding.order}"

    def is_whole(self, folder: Path, frames: int) -> bool:
        """Whether the output is there and has so many frames."""
        try:
            return len(index_video(folder / self.name)) == frames
        except (InputError, OSError):
            return False

    def make(self, folder: Path) -> int:
        """Write the piece and count its frames again before it gets its name.

        Raises:
            InputError: the source cannot be read, is too short, or is damaged within the piece.
        """
        assert self.source is not None
        cv2.setNumThreads(1)
        index = index_video(self.source)
        if self.longest_us is not None and index.duration_us > self.longest_us:
            raise InputError(
                f"{index.path}: lasts {index.duration_us / 1e6:.2f} s, expected at most {self.longest_us / 1e6:g} s by "
                "its name; it was cut at some other place (at a keyframe, without re-encoding?): cut it again"
            )
        chosen = self.choose(index)
        with atomic_path(folder / self.name) as temporary:
            if self._needs_no_coding(index):
                link_or_copy(self.source, temporary)
            elif is_same(Path(self.source), folder / self.name):
                raise InputError(f"{self.source}: would be replaced by its own copy; name another folder to write to")
            else:
                self._write_as_can_be(temporary, index, chosen)
            _check_count(temporary, len(chosen), self.source)
        return len(chosen)

    def choose(self, index: VideoIndex) -> IntArray:
        """The shown frames that make the piece, see `choose_frames`."""
        return choose_frames(
            index, start_us=self.start_us, end_us=self.end_us, shortest_us=self.shortest_us, fps=self.fps
        )

    def _needs_no_coding(self, index: VideoIndex) -> bool:
        """The source is already what is asked for: re-encoding would only blur it."""
        return (
            not self.coding.recode
            and self.start_us == 0
            and self.end_us is None
            and self.fps in (None, index.rate)
            and scaled_size(index, self.short_side) == (index.width, index.height)
            and index.path.lower().endswith(".mp4")
            and index.decord_unsafe is None
        )

    def _write_as_can_be(self, path: Path, index: VideoIndex, chosen: IntArray) -> None:
        """Write the piece with its sound; without it if that is damaged: pictures are what the data set is for."""
        if index.has_audio:
            try:
                return self._write(path, index, chosen, sound=True)
            except ValueError:  # InputError, and what FFmpeg calls invalid data; not a full disk
                pass
        return self._write(path, index, chosen, sound=False)

    def _write(self, path: Path, index: VideoIndex, chosen: IntArray, *, sound: bool) -> None:
        first_us = int(index.frame_times[chosen[0]])
        width, height = scaled_size(index, self.short_side)
        rate = self.fps or index.rate
        source = _sounding_from(index, first_us) if sound else None
        aspect = index.pixel_aspect
        if aspect != 1:  # even sizes change the shape of the picture a little, which pixels that have one make up for
            aspect *= Fraction(index.width * height, index.height * width)
        how = VideoWriter(
            path, rate, width, height, source, crf=_CRF, reproducible=True, pixel_aspect=aspect, gop=self.coding.gop
        )
        with how as writer:
            for number, image in read_in_order(index, chosen, (width, height)):
                writer.write(image, None if self.fps else int(index.frame_times[number]) - first_us)


def choose_frames(
    index: VideoIndex,
    *,
    start_us: int = 0,
    end_us: int | None = None,
    shortest_us: int = 0,
    fps: Fraction | None = None,
) -> IntArray:
    """Choose the shown frames that make a piece of a video.

    Frame i of a piece with `fps` is the shown frame nearest to `start + i / fps`, and there are
    round(length * fps) of them. Without `fps` the piece is every frame from the one nearest to the start up to, and
    without, the one nearest to the end: 10 seconds at 30 frames a second are 300 frames.

    Returns:
        (N,) numbers of shown frames, rising, with repeats where `fps` is above the source's rate.

    Raises:
        InputError: the video ends before the piece begins, or too soon after that.
    """
    until = min(end_us, index.duration_us) if end_us is not None else index.duration_us
    if until - start_us < max(shortest_us, 1):
        wanted = f"expected at least {shortest_us / 1e6:g} s more" if shortest_us else "expected more"
        raise InputError(
            f"{index.path}: lasts {index.duration_us / 1e6:.2f} s, its piece begins at {start_us / 1e6:g} s, {wanted}; "
            "is it cut already, or not whole?"
        )
    if fps is not None:
        count = max(1, round((until - start_us) * fps / 1_000_000))
        instants = [start_us + round(number * 1_000_000 / fps) for number in range(count)]
        return nearest_frames(index.frame_times, np.array(instants, dtype=np.int64))
    first = int(nearest_frames(index.frame_times, np.array([start_us]))[0])
    half_frame_us = round(500_000 / index.rate)
    last = len(index) if end_us is None else int(np.searchsorted(index.frame_times, end_us - half_frame_us))
    return np.arange(first, max(last, first + 1), dtype=np.int64)


def read_in_order(index: VideoIndex, chosen: IntArray, size: tuple[int, int]) -> Iterator[tuple[int, Image]]:
    """Decode frames by rising number, each once, in constant memory.

    Yields:
        (number, (H, W, 3) uint8 RGB of `size` (width, height)); repeated numbers come repeatedly.
    """
    numbers, repeats = np.unique(chosen, return_counts=True)
    with PyavReader(index) as reader:
        for place in range(0, len(numbers), _AT_ONCE):
            some = numbers[place : place + _AT_ONCE]
            for number, times, image in zip(some.tolist(), repeats[place:], reader.read(some), strict=False):
                if (index.width, index.height) != size:
                    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
                for _ in range(times):
                    yield number, image


def scaled_size(index: VideoIndex, short_side: int | None) -> tuple[int, int]:
    """(width, height), both even, with a shorter side of at most `short_side`; near to the same shape."""
    shorter = min(index.width, index.height)
    scale = Fraction(1) if short_side is None else min(Fraction(1), Fraction(short_side, shorter))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (index.width, index.height))
    return width, height


def _sounding_from(index: VideoIndex, first_us: int) -> VideoIndex:
    """The index of a video whose sound is to begin at one of its frames."""
    if index.packets is None or first_us == 0:
        return index
    shown = index.packets.first_shown + Fraction(first_us, 1_000_000)
    return replace(index, packets=replace(index.packets, first_shown=shown))


def _check_count(path: Path, frames: int, source: str) -> None:
    """A file system may lose what was written to it without a word (a full disk, a broken network)."""
    written = len(index_video(path))
    if written != frames:
        raise InputError(f"{source}: {written} of {frames} frames were written; is the disk full?")

"""Where a pipeline's frames come from: a video file, an array, or frames that arrive one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from actiondet.ahead import ahead
from actiondet.video import VideoIndex, index_video
from actiondet.video.clip_stream import Frame, MomentClip, Resize, moment_times, stream_clips
from actiondet.video.described import PlayedVideo
from actiondet.video.frame_clips import clips_of_frames
from actiondet.video.streaming import ShownFrame, stream_with_planes
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError, shown
from evaluation.video_names import composed

TimedFrames = Iterable[tuple[float, Frame]]
"""Seconds, rising, and a frame (H, W, 3) uint8 RGB; all frames have one size."""
Source = str | os.PathLike[str] | VideoIndex | npt.NDArray[np.uint8] | TimedFrames
_UNKNOWN_RATE = Fraction(25)
_CLIPS_AHEAD = 2
_FRAMES_AHEAD = 4
"""Decoded while those before are looked at or drawn: as many as let no part wait for another, and no more memory."""


class FrameSource(PlayedVideo, Protocol):
    """Frames, what is known of them, and the clips around their key moments.

    `path` is what the video is called in results.
    """

    @property
    def name(self) -> str:
        """Of the video, in the keys of detections."""

    def clips(self, window: ClipWindow, *, every: float, resize: Resize, looks: int) -> Iterator[MomentClip]:
        """The clip around each key moment, `every` seconds apart, and the frames of `looks` looks a key moment."""


class FileSource:
    """A video file."""

    def __init__(self, index: VideoIndex) -> None:
        """Take what is known of the file."""
        self._index = index
        self.name = composed(Path(index.path).stem)
        self.path, self.width, self.height = index.path, index.width, index.height
        self.rate, self.duration_us, self.pixel_aspect = index.rate, index.duration_us, index.pixel_aspect
        self.sound: str | None = index.path
        self.first_shown = float(index.packets.first_shown) if index.packets is not None else 0.0

    def clips(self, window: ClipWindow, *, every: float, resize: Resize, looks: int) -> Iterator[MomentClip]:
        """The clip around each key moment; see FrameSource."""
        clips = stream_clips(
            self._index,
            moment_times(self._index, every),
            window,
            resize=resize,
            looks=looks,
        )
        return ahead(clips, _CLIPS_AHEAD)

    def frames(self) -> Iterator[ShownFrame]:
        """Every frame; see FrameSource.

        The file is decoded again. To keep its frames until they can be drawn would take half a gigabyte and more (six
        seconds at 1920x1080), and decoding is an eighth of the work or less (tools/README.md, Faster demo).
        """
        return ahead(stream_with_planes(self._index), _FRAMES_AHEAD)


class ArrivingSource:
    """Frames with their seconds. Size, rate and duration are those of the frames that have come so far."""

    def __init__(self, frames: TimedFrames, *, name: str, rate: Fraction | None = None) -> None:
        """Take frames that may come only once.

        Args:
            frames: seconds, rising, and pictures.
            name: of the video.
            rate: frames a second; None measures it.
        """
        self.name = self.path = name
        self.width = self.height = 0
        self.pixel_aspect, self.sound, self.first_shown = Fraction(1), None, 0.0
        self._given, self._rate = frames, rate
        self._count, self._first, self._last = 0, 0, 0

    @property
    def rate(self) -> Fraction:
        """Frames a second, measured if nobody said it."""
        if self._rate is not None:
            return self._rate
        if self._count < 2:
            return _UNKNOWN_RATE
        return Fraction((self._count - 1) * 1_000_000, self._last - self._first).limit_denominator(1001)

    @property
    def duration_us(self) -> int:
        """From the first frame to the end of the last one."""
        return self._last - self._first + round(1_000_000 / self.rate)

    def clips(self, window: ClipWindow, *, every: float, resize: Resize, looks: int) -> Iterator[MomentClip]:
        """The clip around each key moment; see FrameSource."""
        return clips_of_frames(
            self._noted(self.frames()),
            window,
            every=max(round(every * 1_000_000), 1),
            resize=resize,
            looks=looks,
        )

    def frames(self) -> Iterator[ShownFrame]:
        """Every frame, the first time, and once more where the frames are kept; see FrameSource.

        Raises:
            InputError: the frames came from an iterator, and are gone; or they are not frames.
        """
        if self._count and iter(self._given) is self._given:
            raise InputError(
                f"{self.name}: its frames came from an iterator and are gone; give them as a list or an array, or draw "
                "each with draw(frame, at=seconds)"
            )
        return (ShownFrame(time, frame) for time, frame in self._checked())

    def _checked(self) -> Iterator[tuple[int, Frame]]:
        before: int | None = None
        size: tuple[int, ...] | None = None
        for place, entry in enumerate(self._given):
            time, frame = _timed_frame(entry, f"{self.name}: frame {place}")
            if before is not None and time <= before:
                raise InputError(
                    f"{self.name}: frame {place} is at {time / 1e6:g} s, the one before at {before / 1e6:g} s; "
                    "expected seconds that rise"
                )
            if size is not None and frame.shape != size:
                raise InputError(
                    f"{self.name}: frame {place} has the shape {frame.shape}, those before {size}; expected one size"
                )
            before, size = time, frame.shape
            yield time, frame
        if before is None:
            raise InputError(f"{self.name}: no frames; expected one or more")

    def _noted(self, frames: Iterator[ShownFrame]) -> Iterator[tuple[int, Frame]]:
        for time, frame, _ in frames:
            if not self._count:
                self._first = time
                self.height, self.width = frame.shape[:2]
            self._count, self._last = self._count + 1, time
            yield time, frame


class _Row:
    """The frames of an array at a rate, as often as they are wanted."""

    def __init__(self, array: npt.NDArray[np.uint8], rate: Fraction) -> None:
        self._array, self._rate = array, rate

    def __iter__(self) -> Iterator[tuple[float, Frame]]:
        return ((float(place / self._rate), frame) for place, frame in enumerate(self._array))


def open_source(source: Source, *, rate: float | Fraction | None, name: str | None) -> FrameSource:
    """What `source` is.

    Args:
        source: path or index of a video file, an array (T, H, W, 3) uint8 RGB, or (seconds, frame) pairs.
        rate: frames a second of an array.
        name: of the video in the results; None takes a file's name without suffix, else "video".

    Raises:
        InputError: no such thing, or a video that cannot be read.
    """
    if rate is not None and not isinstance(source, np.ndarray):
        raise InputError(
            f"rate={float(rate):g} is for an array of frames; files and (seconds, frame) pairs hold their times"
        )
    if isinstance(source, (str, os.PathLike, VideoIndex)):
        found = FileSource(source if isinstance(source, VideoIndex) else index_video(source))
        found.name = composed(name) if name is not None else found.name
        return found
    name = composed(name) if name is not None else "video"
    if isinstance(source, np.ndarray):
        if rate is None or not 0 < rate < float("inf"):
            raise InputError(f"an array of frames needs rate=FPS, frames a second above 0, found {rate}")
        if source.ndim != 4:
            raise InputError(f"an array of frames has the shape (T, H, W, 3), found {source.shape}")
        exact = Fraction(rate).limit_denominator(1001)
        return ArrivingSource(_Row(source, exact), name=name, rate=exact)
    if not isinstance(source, Iterable):
        raise InputError(
            f"a source is a path, a VideoIndex, an array with rate=FPS, or (seconds, frame) pairs; "
            f"found {shown(source)}"
        )
    return ArrivingSource(source, name=name)


def _timed_frame(entry: object, where: str) -> tuple[int, Frame]:
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise InputError(f"{where}: expected a pair (seconds, frame), found {type(entry).__name__}")
    seconds, frame = entry
    try:
        time = round(float(seconds) * 1_000_000)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: expected seconds, found {shown(seconds)}") from None
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise InputError(f"{where}: expected an array (H, W, 3) of uint8, RGB, found {found}")
    if not frame.size:
        raise InputError(f"{where}: is empty, {frame.shape}")
    return time, frame

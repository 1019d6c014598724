"""Videos for browsers: which files they play, and a copy that they play of any other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

from actiondet.video.containers import opened_video
from actiondet.video.pixels import Image
from actiondet.video.writer import VideoWriter

# What all current browsers play, by the suffix, from which they take a file's type when it lies on the disk.
_PLAYED = {
    ".mp4": {"h264", "av1"},
    ".m4v": {"h264"},
    ".webm": {"vp8", "vp9", "av1"},
}
_FORMATS = {"yuv420p", "yuvj420p"}


def plays_in_browsers(path: str | os.PathLike[str]) -> bool:
    """Whether all current browsers play the pictures of a video file.

    Raises:
        InputError: the file cannot be read as a video.
    """
    codecs = _PLAYED.get(Path(path).suffix.lower(), set())
    with opened_video(os.fspath(path)) as (_, stream):
        context = stream.codec_context
        return context.codec.canonical_name in codecs and context.pix_fmt in _FORMATS


def write_for_browsers(
    frames: Iterable[tuple[int, Image]],
    out: str | os.PathLike[str],
    *,
    size: tuple[int, int],
    rate: Fraction,
    sound_of: str | None,
    pixel_aspect: Fraction,
    on_frame: Callable[[], None] | None = None,
) -> None:
    """Write frames as an mp4 file that browsers play.

    Args:
        frames: microseconds, rising, and (H, W, 3) uint8 RGB; the first one is shown at 0.
        out: the file; ends in .mp4.
        size: width and height of the frames.
        rate: frames a second.
        sound_of: the video whose sound goes with them; None for none.
        pixel_aspect: width of a pixel over its height.
        on_frame: called after each frame.

    Raises:
        InputError: the frames cannot be decoded.
    """
    first: int | None = None
    with VideoWriter(out, rate, *size, sound_of=sound_of, pixel_aspect=pixel_aspect, crf=23) as writer:
        for time, frame in frames:
            first = time if first is None else first
            writer.write(frame, time_us=time - first)
            if on_frame is not None:
                on_frame()

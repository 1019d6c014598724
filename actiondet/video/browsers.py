"""Videos for browsers: which files they play, and a copy that they play of any other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from actiondet.video.containers import opened_video
from actiondet.video.described import PlayedVideo
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
    video: PlayedVideo, out: str | os.PathLike[str], *, on_frame: Callable[[], None] | None = None
) -> None:
    """Write a copy of a video as an mp4 file that browsers play.

    Args:
        video: its first frame is shown at 0.
        out: the file; ends in .mp4.
        on_frame: called after each frame.

    Raises:
        InputError: the frames cannot be decoded.
    """
    first: int | None = None
    with VideoWriter(
        out, video.rate, video.width, video.height, sound_of=video.sound, pixel_aspect=video.pixel_aspect, crf=23
    ) as writer:
        for shown in video.frames():
            first = shown.time if first is None else first
            writer.write(shown.image, shown.time - first, undrawn=shown.undrawn)
            if on_frame is not None:
                on_frame()

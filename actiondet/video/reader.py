"""The one way to get a reader of frames for a video."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from actiondet.video.base import VideoReader
from actiondet.video.decord_reader import DecordReader, decord_is_installed
from actiondet.video.index import VideoIndex, index_video
from actiondet.video.pyav_reader import PyavReader
from evaluation.errors import InputError

if TYPE_CHECKING:
    from actiondet.config.data_sets import FrameFolderConfig

ReaderName = Literal["auto", "decord", "pyav"]


def open_video(
    path: str | os.PathLike[str],
    reader: ReaderName = "auto",
    index: VideoIndex | None = None,
    *,
    pictures: FrameFolderConfig | None = None,
) -> VideoReader:
    """Make a reader for a video.

    Args:
        path: a video file, or with `pictures` a folder of numbered images.
        reader: "decord" or "pyav"; "auto" is PyAV, which reads every file exactly and costs less than decord for the
            same pixels: measured on H.264, VP9 and MPEG-4 at 256 to 720 pixels, decord takes 1.1 to 3.6 times as long.
        index: what `index_video` said of the file earlier; None indexes it now. Keep the index of a long video.
        pictures: how the images of the folder are named, and their rate; `reader` and `index` then have no effect.

    Raises:
        InputError: the video cannot be read; decord was asked for and is not installed, or would give wrong frames.

    Example:
        >>> with actiondet.open_video("street.mp4") as video:
        ...     frames = video.read([0, 5])  # RGB
        >>> frames.shape, str(frames.dtype)
        ((2, 120, 160, 3), 'uint8')
    """
    if pictures is not None:
        from actiondet.video.frame_folder import FrameFolder  # OpenCV, which files can do without

        return FrameFolder(path, template=pictures.template, first=pictures.first, fps=pictures.fps)
    if reader == "decord" and not decord_is_installed():
        raise InputError("decord is not installed (its wheels are for x86_64 only); use reader auto or pyav")
    index = index or index_video(path)
    return DecordReader(index) if reader == "decord" else PyavReader(index)

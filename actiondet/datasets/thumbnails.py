"""Thumbnails of moments of a data set's videos, with the box that was found and the true one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from actiondet.datasets.sources import ReaderPool, find_videos
from actiondet.video import nearest_frames, open_video
from actiondet.video.clip_stream import TOLERANCE_US
from actiondet.video.pixels import Image
from evaluation.errors import InputError
from evaluation.page.outlines import FOUND, TRUE
from evaluation.records import FloatArray, FrameKey, IntArray

_WIDTH = 400
_QUALITY = 80


class Thumbnails:
    """Cuts thumbnails; what a page of results calls for every picture.

    Args:
        folder: of the videos; those that are missing have no thumbnails.
        videos: their names.
        frame_of: number of the frame that shows a moment, given when each frame is shown (microseconds); a number
            that the video does not have gives no thumbnail.

    Attributes:
        taken: how many there are so far.

    Raises:
        InputError: no such folder, two files for one video, or none of the videos.
    """

    def __init__(self, folder: str | Path, videos: Iterable[str], frame_of: Callable[[IntArray, int], int]) -> None:
        names = list(videos)
        paths = find_videos(folder, names, pictures=False)
        if not paths:
            raise InputError(f"{folder}: holds none of the {len(names)} videos, such as {names[0]}.mp4")
        self._pool = ReaderPool(paths, partial(open_video, reader="pyav"))
        self._frame_of = frame_of
        self.taken = 0

    def __call__(self, key: FrameKey, found: FloatArray | None, truth: FloatArray | None) -> bytes | None:
        """A JPEG with (4,) unit boxes; None for a video that is missing or cannot be read, or does not last so long."""
        if key.video not in self._pool.paths:
            return None
        try:
            reader = self._pool.reader(key.video)
            number = self._frame_of(reader.index.frame_times, key.moment)
            if not 0 <= number < len(reader.index.frame_times):
                return None
            frame = reader.read([number])[0]
        except InputError:
            return None
        picture = narrowed(frame, _WIDTH)
        height, width = picture.shape[:2]
        for box, color in ((truth, TRUE), (found, FOUND)):
            if box is not None:
                corners = np.clip(box * [width, height, width, height], 0, [width - 1, height - 1] * 2)
                x1, y1, x2, y2 = corners.round().astype(int).tolist()
                cv2.rectangle(picture, (x1, y1), (x2, y2), tuple(bytes.fromhex(color[1:])), 2, cv2.LINE_AA)
        self.taken += 1
        return jpeg_of(picture)


def frame_at_time(start_us: int) -> Callable[[IntArray, int], int]:
    """How `Thumbnails` finds the frame at a moment in microseconds, in files that begin at `start_us`."""

    def number(times: IntArray, moment: int) -> int:
        instant = moment - start_us
        if not -TOLERANCE_US <= instant <= times[-1] + TOLERANCE_US:
            return -1
        return int(nearest_frames(times, np.array([instant]))[0])

    return number


def frame_of_number(_: IntArray, moment: int) -> int:
    """How `Thumbnails` finds the frame of a moment that is a frame number from 1."""
    return moment - 1


def narrowed(frame: Image, width: int) -> Image:
    """A copy of an RGB frame, `width` pixels wide."""
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    small: Image = np.array(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small


def jpeg_of(picture: Image) -> bytes:
    """An RGB picture as JPEG."""
    _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return coded.tobytes()

"""From decoded frames to RGB arrays as shown."""

from __future__ import annotations

from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from actiondet.video.index import VideoIndex
from evaluation.errors import InputError

Image = npt.NDArray[np.uint8]

# From version 17 on PyAV converts with a thread for each core, whose start costs more than a picture's conversion.
_ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}


def planar(frames: Image, *, mirrored: bool = False) -> Image:
    """(T, H, W, 3) frames to contiguous (3, T, H, W), mirrored left to right if asked.

    OpenCV does it in a tenth of the time of a transposed copy.
    """
    import cv2  # readers of an exported network's videos do without

    count, height, width, _ = frames.shape
    planes = np.empty((3, count, height, width), dtype=np.uint8)
    for number, frame in enumerate(frames):
        cv2.split(cv2.flip(frame, 1) if mirrored else frame, list(planes[:, number]))
    return planes


class RgbConverter:
    """Turns frames of one video into (H, W, 3) uint8 RGB, turned and mirrored as they are shown.

    It keeps FFmpeg's conversion context from frame to frame, so it belongs to one video and one thread.
    """

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> Image:
        """Convert one frame.

        Raises:
            InputError: the frame has another size than the video's first one.
        """
        index = self._index
        image = cast("Image", self._reformatter.reformat(frame, format="rgb24", **_ONE_THREAD).to_ndarray())
        if index.rotation:
            image = np.rot90(image, -index.rotation // 90)
        if index.mirrored:
            image = image[:, ::-1]
        if image.shape != (index.height, index.width, 3):
            raise InputError(
                f"{index.path}: its picture size changes from {index.width}x{index.height} to "
                f"{image.shape[1]}x{image.shape[0]} on the way; re-encode it at one size"
            )
        return np.ascontiguousarray(image)

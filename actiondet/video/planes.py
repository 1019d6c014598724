"""A drawn picture in the decoder's own values: only what was drawn is converted to YUV, the rest passes as decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from actiondet.video.pixels import Image


@dataclass(frozen=True)
class Colors:
    """How luma and chroma are to be read, in the numbers of ITU-T H.273; 2 is unspecified.

    Attributes:
        matrix: from and to RGB.
        primaries: of red, green and blue.
        transfer: from light to values.
    """

    matrix: int
    primaries: int
    transfer: int


BT709 = Colors(1, 1, 1)
# Shares of red and blue in luma. FFmpeg takes BT.601 for what is unspecified.
_BT601_SHARES = 0.299, 0.114
_SHARES = {1: (0.2126, 0.0722), 2: _BT601_SHARES, 5: _BT601_SHARES, 6: _BT601_SHARES}


class Planes(NamedTuple):
    """A decoded frame of 8-bit yuv420p with the range of television, of even size, as it is shown."""

    frame: VideoFrame
    colors: Colors


class Undrawn(NamedTuple):
    """What a picture showed before it was drawn on: (H, W, 3) uint8 RGB, and the planes that it comes from."""

    image: Image
    planes: Planes


def planes_of(frame: VideoFrame, context: VideoCodecContext) -> Planes | None:
    """The planes of a frame that this decoder gave; None if a video of yuv420p cannot take them as they are."""
    usable = (
        frame.format.name == "yuv420p"
        and frame.color_range != ColorRange.JPEG
        and frame.colorspace in _SHARES
        and frame.width % 2 == frame.height % 2 == 0
    )
    if not usable:
        return None
    return Planes(frame, Colors(int(frame.colorspace), int(context.color_primaries), int(context.color_trc)))


def redrawn_planes(undrawn: Undrawn, drawn: Image) -> Image:
    """The planes of a picture, one below the other: (H * 3 / 2, W).

    Four pixels share their chroma. Where they are as before, all their values are those of the decoder.

    Args:
        undrawn: what the picture was drawn on.
        drawn: (H, W, 3) uint8 RGB, H and W even.
    """
    height, width, _ = drawn.shape
    values = cast("Image", undrawn.planes.frame.to_ndarray())
    cells = _changed_cells(undrawn.image, drawn) if drawn is not undrawn.image else ()
    if not len(cells):
        return values
    half = width // 2
    first = cells + cells // half * half  # place of a cell's upper pair of pixels among all pairs
    pairs = np.stack([first, first + half], axis=1)
    rgb = np.ascontiguousarray(drawn).reshape(-1).view("V6")[pairs]
    yuv = cv2.transform(rgb.view(np.uint8).reshape(-1, 4, 3), _to_yuv(undrawn.planes.colors))
    luma, chroma = np.split(values.reshape(-1), [height * width])
    luma.view(np.uint16)[pairs] = np.ascontiguousarray(yuv[..., 0]).view(np.uint16)
    chroma.reshape(2, -1)[:, cells] = cv2.reduce(yuv, 1, cv2.REDUCE_AVG)[:, 0, 1:].T
    return values


def _changed_cells(before: Image, after: Image) -> npt.NDArray[np.intp]:
    """Places of the cells of 2x2 pixels that differ between two pictures of even size, and maybe of their neighbors."""
    height, width, _ = before.shape
    # Comparing eight bytes at a time is fastest. Six bytes are a cell's part of a row.
    word = 8 if width % 8 == 0 else 2
    kind = np.dtype(f"u{word}")
    first = word * np.flatnonzero(before.reshape(-1).view(kind) != after.reshape(-1).view(kind))
    changed = np.zeros((height // 2, width // 2), dtype=bool)
    for byte in (first, first + word - 1):
        rows, bytes_in_row = np.divmod(byte, 3 * width)
        changed[rows // 2, bytes_in_row // 6] = True
    return cast("npt.NDArray[np.intp]", np.flatnonzero(changed))


def _to_yuv(colors: Colors) -> npt.NDArray[np.float32]:
    """(3, 4): what red, green, blue and 1 give to luma, blue chroma and red chroma (ITU-T H.273, 8.3)."""
    red, blue = _SHARES[colors.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    of_blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    of_red = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    shares = np.stack([219 * luma, 224 * of_blue, 224 * of_red]) / 255
    return np.column_stack([shares, [16, 128, 128]]).astype(np.float32)

"""From a frame to the input of an exported detector, and from its boxes back to those of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.persons.base import Frame
from evaluation.records import FloatArray

Fit = Literal["stretch", "letterbox", "none"]
Channels = Literal["RGB", "BGR"]
_GROUND = 114  # what YOLOX fills the rest of a letterbox with
TYPES: dict[str, type[np.generic]] = {"float": np.float32, "float16": np.float16, "uint8": np.uint8}
"""Kinds of numbers that pictures may have."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a frame before a network sees it."""

    fit: Fit
    size: tuple[int, int] | None
    """Height and width in pixels; None with fit none."""
    channels: Channels
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """Both in the unit of pixels, 0 to 255, and in the order of `channels`."""
    kind: str
    """Of the numbers, a key of TYPES."""
    batched: bool
    """Whether the network takes (1, 3, H, W), and not (3, H, W)."""

    def __call__(self, frame: Frame) -> tuple[npt.NDArray[Any], FloatArray]:
        """Prepare a frame (H, W, 3).

        Returns:
            the network's input, and how much larger it is than the frame: (4,) for x, y, x, y.
        """
        picture, scale = self._fitted(frame)
        values = picture if self.channels == "RGB" else picture[:, :, ::-1]
        scaled = (values.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        dtype = TYPES[self.kind]
        planes = np.ascontiguousarray(scaled.transpose(2, 0, 1).astype(dtype))
        return (planes[None] if self.batched else planes), np.array([*scale, *scale])

    def _fitted(self, frame: Frame) -> tuple[Frame, tuple[float, float]]:
        """The frame in the network's size, and how much wider and higher it became."""
        if self.size is None:
            return frame, (1.0, 1.0)
        (height, width), (rows, columns) = frame.shape[:2], self.size
        if self.fit == "stretch":
            return _resized(frame, rows, columns), (columns / width, rows / height)
        scale = min(rows / height, columns / width)
        # Cut to whole pixels, and put at the top left, as YOLOX does.
        inner = _resized(frame, max(1, int(height * scale)), max(1, int(width * scale)))
        ground = np.full((rows, columns, 3), _GROUND, dtype=np.uint8)
        ground[: inner.shape[0], : inner.shape[1]] = inner
        return ground, (scale, scale)


def _resized(frame: Frame, height: int, width: int) -> Frame:
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

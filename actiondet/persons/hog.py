"""OpenCV's HOG people detector (Dalal and Triggs 2005): nothing to download, finds standing people only.

A help for demos on machines without weights; it is no detector for AVA. Seated people and close-ups are
missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.persons.base import Frame, found_persons
from evaluation.errors import InputError
from evaluation.records import FloatArray, FrameKey, PersonBoxes

_WINDOW = (128, 64)  # height and width in pixels, around a person of about 96
_UPSCALED_BELOW = 400  # short side in pixels
_LONGEST_SHORT_SIDE = 720
# People nearly as tall as the frame leave no room for the window's margin: they are looked for in a small copy
# with a border around it.
_SMALL_SHORT_SIDE = 240
_BORDER = 0.25  # of the short side
# The window's share, from the left, top, right and bottom, that the person does not fill.
_MARGIN = np.array([0.125, 0.07, -0.125, -0.07])
_MAX_OVERLAP = 0.45
_MOSTLY_INSIDE = 0.9  # of the smaller box's area


class HogPersonDetector:
    """Finds standing people of about 96 pixels and more (48 in frames that are scaled up)."""

    def __init__(self, *, threshold: float = 0.5) -> None:
        """Prepare the detector.

        Args:
            threshold: persons with a lower score are dropped.

        Raises:
            InputError: this OpenCV has no HOG detector.
        """
        if not hasattr(cv2, "HOGDescriptor"):
            raise InputError(
                f"OpenCV {cv2.__version__} has no HOG people detector; install 'opencv-python-headless>=4.10,<5' "
                "or choose other persons (torchvision, detectron2, stored)"
            )
        self._threshold = threshold
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), dtype=np.float32))

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame; see PersonDetector."""
        return [self._detect_one(frame, key) for frame, key in zip(frames, keys, strict=True)]

    def _detect_one(self, frame: Frame, key: FrameKey) -> PersonBoxes:
        short_side = min(frame.shape[:2])
        scale = 2.0 if short_side < _UPSCALED_BELOW else min(1.0, _LONGEST_SHORT_SIDE / short_side)
        near, near_margins = self._search(frame, scale, border=0.0)
        large, large_margins = self._search(frame, _SMALL_SHORT_SIDE / short_side, border=_BORDER)
        boxes = np.concatenate([near, large])
        scores = score_of_margin(np.concatenate([near_margins, large_margins]))
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, _MAX_OVERLAP), dtype=np.int64).ravel()
        kept = kept[~_parts_of_others(boxes[kept])]
        return found_persons(key, boxes[kept], scores[kept], frame=frame, threshold=self._threshold)

    def _search(self, frame: Frame, scale: float, border: float) -> tuple[FloatArray, FloatArray]:
        """Return pixel boxes of `frame`, drawn in to the person, and the margins of the SVM."""
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), None, fx=scale, fy=scale, interpolation=how)
        # OpenCV writes beyond its memory where a picture is smaller than the window.
        room = [-(-(window - side) // 2) for window, side in zip(_WINDOW, picture.shape[:2], strict=True)]
        pad = max(round(min(picture.shape[:2]) * border), *room)
        picture = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        windows, margins = self._hog.detectMultiScale(picture, winStride=(8, 8), padding=(16, 16), scale=1.05)
        xywh = np.asarray(windows, dtype=np.float64).reshape(-1, 4)
        corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        inner = corners + np.tile(xywh[:, 2:], 2) * _MARGIN
        return (inner - pad) / scale, np.asarray(margins, dtype=np.float64).ravel()


def _parts_of_others(boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """Which boxes, best first, lie in a better one: an arm or a back that looks like a small person."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    shared = np.clip(np.minimum(high, boxes[None, :, 2:]) - np.maximum(low, boxes[None, :, :2]), 0, None).prod(axis=2)
    inside = shared >= _MOSTLY_INSIDE * (high - low).prod(axis=2)
    return np.asarray(np.tril(inside, k=-1).any(axis=1))


def score_of_margin(margin: FloatArray) -> FloatArray:
    """Map the SVM's margin to (0, 1): 0.5 at a margin of 1, below which most finds are no persons.

    It ranks like the margin; it is no probability.
    """
    return np.asarray(1.0 / (1.0 + np.exp(2.0 * (1.0 - margin))))

"""What finds persons, seen from outside: frames in, PersonBoxes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from evaluation.records import FloatArray, FrameKey, PersonBoxes

Frame = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""


class PersonDetector(Protocol):
    """Finds the persons in frames."""

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame.

        Args:
            frames: (H, W, 3) uint8 RGB frames of any size.
            keys: the video and moment of each frame.

        Returns:
            one record for each frame, in order; best person first; empty where nobody was found.
        """
        ...


def found_persons(
    key: FrameKey, pixel_boxes: FloatArray, scores: FloatArray, *, frame: Frame, threshold: float
) -> PersonBoxes:
    """Turn a detector's answer for one frame into a record.

    Args:
        key: the video and moment of the frame.
        pixel_boxes: (N, 4) pixel boxes of `frame`; they may reach over its border and are cut there.
        scores: (N,) in [0, 1].
        frame: the frame itself, for its size.
        threshold: persons with a lower score are dropped.
    """
    height, width = frame.shape[:2]
    size = np.array([width, height, width, height], dtype=np.float32)
    boxes = np.clip(np.asarray(pixel_boxes, dtype=np.float32).reshape(-1, 4) / size, 0.0, 1.0)
    scores = np.asarray(scores, dtype=np.float32)
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = np.flatnonzero(has_area & (scores >= threshold))
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return PersonBoxes(key, boxes[kept], scores[kept])

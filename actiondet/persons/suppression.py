"""Non-maximum suppression for detectors that leave it to us."""

from __future__ import annotations

import numpy as np

from evaluation.boxes import iou_matrix
from evaluation.records import FloatArray, IntArray


def suppress(boxes: FloatArray, scores: FloatArray, *, max_overlap: float) -> IntArray:
    """Which boxes stay, best first: those that no better one that stays overlaps by more than `max_overlap` (IoU).

    Args:
        boxes: (N, 4).
        scores: (N,).
        max_overlap: of two boxes that both stay.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = iou_matrix(boxes[order], boxes[order]) > max_overlap
    stays = np.ones(len(order), dtype=np.bool_)
    for place in range(len(order)):
        if stays[place]:
            stays[place + 1 :] &= ~overlaps[place, place + 1 :]
    kept: IntArray = order[stays].astype(np.int64)
    return kept

"""Boxes as arrays (N, 4) of x1, y1, x2, y2; the unit is the caller's unless a name says it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluation.records import FloatArray

BoolArray = npt.NDArray[np.bool_]
BORDER = 0.01
"""How far rounding may carry a corner of a unit box over the border of the frame."""


def area(boxes: FloatArray) -> FloatArray:
    """Return the (N,) areas of (N, 4) boxes; no pixel is added, so a box of no width has area 0."""
    result: FloatArray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result


def leaves_frame(unit_boxes: FloatArray) -> BoolArray:
    """Return (N,) whether each unit box reaches beyond the frame by more than `BORDER`."""
    outside: BoolArray = np.any((unit_boxes < -BORDER) | (unit_boxes > 1 + BORDER), axis=1)
    return outside


def paired_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the (N,) intersection over union of box i of `first` with box i of `second`.

    The order of operations is that of the official AVA script, so that float64 results agree with it in
    the last bit. Two boxes without area give nan, as there.
    """
    width = np.minimum(first[:, 2], second[:, 2]) - np.maximum(first[:, 0], second[:, 0])
    height = np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1])
    # float64 from here on even for float32 boxes: the scripts compare with an array of float64 zeros.
    shared = np.maximum(width.astype(np.float64, copy=False), 0) * np.maximum(height.astype(np.float64, copy=False), 0)
    union = area(first) + area(second) - shared
    with np.errstate(divide="ignore", invalid="ignore"):
        result: FloatArray = shared / union
    return result


def iou_matrix(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the (N, M) intersection over union of every box of `first` with every box of `second`."""
    rows, columns = len(first), len(second)
    paired = paired_iou(np.repeat(first, columns, axis=0), np.tile(second, (rows, 1)))
    return paired.reshape(rows, columns)


def unit_to_pixel(unit_boxes: FloatArray, width: float, height: float) -> FloatArray:
    """Return boxes in pixels of a frame of `width` x `height` from unit boxes."""
    scale = np.array([width, height, width, height], dtype=unit_boxes.dtype)
    result: FloatArray = unit_boxes * scale
    return result


def pixel_to_unit(pixel_boxes: FloatArray, width: float, height: float) -> FloatArray:
    """Return unit boxes from boxes in pixels of a frame of `width` x `height`."""
    scale = np.array([width, height, width, height], dtype=pixel_boxes.dtype)
    result: FloatArray = pixel_boxes / scale
    return result

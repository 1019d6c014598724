"""Frames at a network's size without torch, value for value as torch resizes uint8."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.video.pixels import Image

_HALF_STEP = 2.0**-16  # half of what the smallest weight changes: rounding to even numbers then rounds halves up


def scaled_image(image: Image, short_side: int) -> Image:
    """The picture, its short side `short_side` pixels: bilinear without antialias, which detectors are tested with.

    torch resizes along x, rounds to whole numbers, and resizes along y, with weights of 14 or 15 bits. The products fit
    into float32, so that all sums are exact.

    Args:
        image: (H, W, 3) uint8.
        short_side: in pixels.

    Returns:
        (h, w, 3) uint8.
    """
    height, width = image.shape[:2]
    size = scaled_size(height, width, short_side)
    if size == (height, width):
        return image
    plan = _plan(height, width, *size)
    rows = image.reshape(height, -1)
    narrow = _mixed(np.take(rows[plan.rows] if len(plan.rows) < height else rows, plan.columns, axis=1), plan.across)
    found = _mixed(np.concatenate([narrow[plan.above], narrow[plan.below]], axis=1), plan.down)
    return found.reshape(*size, 3)


def scaled_size(height: int, width: int, short_side: int, at_least: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Height and width after scaling the short side to `short_side`, keeping the aspect.

    Args:
        height, width: pixels of the frame.
        short_side: pixels.
        at_least: height and width that the result must hold; the scale grows where it would not.
    """
    scale = max(short_side / min(height, width), at_least[0] / height, at_least[1] / width)
    return max(int(height * scale + 0.5), at_least[0]), max(int(width * scale + 0.5), at_least[1])


class _Plan(NamedTuple):
    """Which values are mixed, and how much of each; R are the rows of the picture that are needed."""

    rows: npt.NDArray[np.intp]
    """(R,)"""
    columns: npt.NDArray[np.intp]
    """(2 * 3w,) among the values of a row: the left neighbor of each new one, then the right neighbor of each."""
    across: npt.NDArray[np.float32]
    """(R, 2 * 3w) their weights."""
    above: npt.NDArray[np.intp]
    """(h,) among the R rows."""
    below: npt.NDArray[np.intp]
    down: npt.NDArray[np.float32]
    """(h, 2 * 3w)"""


@cache
def _plan(height: int, width: int, new_height: int, new_width: int) -> _Plan:
    left, right, of_columns, column_bits = neighbors(width, new_width)
    above, below, of_rows, row_bits = neighbors(height, new_height)
    rows = np.unique(np.concatenate([above, below]))
    columns = (np.concatenate([left, right])[:, None] * 3 + np.arange(3)).ravel()
    across = np.tile(np.repeat(of_columns.ravel() / 2**column_bits, 3), (len(rows), 1))
    down = np.repeat(of_rows.T / 2**row_bits, 3 * new_width, axis=1)
    return _Plan(rows, columns, across, np.searchsorted(rows, above), np.searchsorted(rows, below), down)


class Neighbors(NamedTuple):
    """Of each of N new places the two old ones beside it, and how much of each, in torch's whole numbers."""

    before: npt.NDArray[np.intp]
    after: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float32]
    """(2, N) of both; they add up to about 2**bits."""
    bits: int


@lru_cache(maxsize=256)
def neighbors(length: int, new_length: int) -> Neighbors:
    """What torch mixes where it resizes 8-bit pictures along an axis, bilinear without antialias."""
    places = np.maximum(length / new_length * (np.arange(new_length) + 0.5) - 0.5, 0)
    before = np.minimum(places.astype(np.intp), length - 1)
    shares = np.stack([1 - (places - before), places - before])
    bits = 14 if 0.5 + shares.max() * 2**15 >= 2**15 else 15  # the largest weight fits into 15 bits
    weights = np.floor(0.5 + shares * 2**bits).astype(np.float32)
    return Neighbors(before, np.minimum(before + 1, length - 1), weights, bits)


def _mixed(values: Image, weights: npt.NDArray[np.float32]) -> Image:
    """(N, 2 M) values times their weights; the halves are added up and rounded, halves up."""
    products = cv2.multiply(values, weights, dtype=cv2.CV_32F)
    middle = products.shape[1] // 2
    sums = cv2.add(products[:, :middle], products[:, middle:])
    return np.asarray(cv2.convertScaleAbs(sums, alpha=1, beta=_HALF_STEP), dtype=np.uint8)

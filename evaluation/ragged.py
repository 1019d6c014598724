"""Rows of many groups in one column: groups are given by where they start and how long they are."""

from __future__ import annotations

import numpy as np

from evaluation.records import IntArray


def offsets(lengths: IntArray) -> IntArray:
    """Return (N + 1,) where each of N groups begins, and where the last one ends.

    >>> offsets(np.array([3, 2]))
    array([0, 3, 5])
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def row_ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the row numbers of many ranges, one range after the other.

    >>> row_ranges(np.array([5, 20]), np.array([3, 2]))
    array([ 5,  6,  7, 20, 21])
    """
    first = np.cumsum(lengths) - lengths
    return np.repeat(starts - first, lengths) + np.arange(lengths.sum())

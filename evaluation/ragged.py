"""Rows of many groups in one column: groups are given by where they start and how long they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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


def first_equals(*columns: npt.NDArray[np.number]) -> IntArray:
    """Return for each of N rows the first row that has the same numbers in all columns: mostly itself.

    >>> first_equals(np.array([5, 7, 5]), np.array([0.5, 0.1, 0.5]))
    array([0, 1, 0])
    """
    digest = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        bits = (column.astype(np.float64) + 0.0).view(np.uint64)  # + 0: the two zeros are equal
        digest = digest * _SPREAD + bits + (bits >> np.uint64(32))
    order = np.argsort(digest, kind="stable")
    alike = np.zeros(len(order) + 1, dtype=np.bool_)
    alike[1:-1] = digest[order][1:] == digest[order][:-1]
    # Few rows have the digest of another: only these are compared number by number.
    rows = np.sort(order[alike[1:] | alike[:-1]])
    rows = rows[np.lexsort([column[rows] for column in columns])]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = np.any([column[rows][1:] != column[rows][:-1] for column in columns], axis=0)
    first = np.arange(len(order))
    first[rows] = np.repeat(rows[new], np.diff(np.flatnonzero(new), append=len(rows)))
    return first


_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number whose products spread over all bits: 2**64 divided by the golden ratio."""

"""3D intersection over union of tubes, as the official MultiSports script defines it."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from evaluation.boxes import area
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray
from evaluation.tube_set import TubeSet

_ROWS_AT_ONCE = 1_000_000


class TubeOverlap(NamedTuple):
    """How much pairs of tubes overlap; each (P,).

    Attributes:
        iou: temporal times spatial.
        temporal: shared time over joint time.
        spatial: mean IoU of the boxes over the shared frames.
    """

    iou: FloatArray
    temporal: FloatArray
    spatial: FloatArray


def paired_tube_iou(first: TubeSet, i: IntArray, second: TubeSet, j: IntArray) -> TubeOverlap:
    """Overlap tube i[p] of `first` with tube j[p] of `second`, for every pair p.

    The temporal IoU is (end - start of the shared frames) / (end - start of all frames), without the +1 that
    counting frames would give: frames 1 to 10 against 2 to 10 overlap by 8/9, and a tube that shares one frame
    only does not overlap at all. Pairs that share no frame get 0; two tubes of the same single frame get nan
    (0/0), as in the script. The result has the float type of the boxes, because the script computes in it: with
    float32 boxes, 7/10 is 0.69999999 and misses a threshold of 0.7.
    """
    parts = [
        _overlap(first, i[rows], second, j[rows])
        for rows in _batches(np.minimum(first.lengths[i], second.lengths[j]), _ROWS_AT_ONCE)
    ]
    if len(parts) == 1:
        return parts[0]
    return TubeOverlap(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _overlap(first: TubeSet, i: IntArray, second: TubeSet, j: IntArray) -> TubeOverlap:
    start = np.maximum(first.first[i], second.first[j])
    end = np.minimum(first.last[i], second.last[j])
    number = np.result_type(first.boxes, second.boxes).type
    joint = np.maximum(first.last[i], second.last[j]) - np.minimum(first.first[i], second.first[j])
    with np.errstate(divide="ignore", invalid="ignore"):
        temporal = (end - start).astype(number) / joint.astype(number)
    spatial = np.zeros(len(i), dtype=number)
    meet = np.flatnonzero(end >= start)
    shared = end[meet] - start[meet] + 1
    ious = _paired_box_iou(
        first.boxes[row_ranges(first.offsets[i[meet]] + start[meet] - first.first[i[meet]], shared)],
        second.boxes[row_ranges(second.offsets[j[meet]] + start[meet] - second.first[j[meet]], shared)],
    )
    spatial[meet] = segment_means(ious, shared)
    temporal[end < start] = 0
    return TubeOverlap(spatial * temporal, temporal, spatial)


def _paired_box_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """IoU of box i with box i, every step in the type of the boxes (evaluation.boxes goes to float64, as AVA does)."""
    zero = first.dtype.type(0)
    width = np.maximum(zero, np.minimum(first[:, 2], second[:, 2]) - np.maximum(first[:, 0], second[:, 0]))
    height = np.maximum(zero, np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1]))
    shared = width * height
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: FloatArray = shared / (area(first) + area(second) - shared)
    return iou


def segment_means(values: FloatArray, lengths: IntArray) -> FloatArray:
    """Return the mean of every run of `values`, to the last bit what numpy.mean of that run would give.

    Args:
        values: (M,) the runs, one after the other.
        lengths: (N,) length of every run, at least 1.
    """
    if len(lengths) == 0:
        return np.zeros(0, dtype=values.dtype)
    # reduceat adds the first value of a run last, numpy.sum does not: a leading 0 makes the two alike.
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    padded = np.zeros(len(values) + len(lengths), dtype=values.dtype)
    padded[row_ranges(starts + 1, lengths)] = values
    means: FloatArray = np.add.reduceat(padded, starts) / lengths.astype(values.dtype)
    return means


def _batches(rows: IntArray, limit: int) -> list[slice]:
    """Cut the pairs into runs that have about `limit` rows each, to bound the memory."""
    cuts = np.flatnonzero(np.diff(np.cumsum(rows) // limit)) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    return [slice(a, b) for a, b in pairwise(edges)]

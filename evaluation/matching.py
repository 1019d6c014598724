"""Which detection finds which truth: the greedy rule of the AVA and MultiSports scripts, without loops.

Every detection looks at the one truth of its group (say: same moment, same action) that it overlaps most.
It is a hit if the overlap reaches the threshold and no detection before it has claimed that truth; there is
no second choice. So the overlaps are computed once, whatever the thresholds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray, paired_iou
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray


def best_truths(
    boxes: FloatArray,
    groups: npt.NDArray[np.integer],
    truth_boxes: FloatArray,
    truth_groups: npt.NDArray[np.integer],
) -> tuple[IntArray, FloatArray]:
    """Return for every box the truth of its group that it overlaps most, and how much.

    Args:
        boxes: (N, 4).
        groups: (N,) only truths of the same group are looked at.
        truth_boxes: (M, 4), in the same unit. Of equal overlaps the first wins.
        truth_groups: (M,).

    Returns:
        (N,) index of the truth, -1 where the group has none; (N,) its IoU, 0 where there is none. Between two
        boxes without area the IoU is nan and counts as the largest, as with `numpy.argmax`.
    """
    rows, truths = group_pairs(groups, truth_groups)
    iou = paired_iou(boxes[rows], truth_boxes[truths])
    return best_of_pairs(rows, truths, iou, len(boxes))


def group_pairs(groups: npt.NDArray[np.integer], truth_groups: npt.NDArray[np.integer]) -> tuple[IntArray, IntArray]:
    """Return all pairs (row, truth) of the same group, row by row, the truths of a row in their order."""
    order = np.argsort(truth_groups, kind="stable")
    ranked = truth_groups[order]
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(ranked), 1), np.bool_), ranked[1:] != ranked[:-1]]))
    if len(starts) == 0:
        return order, order
    # Few groups have truth: each row looks for its own among these.
    place = np.minimum(np.searchsorted(ranked[starts], groups), len(starts) - 1)
    rows = np.flatnonzero(ranked[starts][place] == groups)
    place = place[rows]
    count = np.diff(starts, append=len(ranked))[place]
    return np.repeat(rows, count), order[row_ranges(starts[place], count)]


def best_of_pairs(rows: IntArray, truths: IntArray, iou: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Return for each of `count` rows the truth it overlaps most (-1 for none) and how much (0 for none).

    Of equal overlaps the first wins; nan counts as the largest, as with numpy.argmax.
    """
    found, best = np.full(count, -1, dtype=np.int64), np.zeros(count)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        ranked = np.where(np.isnan(iou), np.inf, iou)
        largest = np.repeat(np.maximum.reduceat(ranked, starts), np.diff(np.append(starts, len(rows))))
        candidates = np.flatnonzero(ranked == largest)
        chosen = candidates[np.searchsorted(candidates, starts)]
        found[rows[starts]], best[rows[starts]] = truths[chosen], iou[chosen]
    return found, best


def first_claims(truth: IntArray, iou: FloatArray, threshold: float) -> BoolArray:
    """Return which detections are hits.

    Args:
        truth: (N,) the truth every detection overlaps most, -1 for none; the detections of one group stand in
            the order in which they may claim.
        iou: (N,) that overlap.
        threshold: the overlap that a hit needs; equal is enough.
    """
    hits = np.zeros(len(truth), dtype=np.bool_)
    able = np.flatnonzero((truth >= 0) & (iou >= threshold))
    _, first = np.unique(truth[able], return_index=True)
    hits[able[first]] = True
    return hits

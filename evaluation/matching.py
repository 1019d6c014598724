"""Which detection finds which truth: the greedy rule of the AVA and MultiSports scripts, without loops.

Every detection looks at the one truth of its group (say: same moment, same action) that it overlaps most.
It is a hit if the overlap reaches the threshold and no detection before it has claimed that truth; there is
no second choice. So the overlaps are computed once, whatever the thresholds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray, paired_iou
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
    found = np.full(len(boxes), -1, dtype=np.int64)
    overlap = np.zeros(len(boxes), dtype=np.float64)
    order = np.argsort(truth_groups, kind="stable")
    sorted_groups = truth_groups[order]
    first = np.searchsorted(sorted_groups, groups, side="left")
    count = np.searchsorted(sorted_groups, groups, side="right") - first
    alone = np.flatnonzero(count)
    if len(alone) == 0:
        return found, overlap
    # One line per (box, truth) pair: the pairs of one box are neighbours, in the order of the truths.
    first, count = first[alone], count[alone]
    starts = np.cumsum(count) - count
    within = np.arange(int(count.sum())) - np.repeat(starts, count)
    truth = order[np.repeat(first, count) + within]
    iou = paired_iou(boxes[np.repeat(alone, count)], truth_boxes[truth])
    largest = np.maximum.reduceat(iou, starts)
    is_largest = (iou == np.repeat(largest, count)) | np.isnan(iou)
    candidates = np.flatnonzero(is_largest)
    chosen = candidates[np.searchsorted(candidates, starts)]
    found[alone] = truth[chosen]
    overlap[alone] = iou[chosen]
    return found, overlap


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

"""Which proposals train, and with whose labels."""

from __future__ import annotations

import numpy as np

from evaluation.boxes import iou_matrix
from evaluation.records import FloatArray, IntArray


def match_proposals(proposals: FloatArray, truth: FloatArray, *, min_iou: float) -> IntArray:
    """Find the true person that each proposal shows.

    A proposal belongs to the true person that it overlaps most, if by at least `min_iou`. A true person's own best
    proposals are kept for this person even where they overlap another one more (that matters where true boxes nearly
    coincide); of several such persons the last one wins. This is MMAction2's MaxIoUAssignerAVA with equal positive,
    negative and minimal thresholds.

    Args:
        proposals: (P, 4) boxes.
        truth: (G, 4) boxes in the same unit.
        min_iou: in (0, 1].

    Returns:
        (P,) index of the true person, -1 for a proposal that shows none.
    """
    if len(proposals) == 0 or len(truth) == 0:
        return np.full(len(proposals), -1, dtype=np.int64)
    iou = np.nan_to_num(iou_matrix(proposals, truth), nan=0.0)
    matched = np.where(iou.max(axis=1) >= min_iou, iou.argmax(axis=1), -1)
    best_of_truth = iou.max(axis=0)
    claimed = (iou == best_of_truth) & (best_of_truth >= min_iou)
    last_claim = len(truth) - 1 - claimed[:, ::-1].argmax(axis=1)
    result: IntArray = np.where(claimed.any(axis=1), last_claim, matched).astype(np.int64)
    return result

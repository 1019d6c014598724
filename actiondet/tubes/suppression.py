"""Boxes of one label at one moment that mean the same person: keep the best, decay or drop the others."""

from __future__ import annotations

import numpy as np

from actiondet.tubes.options import LinkOptions
from evaluation.records import FloatArray, IntArray
from evaluation.tube_set import row_ranges


def suppress(
    groups: IntArray, boxes: FloatArray, scores: FloatArray, pixel: FloatArray, options: LinkOptions
) -> tuple[IntArray, FloatArray]:
    """Return which rows remain, group by group with the best first, and their new scores.

    Args:
        groups: (N,) rows of one label at one moment of one video have the same number.
        boxes: (N, 4) in any unit.
        scores: (N,).
        pixel: (N, 2) width and height of a pixel in that unit.
        options: `suppress`, `suppress_iou`, `pixel_corners`, `boxes_per_step`.

    Returns:
        Row numbers, sorted by group, in a group by falling score (the later row first among equals, as in
        MMAction2); and the scores of these rows.
    """
    order = _ranked(np.argsort(groups), groups, scores)
    if options.suppress != "keep":
        worse, iou = _too_close(order, groups, boxes, pixel, options)
        if options.suppress == "drop":
            order = np.delete(order, worse)
        else:
            scores = scores.copy()
            scores[order[worse]] *= 1 - iou
            order = _ranked(order, groups, scores)
    starts = _starts(groups[order])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    order = order[rank < options.boxes_per_step]
    return order, scores[order]


def _ranked(order: IntArray, groups: IntArray, scores: FloatArray) -> IntArray:
    """Rank the rows of every group by falling score, then by falling row number; `order` has sorted the groups."""
    same = np.diff(groups[order]) == 0
    # Most groups are a single row: only the others need sorting.
    crowded = np.append(same, False) | np.append(False, same)[: len(order)]
    rows = order[crowded]
    order = order.copy()
    order[crowded] = rows[np.lexsort((-rows, -scores[rows], groups[rows]))]
    return order


def _starts(groups: IntArray) -> IntArray:
    """First row of every run of equal numbers."""
    return np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))


def _too_close(
    order: IntArray, groups: IntArray, boxes: FloatArray, pixel: FloatArray, options: LinkOptions
) -> tuple[IntArray, FloatArray]:
    """Return the places in `order` of the rows that a better row of their group suppresses, and their IoU with it.

    Greedy: a row that is itself suppressed suppresses nothing.
    """
    starts = _starts(groups[order])
    ends = np.repeat(np.append(starts[1:], len(order))[: len(starts)], np.diff(np.append(starts, len(order))))
    places = np.arange(len(order))
    better = np.repeat(places, ends - places - 1)
    worse = row_ranges(places + 1, ends - places - 1)
    extra = pixel[order[better]] if options.pixel_corners else np.zeros(2)
    iou = _iou(boxes[order[better]], boxes[order[worse]], extra)
    close = np.flatnonzero(iou > options.suppress_iou)
    gone = set()
    pairs = []
    for pair, b, w in zip(close.tolist(), better[close].tolist(), worse[close].tolist(), strict=True):
        if b not in gone and w not in gone:
            gone.add(w)
            pairs.append(pair)
    return worse[pairs], iou[pairs]


def _iou(first: FloatArray, second: FloatArray, extra: FloatArray) -> FloatArray:
    """IoU of box i with box i, every width and height enlarged by `extra`, (N, 2) or (2,)."""

    def area(low: FloatArray, high: FloatArray) -> FloatArray:
        sides = np.maximum(high - low + extra, 0)
        product: FloatArray = sides[:, 0] * sides[:, 1]
        return product

    shared = area(np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:]))
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: FloatArray = shared / (area(second[:, :2], second[:, 2:]) + area(first[:, :2], first[:, 2:]) - shared)
    return iou

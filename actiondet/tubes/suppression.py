"""Boxes of one label at one moment that mean the same person: keep the best, decay or drop the others."""

from __future__ import annotations

import numpy as np

from actiondet.tubes.options import LinkOptions
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray


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
    order = np.argsort(groups)
    # Number the groups from 0; most are a single row, and only the others are looked at.
    group = np.cumsum(np.diff(groups[order], prepend=groups[order[:1]]) != 0)
    sizes = np.bincount(group)
    crowded = np.flatnonzero(sizes[group] > 1)
    order[crowded] = _ranked(order[crowded], group[crowded], scores)
    if options.suppress != "keep":
        worse, iou = _too_close(order[crowded], group[crowded], boxes, pixel, options)
        worse = crowded[worse]
        if options.suppress == "drop":
            order, group = np.delete(order, worse), np.delete(group, worse)
        else:
            scores = scores.copy()
            scores[order[worse]] *= 1 - iou
            changed = np.zeros(len(sizes), dtype=np.bool_)
            changed[group[worse]] = True
            again = np.flatnonzero(changed[group])
            order[again] = _ranked(order[again], group[again], scores)
    if sizes.max(initial=0) > options.boxes_per_step:
        starts = np.searchsorted(group, group)
        order = order[np.arange(len(group)) - starts < options.boxes_per_step]
    return order, scores[order]


def _ranked(rows: IntArray, group: IntArray, scores: FloatArray) -> IntArray:
    """Order rows by group, then by falling score, then by falling row number."""
    ranked: IntArray = rows[np.lexsort((-rows, -scores[rows], group))]
    return ranked


def _too_close(
    rows: IntArray, group: IntArray, boxes: FloatArray, pixel: FloatArray, options: LinkOptions
) -> tuple[IntArray, FloatArray]:
    """Return the places in `rows` that a better row of their group suppresses, and their IoU with it.

    Greedy: a row that is itself suppressed suppresses nothing.
    """
    places = np.arange(len(rows))
    after = np.searchsorted(group, group, side="right") - places - 1
    better = np.repeat(places, after)
    worse = row_ranges(places + 1, after)
    extra = pixel[rows[better]] if options.pixel_corners else np.zeros(2)
    iou = _iou(boxes[rows[better]], boxes[rows[worse]], extra)
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

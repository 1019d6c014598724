"""Boxes of one label at one moment that mean the same person: keep the best, decay or drop the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from actiondet.tubes.options import LinkOptions
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray

_PAIRS_AT_ONCE = 100_000
"""Pairs of boxes that are compared together: few enough for a processor's cache."""


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
    corners = boxes[rows]
    extra = pixel[rows] if options.pixel_corners else np.zeros((len(rows), 2))
    left, right, wider = (np.ascontiguousarray(column) for column in (corners[:, 0], corners[:, 2], extra[:, 0]))
    gone: set[int] = set()
    found: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    overlaps: list[FloatArray] = [np.zeros(0)]
    for some in _runs(after, _PAIRS_AT_ONCE):
        better, worse = np.repeat(places[some], after[some]), row_ranges(places[some] + 1, after[some])
        width = np.minimum(right[better], right[worse]) - np.maximum(left[better], left[worse]) + wider[better]
        near = np.flatnonzero(width > 0)  # the others share nothing; in a crowd these are most
        better, worse = better[near], worse[near]
        iou = _iou(corners[better], corners[worse], extra[better])
        close = np.flatnonzero(iou > options.suppress_iou)
        pairs = []
        for pair, b, w in zip(close.tolist(), better[close].tolist(), worse[close].tolist(), strict=True):
            if b not in gone and w not in gone:
                gone.add(w)
                pairs.append(pair)
        found.append(worse[pairs])
        overlaps.append(iou[pairs])
    return np.concatenate(found), np.concatenate(overlaps)


def _runs(counts: IntArray, most: int) -> Iterator[slice]:
    """Cut (N,) counts into runs of at most `most` together; a greater count is a run of its own."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        end = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        yield slice(start, end)
        start = end


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

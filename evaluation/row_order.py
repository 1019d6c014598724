"""Which rows of a moment count and in which order they claim truths.

The official AVA tool reads a file into one heap per moment, (score, action, y1, x1, y2, x2), of at most 50 rows:
a row that arrives later enters only if its score is above the least one, which it replaces. Afterwards the heap's
array is sorted by score, stably. So the file's order and the heap's layout decide among equal scores. Here the rows
that survive are found by arithmetic, and the heap itself is played only where its layout can matter.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.records import FloatArray, IntArray


def stable_group_order(codes: npt.NDArray[np.integer]) -> IntArray:
    """Return the stable order that sorts codes from 0 on, like `np.argsort(codes, kind="stable")`.

    numpy sorts 16-bit integers by counting, in linear time; two such passes sort 32 bits.
    """
    if len(codes) == 0 or bool(np.all(codes[1:] >= codes[:-1])):
        return np.arange(len(codes))
    order: IntArray = np.argsort(codes.astype(np.uint16), kind="stable")  # the cast keeps the low 16 bits
    if int(codes.max()) > 0xFFFF:
        high = (codes >> 16).astype(np.uint16)[order]
        order = order[np.argsort(high, kind="stable")]
    return order


def group_starts(sorted_codes: npt.NDArray[np.integer], groups: int) -> IntArray:
    """Return (groups + 1,) where each code begins in codes that rise, and where the last ends."""
    counts = np.bincount(sorted_codes, minlength=groups)
    return np.concatenate([[0], np.cumsum(counts)])


def best_rows(
    limit: int, image: IntArray, order: IntArray, scores: FloatArray, labels: IntArray, boxes: FloatArray
) -> BoolArray:
    """Return which rows survive in heaps of `limit` rows per image.

    Args:
        limit: rows an image may have.
        image: (N,) codes from 0 on, in the order of the file, like `scores`, `labels` and `boxes`.
        order: (N,) the rows by image, then by falling score.
        scores: (N,).
        labels: (N,) decide, then y1, x1, y2, x2, which of the rows with an image's least score fall out first.
        boxes: (N, 4) x1, y1, x2, y2.

    Returns:
        (N,) bool.
    """
    starts = group_starts(image[order], int(image.max(initial=-1)) + 1)
    sizes = np.diff(starts)
    full = np.flatnonzero(sizes > limit)
    if len(full) == 0:
        return np.ones(len(image), dtype=np.bool_)
    # The least score that survives, per full image; all below it are out, all above it are in.
    least = np.full(len(sizes), -np.inf)
    least[full] = scores[order[starts[full] + limit - 1]]
    keep: BoolArray = scores >= least[image]
    level = np.bincount(image[keep], minlength=len(sizes))
    crowded = level > limit
    rivals = np.flatnonzero(keep & crowded[image])
    if len(rivals):
        keep[rivals] = _survivors(limit, image[rivals], scores[rivals], labels[rivals], boxes[rivals], least)
    return keep


def _survivors(
    limit: int, image: IntArray, scores: FloatArray, labels: IntArray, boxes: FloatArray, least: FloatArray
) -> BoolArray:
    """Decide among rows at or above their image's least score where these are too many.

    The first `limit` of them fill the heap. A later one enters only if it is above the least score, and every time
    the smallest row, (score, action, y1, x1, y2, x2), is thrown out, which has the least score as long as any has.
    """
    by_image = stable_group_order(image)
    codes = image[by_image]
    starts = group_starts(codes, len(least))
    arrival = np.empty(len(image), dtype=np.int64)
    arrival[by_image] = np.arange(len(image)) - starts[codes]
    at_least = scores == least[image]
    early = arrival < limit
    thrown_out = np.bincount(image[~early & ~at_least], minlength=len(least))
    keep: BoolArray = ~at_least
    tied = np.flatnonzero(at_least & early)
    x1, y1, x2, y2 = boxes[tied].T
    smallest_first = tied[np.lexsort((x2, y2, x1, y1, labels[tied], image[tied]))]
    codes = image[smallest_first]
    rank = np.arange(len(codes)) - group_starts(codes, len(least))[codes]
    keep[smallest_first] = rank >= thrown_out[codes]
    return keep


def played_heap(limit: int | None, scores: FloatArray, labels: IntArray, boxes: FloatArray) -> IntArray:
    """Return which rows of one image the official tool keeps, in its order, by doing what it does.

    Args:
        limit: rows the image may have; None for all.
        scores: (N,) in the order of the file, like the others.
        labels: (N,).
        boxes: (N, 4) x1, y1, x2, y2.

    Returns:
        Indices of the rows, by falling score.
    """
    rows = zip(scores.tolist(), labels.tolist(), *boxes[:, [1, 0, 3, 2]].T.tolist(), strict=True)
    heap: list[tuple[float, ...]] = []
    # Equal rows cannot be told apart, in the tool as here; whichever index they get, the result is the same.
    indices: defaultdict[tuple[float, ...], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        indices[row].append(index)
        if limit is None or len(heap) < limit:
            heapq.heappush(heap, row)
        elif row[0] > heap[0][0]:
            heapq.heapreplace(heap, row)
    by_score = sorted(heap, key=lambda row: -row[0])
    return np.array([indices[row].pop(0) for row in by_score], dtype=np.int64)


def with_played_heaps(
    order: IntArray,
    played: IntArray,
    limit: int | None,
    image: IntArray,
    scores: FloatArray,
    labels: IntArray,
    boxes: FloatArray,
) -> IntArray:
    """Return `order` with the rows of some images in the official tool's order.

    Args:
        order: row indices by image; rows that do not take part may be absent.
        played: the images to reorder.
        limit: rows an image may have; None for all.
        image: (N,) codes from 0 on, in the order of the file, like `scores`, `labels` and `boxes`.
        scores: (N,).
        labels: (N,).
        boxes: (N, 4).
    """
    order = order.copy()
    images = int(image.max(initial=-1)) + 1
    chosen = np.zeros(images, dtype=np.bool_)
    chosen[played] = True
    rows = np.flatnonzero(chosen[image])
    rows = rows[stable_group_order(image[rows])]
    starts, ends = (group_starts(image[indices], images) for indices in (rows, order))
    for code in played:
        members = rows[starts[code] : starts[code + 1]]
        slots = slice(ends[code], ends[code + 1])
        official = members[played_heap(limit, scores[members], labels[members], boxes[members])]
        order[slots] = official[np.isin(official, order[slots])]
    return order

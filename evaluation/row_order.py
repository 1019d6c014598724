"""Which rows of a moment count and in which order they claim truths.

The official AVA tool reads a file into one heap per moment, (score, action, y1, x1, y2, x2), of at most 50 rows:
a row that arrives later enters only if its score is above the least one, which it replaces. Afterwards the heap's
array is sorted by score, stably. So the file's order and the heap's layout decide among equal scores. Here the rows
that survive are found by arithmetic, and the heap itself is played only where its layout can matter.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.boxes import BoolArray
from evaluation.ragged import offsets
from evaluation.records import FloatArray, IntArray


class LabeledBoxes(Protocol):
    """A table that has labels (N,) and boxes (N, 4)."""

    @property
    def labels(self) -> IntArray:
        """(N,)."""

    @property
    def boxes(self) -> FloatArray:
        """(N, 4) x1, y1, x2, y2."""


@dataclass(frozen=True, eq=False)
class MomentRows:
    """Some rows of a table, in its order, as they go into the heaps.

    Attributes:
        table: where labels and boxes are; they are asked of few rows, so they are not copied.
        row: (N,) index of every row into the table, rising.
        image: (N,) number of its moment, from 0 on.
        scores: (N,).
    """

    table: LabeledBoxes
    row: IntArray
    image: IntArray
    scores: FloatArray


_FEW = 1000
"""So few numbers are sorted faster by comparing."""


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


def stable_number_order(values: FloatArray) -> IntArray:
    """Return the stable order that sorts numbers, like `np.argsort(values, kind="stable")`, in a third of the time.

    The bits of a float, read as an integer, sort like the float itself, once those of negative ones are turned round.
    Integers are sorted by 16 bits at a time, by counting.

    Args:
        values: (N,) float32 or float64, none of them NaN.
    """
    if len(values) < _FEW:
        return np.argsort(values, kind="stable")
    width = 8 * values.itemsize
    bits = (values + 0).view(np.dtype(f"i{values.itemsize}"))  # + 0: the two zeros are equal
    if bits.min() < 0:
        bits = np.where(bits < 0, ~bits, bits | np.array(-1 << (width - 1), dtype=bits.dtype))
    order: IntArray | None = None
    for shift in range(0, width, 16):
        digits = (bits >> shift).astype(np.uint16)  # the cast keeps the low 16 bits
        if order is None:
            order = np.argsort(digits, kind="stable")
        elif digits.min() != digits.max():
            order = order[np.argsort(digits[order], kind="stable")]
    assert order is not None
    return order


def group_starts(sorted_codes: npt.NDArray[np.integer], groups: int) -> IntArray:
    """Return (groups + 1,) where each code begins in codes that rise, and where the last ends."""
    return offsets(np.bincount(sorted_codes, minlength=groups))


def best_rows(limit: int, rows: MomentRows) -> BoolArray:
    """Return (N,) bool: which rows survive in heaps of `limit` rows per moment."""
    sizes = np.bincount(rows.image)
    least = _least_scores(limit, rows, sizes)
    keep: BoolArray = rows.scores >= least[rows.image]
    crowded = np.bincount(rows.image[keep], minlength=len(sizes)) > limit
    if crowded.any():
        rivals = np.flatnonzero(keep & crowded[rows.image])
        keep[rivals] = _survivors(limit, rows, rivals, least)
    return keep


def _least_scores(limit: int, rows: MomentRows, sizes: IntArray) -> FloatArray:
    """Return the score of the `limit`-th best row of every moment, -inf where there are not more rows.

    Moments of nearly the same size are laid side by side in a matrix, so that one call finds the scores of all.
    """
    least = np.full(len(sizes), -np.inf)
    crowded = sizes > limit
    if not crowded.any():
        return least
    # Up to a sixteenth wider than need be, so that there are few matrices.
    step = 2 ** np.maximum(np.log2(np.maximum(sizes, 1)).astype(np.int64) - 4, 0)
    widths = np.where(crowded, -(-sizes // step) * step, 0)
    scores = np.append(rows.scores[stable_group_order(rows.image)], np.full(int(widths.max()), -np.inf))
    starts = np.cumsum(sizes) - sizes
    for width in np.unique(widths[crowded]).tolist():
        images = np.flatnonzero(widths == width)
        matrix = sliding_window_view(scores, width)[starts[images]]
        matrix[np.arange(width) >= sizes[images, None]] = -np.inf
        matrix.partition(width - limit, axis=1)
        least[images] = matrix[:, width - limit]
    return least


def _survivors(limit: int, rows: MomentRows, rivals: IntArray, least: FloatArray) -> BoolArray:
    """Decide among rows at or above their moment's least score where these are too many.

    The first `limit` of them fill the heap. A later one enters only if it is above the least score, and every time
    the smallest row, (score, action, y1, x1, y2, x2), is thrown out, which has the least score as long as any has.
    """
    image, scores = rows.image[rivals], rows.scores[rivals]
    by_image = stable_group_order(image)
    codes = image[by_image]
    arrival = np.empty(len(image), dtype=np.int64)
    arrival[by_image] = np.arange(len(image)) - group_starts(codes, len(least))[codes]
    at_least = scores == least[image]
    early = arrival < limit
    thrown_out = np.bincount(image[~early & ~at_least], minlength=len(least))
    keep: BoolArray = ~at_least
    tied = np.flatnonzero(at_least & early)
    index = rows.row[rivals[tied]]
    x1, y1, x2, y2 = rows.table.boxes[index].T
    smallest_first = tied[np.lexsort((x2, y2, x1, y1, rows.table.labels[index], image[tied]))]
    codes = image[smallest_first]
    rank = np.arange(len(codes)) - group_starts(codes, len(least))[codes]
    keep[smallest_first] = rank >= thrown_out[codes]
    return keep


def heap_ranks(limit: int | None, rows: MomentRows, images: IntArray) -> IntArray:
    """Return (N,) the place of every row in the official tool's order of its moment.

    Args:
        limit: rows a moment may have; None for all.
        rows: the rows.
        images: the moments for which to find out; rows of other moments get 0, rows that fall out get -1.
    """
    chosen = np.zeros(int(rows.image.max(initial=-1)) + 1, dtype=np.bool_)
    chosen[images] = True
    members = np.flatnonzero(chosen[rows.image])
    members = members[stable_group_order(rows.image[members])]
    ranks = np.zeros(len(rows.image), dtype=np.int64)
    ranks[members] = -1
    for one in np.split(members, np.flatnonzero(np.diff(rows.image[members])) + 1):
        index = rows.row[one]
        order = played_heap(limit, rows.scores[one], rows.table.labels[index], rows.table.boxes[index])
        ranks[one[order]] = np.arange(len(order))
    return ranks


def played_heap(limit: int | None, scores: FloatArray, labels: IntArray, boxes: FloatArray) -> IntArray:
    """Return which rows of one moment the official tool keeps, in its order, by doing what it does.

    Args:
        limit: rows the moment may have; None for all.
        scores: (N,) in the order of the file, like the others.
        labels: (N,).
        boxes: (N, 4) x1, y1, x2, y2.

    Returns:
        Indices of the rows, by falling score.
    """
    heap: list[tuple[float, ...]] = []
    # Of rows that are equal in everything the tool cannot say which survive: here, the last that entered.
    indices: defaultdict[tuple[float, ...], list[int]] = defaultdict(list)
    for index, row in enumerate(zip(scores.tolist(), labels.tolist(), *boxes[:, [1, 0, 3, 2]].T.tolist(), strict=True)):
        if limit is None or len(heap) < limit:
            heapq.heappush(heap, row)
        elif row[0] > heap[0][0]:
            heapq.heapreplace(heap, row)
        else:
            continue
        indices[row].append(index)
    by_score = sorted(heap, key=lambda row: -row[0])
    return np.array([indices[row].pop() for row in by_score], dtype=np.int64)

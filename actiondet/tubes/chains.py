"""Online linking: at every moment the running tubes take the boxes that continue them, the others start tubes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from actiondet.tubes.options import LinkOptions
from evaluation.boxes import paired_iou
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray


def chain_rows(
    streams: IntArray, steps: IntArray, boxes: FloatArray, scores: FloatArray, options: LinkOptions
) -> IntArray:
    """Return the tube of every row; tubes are numbered in the order in which they start.

    All streams advance together, moment by moment. In every stream the running tubes choose in the order of
    their mean score; a tube takes the best free box whose IoU with its last box suffices. Boxes that nobody
    takes start tubes of their own.

    Args:
        streams: (N,) rows of one label of one video have the same number. The rows are sorted by step, then
            by stream, then by falling score.
        steps: (N,) moment, counted in steps.
        boxes: (N, 4) in any unit.
        scores: (N,).
        options: `link_iou`, `prefer`, `max_gap`.
    """
    count = len(streams)
    tube_of_row = np.zeros(count, dtype=np.int64)
    # Of every tube: its last row, and the sum and number of its scores.
    last_row = np.zeros(count, dtype=np.int64)
    total, seen = np.zeros(count), np.zeros(count, dtype=np.int64)
    running = np.zeros(0, dtype=np.int64)
    tubes = 0
    # Of every stream: where its rows of this moment begin, and how many there are.
    first_of, rows_of = np.zeros((2, int(streams.max(initial=0)) + 1), dtype=np.int64)
    edges = np.append(np.flatnonzero(np.diff(steps, prepend=steps[:1] - 1)), count).tolist()
    for start, end in pairwise(edges):
        running = running[steps[start] - steps[last_row[running]] <= options.max_gap + 1]
        if options.prefer == "score":
            running = running[np.argsort(-(total[running] / seen[running]), kind="stable")]
        begins = np.flatnonzero(np.diff(streams[start:end], prepend=-1)) + start
        here = streams[begins]
        first_of[here], rows_of[here] = begins, np.diff(np.append(begins, end))
        last = last_row[running]
        stream = streams[last]
        chosen, rows = _choose(last, first_of[stream], rows_of[stream], start, end, boxes, options)
        rows_of[here] = 0
        taken = running[chosen]
        free = np.ones(end - start, dtype=np.bool_)
        free[rows - start] = False
        fresh = np.flatnonzero(free) + start
        born = np.arange(tubes, tubes + len(fresh))
        tubes += len(fresh)
        tube, row = np.concatenate([taken, born]), np.concatenate([rows, fresh])
        tube_of_row[row] = tube
        last_row[tube] = row
        total[tube] += scores[row]
        seen[tube] += 1
        running = np.concatenate([running, born])
    return tube_of_row


def _choose(
    last: IntArray, first: IntArray, count: IntArray, start: int, end: int, boxes: FloatArray, options: LinkOptions
) -> tuple[IntArray, IntArray]:
    """Let tubes choose among the rows start to end - 1 of this moment.

    Args:
        last: (T,) last row of every tube, in the order in which they may choose.
        first: (T,) first row of this moment in the stream of the tube.
        count: (T,) number of these rows, which may be 0.
        start: first row of this moment.
        end: one more than its last row.
        boxes: of all rows.
        options: `link_iou`, `prefer`.

    Returns:
        Places in `last` of the tubes that found a row, and these rows.
    """
    tube = np.repeat(np.arange(len(last)), count)
    row = row_ranges(first, count)
    iou = paired_iou(boxes[row], boxes[last[tube]])
    near = np.flatnonzero(iou >= options.link_iou)
    if options.prefer == "iou":
        near = near[np.argsort(-iou[near], kind="stable")]
    return _first_come(tube[near], row[near], len(last), start, end)


def _first_come(tube: IntArray, row: IntArray, tubes: int, start: int, end: int) -> tuple[IntArray, IntArray]:
    """Serve wishes (tube, row) in their order: a wish is granted if its tube and its row are both still free.

    In every round all wishes are granted that are the first of their tube and the first for their row; the
    first of the remaining wishes always is, so the rounds end, with what one pass over the wishes would give.
    """
    granted_tubes, granted_rows = [], []
    while len(tube):
        place = np.arange(len(tube))
        of_tube, of_row = np.empty(tubes, dtype=np.int64), np.empty(end - start, dtype=np.int64)
        of_tube[tube[::-1]] = place[::-1]
        of_row[row[::-1] - start] = place[::-1]
        granted = (of_tube[tube] == place) & (of_row[row - start] == place)
        granted_tubes.append(tube[granted])
        granted_rows.append(row[granted])
        of_tube[tube[granted]] = -1
        of_row[row[granted] - start] = -1
        free = (of_tube[tube] >= 0) & (of_row[row - start] >= 0)
        tube, row = tube[free], row[free]
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *granted_tubes]), np.concatenate([none, *granted_rows])

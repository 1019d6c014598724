"""From chains of boxes to tubes: fill the gaps, trim, smooth, score, and drop what is too short or too weak."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actiondet.tubes.options import LinkOptions
from evaluation.boxes import BoolArray, paired_iou
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, IntArray
from evaluation.tube_iou import segment_means

_SAME_PLACE = 0.5
"""IoU from which two boxes of a tube may be averaged: less, and the person has moved."""


@dataclass(frozen=True, eq=False, repr=False)
class Chains:
    """N tubes as columns, their M boxes one tube after the other.

    Attributes:
        streams: (N,) which label of which video.
        lengths: (N,) number of boxes.
        moments: (M,) in the unit of the data set, rising within a tube.
        boxes: (M, 4).
        scores: (M,) of the boxes.
    """

    streams: IntArray
    lengths: IntArray
    moments: IntArray
    boxes: FloatArray
    scores: FloatArray

    @property
    def starts(self) -> IntArray:
        """(N,) first box of every tube."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def places(self) -> IntArray:
        """(M,) number of every box within its tube, from 0."""
        return np.arange(len(self.moments)) - np.repeat(self.starts, self.lengths)

    def take(self, wanted: BoolArray | IntArray) -> Chains:
        """Return some of the tubes: a mask, or their numbers in the order wanted."""
        lengths = self.lengths[wanted]
        rows = row_ranges(self.starts[wanted], lengths)
        return Chains(self.streams[wanted], lengths, self.moments[rows], self.boxes[rows], self.scores[rows])


def fill_gaps(
    tubes: IntArray,
    streams: IntArray,
    steps: IntArray,
    moments: IntArray,
    boxes: FloatArray,
    scores: FloatArray,
    min_length: int,
) -> Chains:
    """Sort rows into tubes and interpolate the boxes, scores and moments of the steps that a tube lacks.

    Args:
        tubes: (N,) tube of every row.
        streams: (N,) the same for all rows of a tube.
        steps: (N,) rising; different for all rows of a tube.
        moments: (N,).
        boxes: (N, 4).
        scores: (N,).
        min_length: shorter tubes are left out; steps.
    """
    begin, end = np.zeros((2, int(tubes.max(initial=0)) + 1), dtype=np.int64)
    begin[tubes[::-1]], end[tubes] = steps[::-1], steps
    rows = np.flatnonzero((end - begin + 1 >= min_length)[tubes])
    order = rows[np.argsort(tubes[rows], kind="stable")]
    tubes, steps = tubes[order], steps[order]
    first = np.flatnonzero(np.diff(tubes, prepend=-1))
    last = np.append(first[1:], len(tubes))[: len(first)] - 1
    lengths = steps[last] - steps[first] + 1
    # All steps of all tubes on one axis; the known ones lie at these places.
    places = np.repeat(np.cumsum(lengths) - lengths - steps[first], last - first + 1) + steps
    unknown = np.ones(int(lengths.sum()), dtype=np.bool_)
    unknown[places] = False
    gaps = np.flatnonzero(unknown)

    def filled(column: FloatArray) -> FloatArray:
        result = np.empty(len(unknown))
        result[places] = column
        if len(gaps):
            result[gaps] = np.interp(gaps, places, column)
        return result

    return Chains(
        streams=streams[order][first],
        lengths=lengths,
        moments=np.rint(filled(moments[order].astype(np.float64))).astype(np.int64),
        boxes=np.stack([filled(column) for column in boxes[order].T], axis=1),
        scores=filled(scores[order]),
    )


def trim(chains: Chains, share: float, window: int, max_gap: int) -> Chains:
    """Keep the parts of every tube whose score, averaged over `window` steps, reaches `share` of its best.

    Parts with up to `max_gap` weaker steps between them stay one tube, with these steps.
    """
    if share == 0 or len(chains.lengths) == 0:
        return chains
    score = _running_mean(chains.scores, _reach(chains, window), window)
    best = np.repeat(np.maximum.reduceat(score, chains.starts), chains.lengths)
    rows = np.flatnonzero(score >= share * best)
    tube = np.repeat(np.arange(len(chains.lengths)), chains.lengths)[rows]
    begins = (np.diff(tube, prepend=-1) != 0) | (np.diff(rows, prepend=rows[:1]) > max_gap + 1)
    first = rows[begins]
    last = rows[np.append(np.flatnonzero(begins)[1:] - 1, len(rows) - 1)]
    kept = row_ranges(first, last - first + 1)
    return Chains(
        chains.streams[tube[begins]], last - first + 1, chains.moments[kept], chains.boxes[kept], chains.scores[kept]
    )


def smooth(chains: Chains, window: int) -> Chains:
    """Average every box with its neighbors in a window of steps, in pairs that both overlap it by half."""
    reach = _reach(chains, window)
    total, count = chains.boxes.copy(), np.ones(len(reach))
    for k in range(1, window // 2 + 1):
        rows = np.flatnonzero(reach >= k)
        for side in (-k, k):
            rows = rows[paired_iou(chains.boxes[rows + side], chains.boxes[rows]) >= _SAME_PLACE]
        # Always one from before and one from after, so that steady motion is not held back.
        total[rows] += chains.boxes[rows - k] + chains.boxes[rows + k]
        count[rows] += 2
    return replace(chains, boxes=total / count[:, None])


def finish(chains: Chains, options: LinkOptions) -> tuple[Chains, FloatArray]:
    """Trim, smooth, score and sift tubes.

    Returns:
        The tubes that remain, and their scores.
    """
    chains = trim(chains, options.trim, options.smooth, options.max_gap)
    chains = chains.take(chains.lengths >= options.min_length)
    if options.smooth > 1:
        chains = smooth(chains, options.smooth)
    scores = segment_means(chains.scores, chains.lengths)
    if options.prior_steps:
        scores *= chains.lengths / (chains.lengths + options.prior_steps)
    strong = scores >= options.min_tube_score
    return chains.take(strong), scores[strong]


def _reach(chains: Chains, window: int) -> IntArray:
    """How far a window around every box extends to both sides without leaving the tube, (M,)."""
    place = chains.places
    room = np.minimum(place, np.repeat(chains.lengths, chains.lengths) - 1 - place)
    reach: IntArray = np.minimum(room, window // 2)
    return reach


def _running_mean(values: FloatArray, reach: IntArray, window: int) -> FloatArray:
    """Mean of the values at most `reach` away."""
    total = values.copy()
    for k in range(1, window // 2 + 1):
        rows = np.flatnonzero(reach >= k)
        total[rows] += values[rows - k] + values[rows + k]
    means: FloatArray = total / (2 * reach + 1)
    return means

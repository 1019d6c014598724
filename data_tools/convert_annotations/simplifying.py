"""As few keyframes as a tolerance allows: boxes between keyframes lie on straight lines."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from evaluation.records import FloatArray, IntArray

# Of the boxes that a keyframe may have, so many are tried for each side.
_TRIED = 17


def choose_keyframes(
    times: IntArray, boxes: FloatArray, low: FloatArray, high: FloatArray, forced: Collection[int] = ()
) -> tuple[list[int], FloatArray]:
    """Choose keyframes and their boxes so that straight lines between them pass near all boxes.

    The box of a keyframe may itself lie off within the bounds: a line through the middle of trembling boxes needs half
    as many keyframes. From each keyframe the next one lies as far ahead as some line allows.

    Args:
        times: (T,) rising.
        boxes: (T, 4).
        low: (T, 4) the least that each side may be.
        high: (T, 4) the greatest.
        forced: places that are keyframes whatever the boxes do.

    Returns:
        K places, the first and the last among them, and (K, 4) boxes.
    """
    places, reached = [0], [(low[0], high[0])]
    for stop in sorted({*forced, len(boxes) - 1} - {0}):
        while places[-1] < stop:
            place, sides = _farthest(times, low, high, places[-1], stop, reached[-1])
            places.append(place)
            reached.append(sides)
    chosen = np.empty((len(places), 4), dtype=np.float64)
    chosen[-1] = np.clip(boxes[places[-1]], *reached[-1])
    for number in range(len(places) - 2, -1, -1):
        least, most = _departures(times, low, high, places[number], places[number + 1], chosen[number + 1])
        least, most = np.maximum(least, reached[number][0]), np.minimum(most, reached[number][1])
        chosen[number] = np.clip(boxes[places[number]], np.minimum(least, most), most)
    return places, chosen


_Sides = tuple[FloatArray, FloatArray]
"""(4,) least and (4,) greatest coordinates of a box."""


def _farthest(
    times: IntArray, low: FloatArray, high: FloatArray, begin: int, stop: int, sides: _Sides
) -> tuple[int, _Sides]:
    """The last place up to `stop` that a line from `begin` reaches, and the boxes it may have there."""
    good, found = begin + 1, _arrivals(times, low, high, begin, begin + 1, sides)
    assert found is not None  # there is nothing in between
    step = 1
    while good < stop and step:
        place = min(good + step, stop)
        further = _arrivals(times, low, high, begin, place, sides)
        if further is None:
            step = step // 2 if place - good > 1 else 0
        else:
            good, found, step = place, further, 2 * step
    return good, found


def _arrivals(times: IntArray, low: FloatArray, high: FloatArray, begin: int, end: int, sides: _Sides) -> _Sides | None:
    """The boxes at `end` of lines from `begin`, where they lie between `sides`; None if no line keeps to the bounds."""
    share = _shares(times, begin, end)[1:, None]
    starts = sides[0] + np.linspace(0, 1, _TRIED)[:, None] * (sides[1] - sides[0])
    rest = starts[:, None] * (1 - share)
    least = ((low[begin + 1 : end + 1] - rest) / share).max(axis=1)
    most = ((high[begin + 1 : end + 1] - rest) / share).min(axis=1)
    possible = least <= most
    if not possible.any(axis=0).all():
        return None
    return np.where(possible, least, np.inf).min(axis=0), np.where(possible, most, -np.inf).max(axis=0)


def _departures(times: IntArray, low: FloatArray, high: FloatArray, begin: int, end: int, box: FloatArray) -> _Sides:
    """The boxes at `begin` of lines that end in `box` at `end`."""
    share = _shares(times, begin, end)[:-1, None]
    least = ((low[begin:end] - share * box) / (1 - share)).max(axis=0)
    most = ((high[begin:end] - share * box) / (1 - share)).min(axis=0)
    return least, most


def _shares(times: IntArray, begin: int, end: int) -> FloatArray:
    shares: FloatArray = (times[begin : end + 1] - times[begin]) / (times[end] - times[begin])
    return shares

"""True persons beside the boxes that are proposed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data_tools.check_dataset.readings import Reading
from evaluation.matching import best_truths
from evaluation.records import FloatArray, FrameKey, IntArray

# Fewer persons say nothing of a gain; and it must exceed so many standard errors.
_FEWEST, _SURE = 10, 6.0


@dataclass(frozen=True, eq=False)
class Matching:
    """The persons of some moments, and boxes.

    Attributes:
        truth: (P, 4) boxes of the true persons, and perhaps of others.
        moments: rows of `truth` at each moment.
        boxes: the proposals that count.
    """

    truth: FloatArray
    moments: Mapping[FrameKey, IntArray]
    boxes: Mapping[FrameKey, FloatArray]

    @cached_property
    def best(self) -> FloatArray:
        """The IoU of every person with its best box, moment by moment."""
        return best_iou(self.truth, self.moments, self.boxes)

    @property
    def recall(self) -> float:
        """The share of the persons who have a box at IoU 0.5."""
        return float((self.best >= 0.5).mean()) if len(self.best) else 0.0

    def per_person(self, values: list[str] | list[bool]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        """Repeat a value of every moment for each of its persons."""
        return np.repeat(values, [len(rows) for rows in self.moments.values()])

    def read_boxes(self, read: Reading) -> Matching:
        """The same with boxes that are read in another way."""
        return Matching(self.truth, self.moments, {key: read(value) for key, value in self.boxes.items()})

    def read_truth(self, read: Reading) -> Matching:
        """The same with a truth that is read in another way."""
        return Matching(read(self.truth), self.moments, self.boxes)

    def shifted(self, step: int) -> Matching:
        """The same persons beside the boxes of `step` later."""
        moments = {FrameKey(key.video, key.moment + step): rows for key, rows in self.moments.items()}
        return Matching(self.truth, moments, self.boxes)


def best_iou(
    truth: FloatArray, moments: Mapping[FrameKey, IntArray], boxes: Mapping[FrameKey, FloatArray]
) -> FloatArray:
    """The IoU of every true person with its best box, moment by moment."""
    if not moments:
        return np.zeros(0)
    mine = [boxes.get(key, np.empty((0, 4))) for key in moments]
    places = np.arange(len(mine))  # 10 million pairs on AVA, no loop over moments
    of_person, of_box = (np.repeat(places, [len(each) for each in some]) for some in (moments.values(), mine))
    people = truth[np.concatenate(list(moments.values()))]
    _, overlap = best_truths(people, of_person, np.concatenate(mine).astype(np.float64), of_box)
    return np.nan_to_num(overlap)


def is_gain(gain: FloatArray, least: float) -> bool:
    """Whether the mean of many overlaps rose by `least`, and by more than chance would have it."""
    error = float(gain.std()) / np.sqrt(len(gain)) if len(gain) else 0.0
    return len(gain) >= _FEWEST and float(gain.mean()) > max(least, _SURE * error)

"""Persons between key moments: who is the same person, and where a box is at any time (numpy and scipy only)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.boxes import iou_matrix
from evaluation.records import ActionDetections, FloatArray, IntArray

# A second apart, a walking person does not overlap with where he was. Both boxes are therefore matched at twice
# their size, which reaches half a body's height to each side.
_ENLARGED = 2.0
_SAME_PERSON_IOU = 0.15


class CarriedPersons:
    """The persons of a video at any time.

    A frame shows the persons of the nearest key moment. A person who is found at the moment on the frame's
    other side, too (by overlap), moves there in a straight line; the others stand still.
    """

    def __init__(self, detections: Sequence[ActionDetections], *, min_iou: float = _SAME_PERSON_IOU) -> None:
        """Match the persons of consecutive moments.

        Args:
            detections: of one video, moments rising.
            min_iou: boxes of consecutive moments that overlap less, when drawn twice as large, are different persons.
        """
        self._detections = detections
        self._moments = np.array([each.key.moment for each in detections], dtype=np.int64)
        if np.any(np.diff(self._moments) <= 0):
            raise ValueError("moments of the detections do not rise")
        self._next: list[IntArray] = [
            match_persons(_enlarged(here.boxes), _enlarged(there.boxes), min_iou=min_iou)
            for here, there in pairwise(detections)
        ]
        self.identities = _identities([len(each) for each in detections], self._next)

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons at `time` (microseconds), their boxes carried there, and their (P,) identities from 0.

        Raises:
            ValueError: there is no moment at all.
        """
        if len(self._moments) == 0:
            raise ValueError("no key moment to carry persons from")
        nearest = int(np.abs(self._moments - time).argmin())
        found = self._detections[nearest]
        boxes = found.boxes
        forward = time > found.key.moment
        other = nearest + 1 if forward else nearest - 1
        if time != found.key.moment and 0 <= other < len(self._moments):
            share = (time - found.key.moment) / (self._detections[other].key.moment - found.key.moment)
            partners = self._next[nearest] if forward else _inverse(self._next[other], len(boxes))
            boxes = _moved(boxes, self._detections[other].boxes, partners, share)
        carried = ActionDetections(found.key._replace(moment=time), boxes, found.person_scores, found.action_scores)
        return carried, self.identities[nearest]


def match_persons(here: FloatArray, there: FloatArray, *, min_iou: float) -> IntArray:
    """Pair the boxes of two moments one to one so that the overlaps add up to most.

    Returns:
        (len(here),) row of `there` for every row of `here`; -1 where no box overlaps by `min_iou`.
    """
    overlaps = np.nan_to_num(iou_matrix(here, there))
    # Overlaps too small to count must not draw a person away from a partner that counts.
    rows, columns = linear_sum_assignment(np.where(overlaps >= min_iou, overlaps, 0.0), maximize=True)
    partners = np.full(len(here), -1, dtype=np.int64)
    counts = overlaps[rows, columns] >= min_iou
    partners[rows[counts]] = columns[counts]
    return partners


def _enlarged(boxes: FloatArray) -> FloatArray:
    """Boxes of `_ENLARGED` times the width and height around the same centres."""
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centers - sizes * (_ENLARGED / 2), centers + sizes * (_ENLARGED / 2)], axis=1)


def _identities(counts: Sequence[int], partners: Sequence[IntArray]) -> list[IntArray]:
    """Number the persons of each moment: the matched ones keep theirs, the others get the next free one."""
    numbered: list[IntArray] = []
    taken = 0
    for moment, count in enumerate(counts):
        numbers = np.full(count, -1, dtype=np.int64)
        if moment > 0:
            before = partners[moment - 1]
            numbers[before[before >= 0]] = numbered[-1][before >= 0]
        new = np.flatnonzero(numbers < 0)
        numbers[new] = taken + np.arange(len(new))
        taken += len(new)
        numbered.append(numbers)
    return numbered


def _inverse(partners: IntArray, count: int) -> IntArray:
    """Turn a matching round: for each of `count` rows the row that is matched to it, or -1."""
    inverse = np.full(count, -1, dtype=np.int64)
    matched = np.flatnonzero(partners >= 0)
    inverse[partners[matched]] = matched
    return inverse


def _moved(boxes: FloatArray, others: FloatArray, partners: IntArray, share: float) -> FloatArray:
    moved: FloatArray = boxes.copy()
    matched = partners >= 0
    moved[matched] += share * (others[partners[matched]] - boxes[matched])
    return moved

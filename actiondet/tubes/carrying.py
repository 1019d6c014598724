"""Persons between key moments: where everybody is at any time, with the scores of the nearest moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actiondet.tubes.tracking import MIN_IOU, track_persons
from evaluation.records import ActionDetections, FloatArray, IntArray, PersonBoxes


class CarriedPersons:
    """The persons of a video at any time.

    A frame shows the persons of the nearest key moment. A person who is found at the moment on the frame's
    other side, too (by overlap), moves there in a straight line; the others stand still.
    """

    def __init__(self, detections: Sequence[ActionDetections], *, min_iou: float = MIN_IOU) -> None:
        """Match the persons of consecutive moments.

        Args:
            detections: of one video, moments rising.
            min_iou: boxes of consecutive moments that overlap less, when drawn twice as large, are different persons.
        """
        self._detections = detections
        self._moments = np.array([each.key.moment for each in detections], dtype=np.int64)
        persons = [PersonBoxes(each.key, each.boxes, each.person_scores) for each in detections]
        self.identities = track_persons(persons, min_iou=min_iou)

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons at `time` (microseconds), their boxes carried there, and their (P,) identities from 0.

        Raises:
            ValueError: no moments.
        """
        if len(self._moments) == 0:
            raise ValueError("no key frame to carry persons from")
        nearest = int(np.abs(self._moments - time).argmin())
        found = self._detections[nearest]
        boxes = found.boxes
        forward = time > found.key.moment
        other = nearest + 1 if forward else nearest - 1
        if time != found.key.moment and 0 <= other < len(self._moments):
            share = (time - found.key.moment) / (self._detections[other].key.moment - found.key.moment)
            partners = _partners(self.identities[nearest], self.identities[other])
            boxes = _moved(boxes, self._detections[other].boxes, partners, share)
        carried = ActionDetections(found.key._replace(moment=time), boxes, found.person_scores, found.action_scores)
        return carried, self.identities[nearest]


def _partners(here: IntArray, there: IntArray) -> IntArray:
    """(P,) for each identity of `here` its row in `there`, or -1."""
    same = here[:, None] == there
    partners: IntArray = np.where(same.any(axis=1), same.argmax(axis=1), -1) if len(there) else np.full(len(here), -1)
    return partners


def _moved(boxes: FloatArray, others: FloatArray, partners: IntArray, share: float) -> FloatArray:
    moved: FloatArray = boxes.copy()
    matched = partners >= 0
    moved[matched] += share * (others[partners[matched]] - boxes[matched])
    return moved

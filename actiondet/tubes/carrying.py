"""Persons between key frames: where everybody is at any time, with the scores of the nearest moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from actiondet.tubes.following import Look
from actiondet.tubes.tracking import track_persons
from evaluation.records import ActionDetections, FloatArray, IntArray, PersonBoxes


class PersonsOverTime(Protocol):
    """The persons of a video at any time."""

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons at `time` (microseconds), and their (P,) identities."""


class CarriedPersons:
    """The persons of a video at any time.

    A frame shows the persons of the nearest look, which is a key frame where nobody looks between these. A person
    who is found at the look on the frame's other side, too, moves there in a straight line; the others stand still. Who
    is missed at some looks and then found as the same person moves on in a straight line as well. Scores are those of
    the nearest key frame at which the person was found, one of the two around the frame.
    """

    def __init__(self, detections: Sequence[ActionDetections], looks: Sequence[Look]) -> None:
        """Fill the gaps of persons.

        Args:
            detections: of one video, moments rising.
            looks: rising, those at the moments of `detections` among them, with the same persons.

        Raises:
            ValueError: the moments of `detections` are not among the looks.
        """
        self._moments = np.array([each.key.moment for each in detections], dtype=np.int64)
        self._scores = [each.action_scores for each in detections]
        self._times = np.array([each.persons.key.moment for each in looks], dtype=np.int64)
        places = np.searchsorted(self._times, self._moments)
        if len(looks) < len(detections) or (self._times[places.clip(max=len(looks) - 1)] != self._moments).any():
            raise ValueError("the moments of the detections are not among the looks")
        self.identities = [looks[place].identities for place in places.tolist()]
        self._looks = _without_gaps(looks)

    @classmethod
    def linked(cls, detections: Sequence[ActionDetections]) -> CarriedPersons:
        """Match the persons of consecutive moments of one video, without looks between them."""
        persons = [PersonBoxes(each.key, each.boxes, each.person_scores) for each in detections]
        identities = track_persons(persons)
        return cls(detections, [Look(*each) for each in zip(persons, identities, strict=True)])

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons at `time` (microseconds), their boxes carried there, and their (P,) identities from 0.

        Raises:
            ValueError: no moments.
        """
        if len(self._moments) == 0:
            raise ValueError("no key frame to carry persons from")
        nearest = _nearest(self._times, time)
        look = self._looks[nearest]
        moment = int(self._times[nearest])
        boxes = look.persons.boxes
        other = nearest + 1 if time > moment else nearest - 1
        if time != moment and 0 <= other < len(self._times):
            share = (time - moment) / (int(self._times[other]) - moment)
            partners = _partners(look.identities, self._looks[other].identities)
            boxes = _moved(boxes, self._looks[other].persons.boxes, partners, share)
        key = look.persons.key._replace(moment=time)
        scores = self._scores_at(time, look.identities)
        return ActionDetections(key, boxes, look.persons.scores, scores), look.identities

    def _scores_at(self, time: int, identities: IntArray) -> FloatArray:
        """(P, C) scores of the nearer key frame around `time` at which each person was found; 0 where at neither."""
        nearest = _nearest(self._moments, time)
        other = nearest + 1 if time > self._moments[nearest] else nearest - 1
        scores = np.zeros((len(identities), self._scores[nearest].shape[1]), dtype=self._scores[nearest].dtype)
        for place in (other, nearest):
            if 0 <= place < len(self._moments):
                rows = _partners(identities, self.identities[place])
                scores[rows >= 0] = self._scores[place][rows[rows >= 0]]
        return scores


def _nearest(times: IntArray, time: int) -> int:
    """The place of the nearest of rising times; the earlier one if two are equally near."""
    later = min(int(np.searchsorted(times, time)), len(times) - 1)
    return later - 1 if later > 0 and time - times[later - 1] <= times[later] - time else later


def _without_gaps(looks: Sequence[Look]) -> list[Look]:
    """The looks, in which persons who are missed and found again are where the straight line says."""
    filled: list[list[tuple[int, FloatArray, float]]] = [[] for _ in looks]
    last: dict[int, tuple[int, int]] = {}  # of each person the place of the look, and the row in it
    for place, look in enumerate(looks):
        for row, identity in enumerate(look.identities.tolist()):
            before, old = last.get(identity, (place, row))
            start, end = looks[before].persons, look.persons
            for missed in range(before + 1, place):
                share = (looks[missed].persons.key.moment - start.key.moment) / (end.key.moment - start.key.moment)
                box = start.boxes[old] + share * (end.boxes[row] - start.boxes[old])
                filled[missed].append((identity, box, min(start.scores[old], end.scores[row])))
            last[identity] = place, row
    return [_with_more(look, more) if more else look for look, more in zip(looks, filled, strict=True)]


def _with_more(look: Look, more: Sequence[tuple[int, FloatArray, float]]) -> Look:
    identities, boxes, scores = zip(*more, strict=True)
    persons = look.persons
    return Look(
        PersonBoxes(
            persons.key,
            np.concatenate([persons.boxes, np.stack(boxes).astype(persons.boxes.dtype)]),
            np.concatenate([persons.scores, np.array(scores, dtype=persons.scores.dtype)]),
        ),
        np.concatenate([look.identities, np.array(identities, dtype=np.int64)]),
    )


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

"""Who is the same person at other moments, before anything is known of actions (numpy and scipy only)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from evaluation.boxes import iou_matrix
from evaluation.records import FloatArray, IntArray, PersonBoxes

ENLARGED = 2.0
"""A second apart, a walking person does not overlap with where he was. Both boxes are therefore matched at twice
their size, which reaches half a body's width and height to each side."""
MIN_IOU = 0.15


def track_persons(
    moments: Sequence[PersonBoxes],
    *,
    max_gap: int = 0,
    min_iou: float = MIN_IOU,
    known: Sequence[IntArray] | None = None,
) -> list[IntArray]:
    """Number the persons of one video, so that boxes of one person have one number.

    From moment to moment, persons and boxes are paired one to one so that their overlaps add up to most: first where
    the persons should be if they moved on as before, then, for those left over, where they were last seen. Boxes
    are compared at twice their size. A box that nobody takes is a new person.

    Args:
        moments: rising in time; moments at which nobody was found count.
        max_gap: how many moments a person may be missing in between and still be the same one.
        min_iou: enlarged boxes that overlap less are different persons.
        known: identities where they are known, (P,) for each moment, -1 where not; a moment holds each at most once.
            Persons known to be the same are linked wherever they are (within `max_gap`), persons known to be
            different never.

    Returns:
        For each moment (P,) identities: numbers from 0, in the order in which the persons appear.

    Raises:
        ValueError: moments that do not rise.
    """
    tracker = PersonTracker(max_gap=max_gap, min_iou=min_iou)
    if known is None:
        return [tracker.update(each) for each in moments]
    return [tracker.update(each, names) for each, names in zip(moments, known, strict=True)]


class PersonTracker:
    """Numbers persons while they arrive; `track_persons` says how, and what the arguments are."""

    def __init__(self, *, max_gap: int = 0, min_iou: float = MIN_IOU) -> None:
        """Start without persons."""
        self._running = _Running()
        self._max_gap, self._min_iou = max_gap, min_iou
        self._place = 0
        self._latest: int | None = None

    def forget(self) -> None:
        """Let everybody who comes be a new person."""
        self._running.forget(self._place)

    def update(self, persons: PersonBoxes, known: IntArray | None = None) -> IntArray:
        """Take the persons of the next moment and return their (P,) identities.

        Raises:
            ValueError: a moment that is not later than the one before.
        """
        if self._latest is not None and persons.key.moment <= self._latest:
            raise ValueError("the key frames of the persons do not rise")
        names = np.full(len(persons), -1, dtype=np.int64) if known is None else known
        self._running.forget(self._place - self._max_gap - 1)
        partners = self._running.find(persons, names, self._min_iou)
        identities = self._running.advance(persons, names, partners, self._place)
        self._latest = persons.key.moment
        self._place += 1
        return identities


def boxes_along_tracks(
    key: int, moments: Sequence[PersonBoxes], identities: Sequence[IntArray], times: IntArray | FloatArray
) -> FloatArray:
    """Where each person of one moment is at other times.

    Between two moments at which he is found, a person moves in a straight line; before the first and after the last
    of them he stands still.

    Args:
        key: number of the moment in `moments`.
        moments: rising in time.
        identities: of `track_persons`.
        times: (T,) in the unit of the moments.

    Returns:
        (P, T, 4) boxes of the persons of moment `key`, in their order and unit.
    """
    persons = moments[key]
    boxes = np.empty((len(persons), len(times), 4), dtype=persons.boxes.dtype)
    for row, identity in enumerate(identities[key].tolist()):
        found = [
            (each.key.moment, each.boxes[numbers == identity][0])
            for each, numbers in zip(moments, identities, strict=True)
            if identity in numbers
        ]
        when = np.array([moment for moment, _ in found], dtype=np.float64)
        where = np.stack([box for _, box in found])
        boxes[row] = np.stack([np.interp(times, when, where[:, side]) for side in range(4)], axis=1)
    return boxes


def enlarged(boxes: FloatArray) -> FloatArray:
    """Boxes of `ENLARGED` times the width and height around the same centers."""
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centers - sizes * (ENLARGED / 2), centers + sizes * (ENLARGED / 2)], axis=1)


def pair_most(overlaps: FloatArray, min_iou: float) -> IntArray:
    """Pair rows with columns one to one so that the overlaps (N, M) add up to most.

    Returns:
        (N,) the column of every row; -1 where no overlap reaches `min_iou`.
    """
    # Overlaps too small to count must not draw a person away from a partner that counts.
    rows, columns = linear_sum_assignment(np.where(overlaps >= min_iou, overlaps, 0.0), maximize=True)
    partners = np.full(len(overlaps), -1, dtype=np.int64)
    counts = overlaps[rows, columns] >= min_iou
    partners[rows[counts]] = columns[counts]
    return partners


class _Running:
    """The persons who may be found again, M of them.

    Attributes:
        identities: (M,).
        names: (M,) known identities, -1 where unknown.
        boxes: (M, 4) where they were last seen.
        velocity: (M, 2) of their centers, box units per unit of the moments.
        moment, place: (M,) when that was: the moment, and its number.
        moved: (M,) whether they were seen more than once.
        count: identities given so far.
    """

    def __init__(self) -> None:
        none = np.zeros(0, dtype=np.int64)
        self.identities, self.names, self.moment, self.place = none, none, none, none
        self.boxes, self.velocity = np.zeros((0, 4)), np.zeros((0, 2))
        self.moved = np.zeros(0, dtype=np.bool_)
        self.count = 0

    def forget(self, oldest: int) -> None:
        """Drop whoever was last seen before moment number `oldest`."""
        self._keep(self.place >= oldest)

    def find(self, persons: PersonBoxes, names: IntArray, min_iou: float) -> IntArray:
        """(M,) the row of `persons` that each one is; -1 for none."""
        same = (self.names[:, None] == names) & (names >= 0)
        different = (self.names[:, None] != names) & (self.names[:, None] >= 0) & (names >= 0)
        partners = np.where(same.any(axis=1), same.argmax(axis=1), -1) if len(names) else np.full(len(same), -1)
        boxes = enlarged(persons.boxes.astype(np.float64))
        shift = self.velocity * (persons.key.moment - self.moment)[:, None]
        for expected in (self.boxes + np.tile(shift, 2), self.boxes):
            overlaps = np.nan_to_num(iou_matrix(enlarged(expected), boxes))
            overlaps[different] = 0.0
            overlaps[partners >= 0] = 0.0
            overlaps[:, partners[partners >= 0]] = 0.0
            partners = np.where(partners < 0, pair_most(overlaps, min_iou), partners)
        return partners.astype(np.int64)

    def advance(self, persons: PersonBoxes, names: IntArray, partners: IntArray, place: int) -> IntArray:
        """Go on to the moment of `persons`; return their identities (P,)."""
        found = np.flatnonzero(partners >= 0)
        rows = partners[found]
        identities = np.full(len(persons), -1, dtype=np.int64)
        identities[rows] = self.identities[found]
        boxes = persons.boxes.astype(np.float64)
        velocity, moved = np.zeros((len(persons), 2)), np.zeros(len(persons), dtype=np.bool_)
        steps = (boxes[rows] - self.boxes[found]) / (persons.key.moment - self.moment[found])[:, None]
        now = (steps[:, :2] + steps[:, 2:]) / 2
        # Detected boxes tremble: half of what was believed of the velocity stays.
        velocity[rows] = np.where(self.moved[found, None], (self.velocity[found] + now) / 2, now)
        moved[rows] = True
        names = names.copy()
        names[rows] = np.where(names[rows] >= 0, names[rows], self.names[found])
        fresh = np.flatnonzero(identities < 0)
        identities[fresh] = self.count + np.arange(len(fresh))
        self.count += len(fresh)
        self._keep(partners < 0)
        self.identities = np.concatenate([self.identities, identities])
        self.names = np.concatenate([self.names, names])
        self.boxes = np.concatenate([self.boxes, boxes])
        self.velocity = np.concatenate([self.velocity, velocity])
        self.moment = np.concatenate([self.moment, np.full(len(persons), persons.key.moment)])
        self.place = np.concatenate([self.place, np.full(len(persons), place)])
        self.moved = np.concatenate([self.moved, moved])
        return identities

    def _keep(self, rows: npt.NDArray[np.bool_]) -> None:
        self.identities, self.names, self.moved = self.identities[rows], self.names[rows], self.moved[rows]
        self.boxes, self.velocity = self.boxes[rows], self.velocity[rows]
        self.moment, self.place = self.moment[rows], self.place[rows]

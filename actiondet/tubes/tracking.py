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
"""Boxes of one person, enlarged, that overlap less at the next moment are different persons."""

_PERSON = np.dtype(
    [
        ("identity", np.int64),
        ("name", np.int64),  # a known identity, -1 where unknown
        ("box", np.float64, 4),  # where the person was last seen
        ("velocity", np.float64, 2),  # of its center, box units per unit of the moments
        ("moment", np.int64),  # when that was: the moment, and its number
        ("place", np.int64),
        ("moved", np.bool_),  # whether it was seen more than once
    ]
)
_Persons = npt.NDArray[np.void]


def track_persons(
    moments: Sequence[PersonBoxes],
    *,
    max_gap: int = 0,
    known: Sequence[IntArray] | None = None,
) -> list[IntArray]:
    """Number the persons of one video, so that boxes of one person have one number.

    From moment to moment, persons and boxes are paired one to one so that their overlaps add up to most: first where
    the persons should be if they moved on as before, then, for those left over, where they were last seen. Boxes
    are compared at twice their size. A box that nobody takes is a new person.

    Args:
        moments: rising in time; moments at which nobody was found count.
        max_gap: how many moments a person may be missing in between and still be the same one.
        known: identities where they are known, (P,) for each moment, -1 where not; a moment holds each at most once.
            Persons known to be the same are linked wherever they are (within `max_gap`), persons known to be
            different never.

    Returns:
        For each moment (P,) identities: numbers from 0, in the order in which the persons appear.

    Raises:
        ValueError: moments that do not rise.
    """
    tracker = PersonTracker(max_gap=max_gap)
    if known is None:
        return [tracker.update(each) for each in moments]
    return [tracker.update(each, names) for each, names in zip(moments, known, strict=True)]


class PersonTracker:
    """Numbers persons while they arrive; `track_persons` says how, and what the arguments are."""

    def __init__(self, *, max_gap: int = 0) -> None:
        """Start without persons."""
        self._max_gap = max_gap
        self._running = np.zeros(0, dtype=_PERSON)  # those who may be found again
        self._place, self._count = 0, 0  # of the next moment; identities given so far
        self._latest: int | None = None

    def forget(self) -> None:
        """Let everybody who comes be a new person."""
        self._running = self._running[:0]

    def update(self, persons: PersonBoxes, known: IntArray | None = None) -> IntArray:
        """Take the persons of the next moment and return their (P,) identities.

        Raises:
            ValueError: a moment that is not later than the one before.
        """
        if self._latest is not None and persons.key.moment <= self._latest:
            raise ValueError("the key frames of the persons do not rise")
        self._latest = persons.key.moment
        self._running = self._running[self._running["place"] >= self._place - self._max_gap - 1]
        here = np.zeros(len(persons), dtype=_PERSON)
        here["name"] = -1 if known is None else known
        here["box"] = persons.boxes
        here["moment"], here["place"] = persons.key.moment, self._place
        partners = self._find(here, persons.key.moment)
        self._continue(here, partners)
        self._running = np.concatenate([self._running[partners < 0], here])
        self._place += 1
        identities: IntArray = here["identity"].copy()
        return identities

    def _find(self, here: _Persons, moment: int) -> IntArray:
        """(M,) the row of `here` that each running person is; -1 for none."""
        running, names = self._running, here["name"]
        same = (running["name"][:, None] == names) & (names >= 0)
        different = (running["name"][:, None] != names) & (running["name"][:, None] >= 0) & (names >= 0)
        partners = np.where(same.any(axis=1), same.argmax(axis=1), -1) if len(names) else np.full(len(same), -1)
        boxes = enlarged(here["box"])
        shift = running["velocity"] * (moment - running["moment"])[:, None]
        for expected in (running["box"] + np.tile(shift, 2), running["box"]):
            overlaps = np.nan_to_num(iou_matrix(enlarged(expected), boxes))
            overlaps[different] = 0.0
            overlaps[partners >= 0] = 0.0
            overlaps[:, partners[partners >= 0]] = 0.0
            partners = np.where(partners < 0, pair_most(overlaps, MIN_IOU), partners)
        return partners.astype(np.int64)

    def _continue(self, here: _Persons, partners: IntArray) -> None:
        """Give those who are found again what is known of them, and the others new identities."""
        found = np.flatnonzero(partners >= 0)
        rows, before = partners[found], self._running[found]
        here["identity"] = -1
        here["identity"][rows] = before["identity"]
        steps = (here["box"][rows] - before["box"]) / (here["moment"][rows] - before["moment"])[:, None]
        now = (steps[:, :2] + steps[:, 2:]) / 2
        # Detected boxes tremble: half of what was believed of the velocity stays.
        here["velocity"][rows] = np.where(before["moved"][:, None], (before["velocity"] + now) / 2, now)
        here["moved"][rows] = True
        here["name"][rows] = np.where(here["name"][rows] >= 0, here["name"][rows], before["name"])
        fresh = np.flatnonzero(here["identity"] < 0)
        here["identity"][fresh] = self._count + np.arange(len(fresh))
        self._count += len(fresh)


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

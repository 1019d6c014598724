"""Persons followed from look to look: a person detector looks at key frames, and between them (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from actiondet.tubes.tracking import PersonTracker
from evaluation.records import ActionDetections, IntArray, PersonBoxes

MAX_GAP = 0.2
"""Seconds for which a person may be missing. Of nine gaps up to 3 seconds it gives the highest IDF1 on toy films, at
looks every 0.2 seconds; at looks every second, where it is shorter than a step, none is best, too (`actiondet benchmark
identities`)."""
_FORGOTTEN = 10_000_000
"""Microseconds without a look, as after a lost connection, from which on nobody is the same person."""


@dataclass(frozen=True, eq=False)
class FoundMoment:
    """What is found at a key frame.

    Attributes:
        detections: persons and scores.
        between: the persons of the looks since the key frame before, rising in time.
    """

    detections: ActionDetections
    between: tuple[PersonBoxes, ...] = ()

    def __post_init__(self) -> None:
        moments = [*(each.key.moment for each in self.between), self.detections.key.moment]
        if any(after <= before for before, after in pairwise(moments)):
            raise ValueError(f"the looks before the key frame do not rise: {moments}")

    @property
    def looks(self) -> tuple[PersonBoxes, ...]:
        """The looks since the key frame before; the last one is that at the key frame."""
        found = self.detections
        return (*self.between, PersonBoxes(found.key, found.boxes, found.person_scores))


@dataclass(frozen=True, eq=False)
class Look:
    """The persons of one moment, who are known again.

    Attributes:
        persons: P boxes.
        identities: (P,) the same number while a person is followed.
    """

    persons: PersonBoxes
    identities: IntArray

    def __post_init__(self) -> None:
        if self.identities.shape != (len(self.persons),):
            raise ValueError(f"{len(self.persons)} persons with identities of the shape {self.identities.shape}")


class Follower:
    """Numbers the persons of a source while its key frames arrive."""

    def __init__(self, step: float) -> None:
        """Start without persons.

        Args:
            step: seconds from look to look.
        """
        self._tracker = PersonTracker(max_gap=round(MAX_GAP / step))
        self._latest: int | None = None

    def update(self, found: FoundMoment) -> tuple[Look, ...]:
        """Take the looks of the next key frame in; the last one is that at the key frame itself."""
        looks = []
        for persons in found.looks:
            if self._latest is not None and persons.key.moment - self._latest > _FORGOTTEN:
                self._tracker.forget()
            self._latest = persons.key.moment
            looks.append(Look(persons, self._tracker.update(persons)))
        return tuple(looks)

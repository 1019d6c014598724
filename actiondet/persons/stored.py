"""Persons that were found before and are read from a box file."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from actiondet.persons.base import Frame
from evaluation.errors import InputError, some
from evaluation.records import FrameKey, PersonBoxes

_REACH = 500_000
"""Microseconds that a stored moment is away at most from the keys that it answers for: boxes come every second."""


class StoredPersonDetector:
    """Answers with the stored boxes of the nearest moment; the frames are not looked at."""

    def __init__(self, stored: Iterable[PersonBoxes], *, threshold: float = 0.5) -> None:
        """Sort the stored records by video and moment.

        Args:
            stored: one record for each moment.
            threshold: persons with a lower score are dropped.
        """
        self._threshold = threshold
        self._of_video: dict[str, list[PersonBoxes]] = defaultdict(list)
        for persons in sorted(stored, key=lambda persons: persons.key):
            self._of_video[persons.key.video].append(persons)

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Look up the persons of each key; see PersonDetector.

        Raises:
            InputError: nothing is stored of a video.
        """
        return [self._nearest(key) for key in keys]

    def _nearest(self, key: FrameKey) -> PersonBoxes:
        if key.video not in self._of_video:
            known = some(sorted(self._of_video)) or "none"
            raise InputError(f"no boxes of video '{key.video}', only of {known}; expected the file's name")
        records = self._of_video[key.video]
        place = bisect_left(records, key.moment, key=lambda persons: persons.key.moment)
        near = min(
            records[max(place - 1, 0) : place + 1],
            key=lambda persons: abs(persons.key.moment - key.moment),
            default=None,
        )
        if near is None or abs(near.key.moment - key.moment) > _REACH:
            return PersonBoxes(key, np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32))
        kept = np.flatnonzero(near.scores >= self._threshold)
        kept = kept[np.argsort(-near.scores[kept], kind="stable")]
        return PersonBoxes(key, near.boxes[kept], near.scores[kept])

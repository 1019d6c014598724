"""Where the persons of a key moment are on every frame of its clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actiondet.datasets.assign import match_proposals
from actiondet.datasets.tables import PersonTable
from actiondet.tubes.tracking import boxes_along_tracks, track_persons
from evaluation.ragged import offsets, row_ranges
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

SAME_PERSON = 0.5
"""A found box that overlaps a true one so much shows the same person."""


@dataclass(frozen=True, kw_only=True)
class FollowLimits:
    """How far persons are followed, in the unit of the moments.

    Attributes:
        beyond: how far beyond the first and the last frame of a clip the next moment with boxes may lie.
        max_gap: how many moments a person may be missing in between.
    """

    beyond: int
    max_gap: int


@dataclass(frozen=True, eq=False, repr=False)
class PersonIndex:
    """The persons of all moments of some videos, N in all, found by the moment.

    Attributes:
        where: for each video its first row of `moment`, and one past its last.
        moment: (M,) rising in each video.
        first: (M + 1,) moment m has the persons first[m] ... first[m + 1] - 1.
        boxes: (N, 4) unit boxes.
        identities: (N,) as the truth gives them, -1 where it gives none.
    """

    where: dict[str, tuple[int, int]]
    moment: IntArray
    first: IntArray
    boxes: FloatArray
    identities: IntArray

    @classmethod
    def of(cls, persons: PersonTable, identities: IntArray | None = None) -> PersonIndex:
        """Sort `persons` by video and moment; `identities` are those of its N rows, -1 for unknown."""
        keys = persons.keys_in_order
        order = np.lexsort((keys.moment, keys.video))
        counts = persons.counts[order]
        rows = row_ranges(persons.first[order], counts)
        video = keys.video[order]
        starts, stops = (np.searchsorted(video, np.arange(len(keys.names)), side) for side in ("left", "right"))
        return cls(
            where={name: (int(starts[place]), int(stops[place])) for place, name in enumerate(keys.names)},
            moment=keys.moment[order],
            first=offsets(counts),
            boxes=persons.boxes[rows],
            identities=np.full(len(rows), -1, np.int64) if identities is None else identities[rows],
        )

    def __repr__(self) -> str:
        return f"PersonIndex({len(self.moment)} key frames, {len(self.boxes)} persons)"

    def around(self, video: str, begin: int, end: int, *, beyond: int) -> dict[int, PersonsAt]:
        """The persons of each moment from `begin` to `end`, and of the next one on either side.

        Args:
            video: its name; nothing is seen in an unknown one.
            begin, end: in the unit of the moments.
            beyond: how far before `begin` and after `end` the next moment may lie.
        """
        start, stop = self.where.get(video, (0, 0))
        low, high = _within(self.moment[start:stop], begin, end, beyond)
        return {int(self.moment[row]): self._seen(row) for row in range(start + low, start + high)}

    def all_of(self, video: str) -> dict[int, PersonsAt]:
        """The persons of every moment of a video, in order."""
        return {int(self.moment[row]): self._seen(row) for row in range(*self.where.get(video, (0, 0)))}

    def _seen(self, row: int) -> PersonsAt:
        persons = slice(self.first[row], self.first[row + 1])
        return PersonsAt(self.boxes[persons], self.identities[persons])


class PersonsAt(NamedTuple):
    """Persons of one moment: (P, 4) unit boxes, and (P,) identities, -1 for unknown."""

    boxes: FloatArray
    identities: IntArray

    def as_boxes(self, key: FrameKey) -> PersonBoxes:
        """The boxes as the persons of `key`."""
        return PersonBoxes(key, self.boxes, np.ones(len(self.boxes), np.float32))

    def with_others(self, more: PersonsAt) -> PersonsAt:
        """These persons, and those of `more` who are not the same."""
        others = match_proposals(more.boxes, self.boxes, min_iou=SAME_PERSON) < 0
        return PersonsAt(
            np.concatenate([self.boxes, more.boxes[others]]), np.concatenate([self.identities, more.identities[others]])
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Tracks:
    """Follows persons of key moments through the frames around.

    Attributes:
        found: what a person detector saw; None trains and tests on the truth alone.
        true: the annotated persons; None where only found ones are asked for.
        limits: how far persons are followed.
    """

    found: PersonIndex | None
    true: PersonIndex | None
    limits: FollowLimits

    def of_found(self, key: FrameKey, boxes: FloatArray, times: IntArray) -> FloatArray:
        """Follow found persons, (P, 4) unit boxes of the moment `key`, through what was found.

        Args:
            key: video and moment.
            boxes: (P, 4) unit boxes of this moment.
            times: (T,) in the unit of the moments.

        Returns:
            (P, T, 4) unit boxes: persons move in straight lines from one moment at which they are seen to the next.
        """
        unknown = np.full(len(boxes), -1, np.int64)
        return self._follow(key, PersonsAt(boxes, unknown), times, [self.true if self.found is None else self.found])

    def through(self, video: str) -> VideoTracks:
        """Follow everybody who was found in a video from its beginning to its end, once for all its moments."""
        neighbors = self.true if self.found is None else self.found
        seen = {} if neighbors is None else neighbors.all_of(video)
        return VideoTracks([found.as_boxes(FrameKey(video, moment)) for moment, found in seen.items()], self.limits)

    def of_true(self, key: FrameKey, boxes: FloatArray, identities: IntArray, times: IntArray) -> FloatArray:
        """Follow annotated persons by their (P,) identities, and through what was found where they are not annotated.

        The other arguments and what is returned are as in `of_found`.
        """
        return self._follow(key, PersonsAt(boxes, identities), times, [self.true, self.found])

    def _follow(
        self, key: FrameKey, persons: PersonsAt, times: IntArray, neighbors: Sequence[PersonIndex | None]
    ) -> FloatArray:
        begin, end = min(int(times.min()), key.moment), max(int(times.max()), key.moment)
        seen: dict[int, PersonsAt] = {}
        for each in neighbors:
            around = {} if each is None else each.around(key.video, begin, end, beyond=self.limits.beyond)
            for moment, found in around.items():
                seen[moment] = seen[moment].with_others(found) if moment in seen else found
        seen[key.moment] = persons
        moments = sorted(seen)
        boxes = [seen[moment].as_boxes(FrameKey(key.video, moment)) for moment in moments]
        known = [seen[moment].identities for moment in moments]
        identities = track_persons(boxes, max_gap=self.limits.max_gap, known=known)
        return boxes_along_tracks(moments.index(key.moment), boxes, identities, times)


def follow_near(seen: Sequence[PersonBoxes], moment: int, times: IntArray, limits: FollowLimits) -> FloatArray:
    """Follow the persons of one moment through those around it alone.

    Args:
        seen: the persons of one video, moments rising; the moment is among them.
        moment: whose persons to follow.
        times: (T,) in the unit of the moments.
        limits: how far.

    Returns:
        (P, T, 4) unit boxes at `times`.
    """
    moments = np.array([each.key.moment for each in seen], dtype=np.int64)
    low, high = _within(moments, min(int(times.min()), moment), max(int(times.max()), moment), limits.beyond)
    return VideoTracks(seen[low:high], limits).at(moment, times)


class VideoTracks:
    """Everybody who was found in one video, followed from its beginning to its end."""

    def __init__(self, seen: Sequence[PersonBoxes], limits: FollowLimits) -> None:
        """Link `seen`, moments rising, as far as `limits` say."""
        self._seen, self._limits = seen, limits
        self._moments = np.array([each.key.moment for each in seen], dtype=np.int64)
        self._identities = track_persons(seen, max_gap=limits.max_gap)

    def at(self, moment: int, times: IntArray) -> FloatArray:
        """(P, T, 4) unit boxes at `times` (T,) of the persons found at `moment`, in their order.

        Raises:
            KeyError: nobody looked at this moment.
        """
        begin, end = min(int(times.min()), moment), max(int(times.max()), moment)
        low, high = _within(self._moments, begin, end, self._limits.beyond)
        place = int(np.searchsorted(self._moments, moment))
        if place == len(self._moments) or self._moments[place] != moment:
            raise KeyError(moment)
        return boxes_along_tracks(place - low, self._seen[low:high], self._identities[low:high], times)


def _within(moments: IntArray, begin: int, end: int, beyond: int) -> tuple[int, int]:
    """The places of rising `moments` from `begin` to `end`, and of the next one on either side if near enough."""
    low, high = int(np.searchsorted(moments, begin)), int(np.searchsorted(moments, end, side="right"))
    if low > 0 and moments[low - 1] >= begin - beyond:
        low -= 1
    if high < len(moments) and moments[high] <= end + beyond:
        high += 1
    return low, high

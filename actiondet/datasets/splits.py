"""One split of a data set of persons at key frames, as its files have it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Literal

from actiondet.config.data_sets import DetectionDataConfig, PersonDataConfig
from actiondet.datasets.tables import KeyTable, PersonTable, TruePersons
from actiondet.datasets.tracks import FollowLimits, PersonIndex, Tracks
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.records import FrameKey, IntArray, PersonBoxes, TruthRows
from evaluation.tube_dataset import TubeTruth

Moments = Literal["all", "annotated"]
"""The key frames that the truth names, or all that have proposals."""
SplitName = Literal["train", "val"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PersonSplit(ABC):
    """One split of a data set of persons at key frames.

    Attributes:
        data: the settings of the data set.
        truth: the annotations, whole: rows, which AVA's frame-mAP scores, or tubes, which MultiSports' does.
        people: the annotated persons.
        proposals: the found persons, by key frame; None where the settings name no file.
        actions: every action that a network learns.
        evaluated: the actions that are scored.
        limits: how far persons are followed from key frame to key frame.
        excluded: key frames that take no part.
        notes: what is odd in the files but tolerated, one sentence each.
        bank: path of the feature bank; None where the settings name none.
    """

    data: PersonDataConfig
    truth: TruthRows | TubeTruth
    people: TruePersons
    proposals: Mapping[FrameKey, PersonBoxes] | None
    actions: ActionList
    evaluated: ActionList
    limits: FollowLimits
    excluded: frozenset[FrameKey] = frozenset()
    notes: tuple[str, ...] = ()
    bank: str | None = None

    @abstractmethod
    def keys(self, moments: Moments) -> KeyTable:
        """The key frames to test, in order."""

    def to_test(self, moments: Moments) -> tuple[KeyTable, TruthRows | TubeTruth]:
        """The key frames that are tested, and their truth."""
        return self.keys(moments), self.truth

    @property
    def neighbors_per_sample(self) -> int:
        """Neighboring key frames of which an epoch trains on one, drawn at random."""
        return 1

    @abstractmethod
    def people_to_train(self) -> TruePersons:
        """The annotated persons whose key frames take part."""

    @abstractmethod
    def persons(self, keys: KeyTable) -> PersonTable:
        """The persons to score at each of `keys`: the proposals that count, or else the annotated ones."""

    @abstractmethod
    def locate(self, keys: KeyTable) -> tuple[Mapping[str, Path], tuple[str, ...]]:
        """Where the videos of `keys` are, and which of them are missing (only where the settings allow that)."""

    def centers_us(self, keys: KeyTable) -> IntArray | None:
        """(K,) microseconds from the first frame of its video to each key frame; None: they are frame numbers."""
        return None

    def tracks(self) -> Tracks:
        """Who is where at all key frames of the files, annotated or not."""
        true = PersonIndex.of(self.people.as_persons(), self.people.identities)
        if self.proposals is None:
            return Tracks(found=None, true=true, limits=self.limits)
        found = self.persons(KeyTable.of(list(self.proposals)))
        return Tracks(found=PersonIndex.of(found), true=true, limits=self.limits)


@singledispatch
def read_split(data: DetectionDataConfig, split: SplitName, *, num_actions: int) -> PersonSplit:
    """Read one split of the data set that `data` describes; each member of the family registers its own.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    raise InputError(
        f"data.name: nothing reads the data set '{data.name}'; register a function for {type(data).__name__} with "
        "@actiondet.datasets.splits.read_split.register"
    )

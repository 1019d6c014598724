"""Key moments and their persons as a few arrays: a benchmark has 200,000 moments, and every worker holds them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.ragged import offsets
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes, TruthRows

BoolArray = npt.NDArray[np.bool_]

# Corners (fractions of the frame) by which boxes of one person may differ from row to row and still be one place.
SAME_PLACE = 0.01
BOX = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, eq=False, repr=False)
class KeyTable(Sequence[FrameKey]):
    """K key moments.

    Attributes:
        names: the videos.
        video: (K,) positions in `names`.
        moment: (K,) as in FrameKey.
    """

    names: tuple[str, ...]
    video: IntArray
    moment: IntArray

    @classmethod
    def of(cls, keys: Sequence[FrameKey]) -> KeyTable:
        """Store `keys` in their order."""
        video, names = pd.factorize(np.array([key.video for key in keys], dtype=object))
        moment = np.array([key.moment for key in keys], dtype=np.int64)
        return cls(tuple(map(str, names)), np.asarray(video, dtype=np.int64), moment)

    def __len__(self) -> int:
        return len(self.moment)

    @overload
    def __getitem__(self, index: int) -> FrameKey: ...
    @overload
    def __getitem__(self, index: slice) -> KeyTable: ...
    def __getitem__(self, index: int | slice) -> FrameKey | KeyTable:
        if isinstance(index, slice):
            return KeyTable(self.names, self.video[index], self.moment[index])
        return FrameKey(self.names[self.video[index]], int(self.moment[index]))

    def __iter__(self) -> Iterator[FrameKey]:
        # As lists: number by number out of the arrays takes three times as long.
        for video, moment in zip(self.video.tolist(), self.moment.tolist(), strict=True):
            yield FrameKey(self.names[video], moment)

    def __repr__(self) -> str:
        return f"KeyTable({len(self)} key frames, {len(self.names)} videos)"

    def of_videos(self, videos: Container[str]) -> BoolArray:
        """(K,) bool: which moments are of one of `videos`."""
        wanted: BoolArray = np.array([name in videos for name in self.names], dtype=bool)[self.video]
        return wanted

    def take(self, rows: IntArray | BoolArray) -> KeyTable:
        """The moments at `rows`."""
        return KeyTable(self.names, self.video[rows], self.moment[rows])


@dataclass(frozen=True, eq=False, repr=False)
class PersonTable(Mapping[FrameKey, PersonBoxes]):
    """The persons of K moments, N in all.

    Attributes:
        keys_in_order: the moments.
        first: (K + 1,) moment k has the persons first[k] ... first[k + 1] - 1.
        boxes: (N, 4) float32 unit boxes.
        scores: (N,) float32.
    """

    keys_in_order: KeyTable
    first: IntArray
    boxes: FloatArray
    scores: FloatArray

    def at(self, index: int) -> PersonBoxes:
        """The persons of moment number `index`."""
        rows = slice(self.first[index], self.first[index + 1])
        return PersonBoxes(self.keys_in_order[index], self.boxes[rows], self.scores[rows])

    @cached_property
    def _positions(self) -> dict[FrameKey, int]:
        return {key: index for index, key in enumerate(self.keys_in_order)}

    def __getitem__(self, key: FrameKey) -> PersonBoxes:
        return self.at(self._positions[key])

    def __iter__(self) -> Iterator[FrameKey]:
        return iter(self.keys_in_order)

    def __len__(self) -> int:
        return len(self.keys_in_order)

    def __repr__(self) -> str:
        return f"PersonTable({len(self)} key frames, {len(self.boxes)} persons)"

    @property
    def counts(self) -> IntArray:
        """(K,) persons of each moment."""
        return np.diff(self.first)

    def part(self, start: int, stop: int) -> PersonTable:
        """The moments `start` to `stop` - 1, without a copy."""
        first = self.first[start : stop + 1]
        rows = slice(first[0], first[-1])
        return PersonTable(self.keys_in_order[start:stop], first - first[0], self.boxes[rows], self.scores[rows])

    def take(self, rows: BoolArray) -> PersonTable:
        """The moments where `rows` (K,) is true."""
        persons = np.repeat(rows, self.counts)
        return PersonTable(
            self.keys_in_order.take(rows), offsets(self.counts[rows]), self.boxes[persons], self.scores[persons]
        )


@dataclass(frozen=True, eq=False, repr=False)
class TruePersons:
    """The annotated persons of K moments, N in all, and what they do.

    Attributes:
        keys: the moments, in the order of the file.
        first: (K + 1,) moment k has the persons first[k] ... first[k + 1] - 1.
        boxes: (N, 4) float32 unit boxes.
        first_label: (N + 1,) person n has the labels first_label[n] ... first_label[n + 1] - 1.
        labels: all labels, person by person, rising.
        identities: (N,) who it is, within the video; -1 where the file does not say.
    """

    keys: KeyTable
    first: IntArray
    boxes: FloatArray
    first_label: IntArray
    labels: IntArray
    identities: IntArray

    def boxes_at(self, index: int) -> FloatArray:
        """(P, 4) unit boxes of moment number `index`."""
        return self.boxes[self.first[index] : self.first[index + 1]]

    def identities_at(self, index: int) -> IntArray:
        """(P,) identities of the persons of moment number `index`, -1 for unknown."""
        return self.identities[self.first[index] : self.first[index + 1]]

    def labels_at(self, index: int, *, column_of: IntArray, columns: int) -> npt.NDArray[np.float32]:
        """(P, columns): 1 where a person of moment `index` does the action; `column_of[label]` is its column."""
        start, stop = self.first[index], self.first[index + 1]
        labels = self.labels[self.first_label[start] : self.first_label[stop]]
        persons = np.repeat(np.arange(stop - start), np.diff(self.first_label[start : stop + 1]))
        marks = np.zeros((stop - start, columns), dtype=np.float32)
        marks[persons, column_of[labels]] = 1
        return marks

    def as_persons(self) -> PersonTable:
        """The persons alone, each with score 1."""
        return PersonTable(self.keys, self.first, self.boxes, np.ones(len(self.boxes), dtype=np.float32))

    def take(self, rows: BoolArray) -> TruePersons:
        """The moments where `rows` (K,) is true."""
        persons = np.repeat(rows, np.diff(self.first))
        labels = np.repeat(persons, np.diff(self.first_label))
        return TruePersons(
            self.keys.take(rows),
            offsets(np.diff(self.first)[rows]),
            self.boxes[persons],
            offsets(np.diff(self.first_label)[persons]),
            self.labels[labels],
            self.identities[persons],
        )

    def __repr__(self) -> str:
        return f"TruePersons({len(self.keys)} key frames, {len(self.boxes)} persons, {len(self.labels)} labels)"


def gather_persons(truth: TruthRows) -> TruePersons:
    """Merge the rows of an annotation file, one for each (box, label), into persons with several labels.

    Rows of one moment belong to one person if they name the same person (0 or more) in one place, else if their boxes
    are equal. Files exist that write the same number for everybody; such a number names nobody.
    """
    table = pd.DataFrame(np.asarray(truth.boxes), columns=BOX)
    by_moment = pd.DataFrame({"video": truth.video.codes, "moment": truth.moment}).groupby(
        ["video", "moment"], sort=False
    )
    table["place"] = by_moment.ngroup()
    table["person"] = truth.persons
    table = _resolve_identity(table)
    table["owner"] = table.groupby(["place", "person", *BOX], sort=False).ngroup()

    table["label"] = truth.labels
    labels = table[["owner", "place", "label"]].drop_duplicates()
    people = table.drop_duplicates("owner").sort_values(["place", "owner"], kind="stable")
    order = np.empty(len(people), dtype=np.int64)
    order[people["owner"].to_numpy()] = np.arange(len(people))
    labels = labels.assign(owner=order[labels["owner"].to_numpy()]).sort_values(["owner", "label"], kind="stable")

    moments = table.drop_duplicates("place").index.to_numpy()
    names = tuple(map(str, truth.video.categories))
    keys = KeyTable(names, truth.video.codes[moments].astype(np.int64), truth.moment[moments])
    return TruePersons(
        keys,
        offsets(np.bincount(people["place"].to_numpy(), minlength=len(keys))),
        people[BOX].to_numpy(dtype=np.float32),
        offsets(np.bincount(labels["owner"].to_numpy(), minlength=len(people))),
        labels["label"].to_numpy(dtype=np.int64),
        people["person"].to_numpy(dtype=np.int64),
    )


def _resolve_identity(table: pd.DataFrame) -> pd.DataFrame:
    """Give every row of a named person the person's first box, and set `person` to -1 where it names nobody."""
    named = table["person"] >= 0
    groups = table[named].groupby(["place", "person"], sort=False)
    first = groups[BOX].transform("first")
    apart = (table.loc[named, BOX] - first).abs().max(axis=1) > SAME_PLACE
    ambiguous = apart.groupby(groups.ngroup()).transform("any")
    clear = ambiguous.index[~ambiguous]
    resolved: pd.DataFrame = table.assign(person=-1)
    resolved.loc[clear, "person"] = table.loc[clear, "person"]
    resolved.loc[clear, BOX] = first.loc[clear]
    return resolved


def select_persons(
    keys: KeyTable, found: Sequence[PersonBoxes | None], *, threshold: float, at_most: int
) -> PersonTable:
    """Keep the proposals that count, best first.

    Args:
        keys: K moments.
        found: the proposals of each moment; None where the file has none, which means nobody.
        threshold: lower scores are dropped; where all are lower, the best stays.
        at_most: persons a moment.
    """
    counts = np.array([0 if persons is None else len(persons) for persons in found], dtype=np.int64)
    present = [persons for persons in found if persons is not None and len(persons)]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(persons.boxes for persons in present)]).astype(np.float32)
    scores = np.concatenate([np.empty(0, np.float32), *(persons.scores for persons in present)]).astype(np.float32)
    first = offsets(counts)
    place = np.repeat(np.arange(len(keys)), counts)
    order = np.lexsort((-scores, place))
    boxes, scores = boxes[order], scores[order]
    best = scores[first[place]]
    kept = (scores >= np.minimum(threshold, best)) & (np.arange(len(place)) - first[place] < at_most)
    kept_counts = np.bincount(place[kept], minlength=len(keys))
    return PersonTable(keys, offsets(kept_counts), boxes[kept], scores[kept])

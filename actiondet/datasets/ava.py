"""Reading AVA, AVA-Kinetics, and sets of one's own in AVA's files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actiondet.config.data_sets import AvaConfig, AvaKineticsConfig, SplitConfig
from actiondet.datasets.classes import ChosenActions, choose_actions
from actiondet.datasets.key_frames import SECOND_US, start_us
from actiondet.datasets.sources import locate_videos
from actiondet.datasets.splits import Moments, PersonSplit, SplitName, read_split
from actiondet.datasets.tables import BoolArray, KeyTable, PersonTable, TruePersons, gather_persons, select_persons
from actiondet.datasets.tracks import FollowLimits
from evaluation.boxes import leaves_frame
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList, read_action_list
from evaluation.formats.ava import read_ava_csv, read_excluded
from evaluation.formats.ava_kinetics import kinetics_clip
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey, IntArray, PersonBoxes, TruthRows

LIMITS = FollowLimits(beyond=SECOND_US, max_gap=1)
"""AVA has key frames once a second: the next one lies at most so far beyond a clip."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AvaSplit(PersonSplit):
    """One split of a data set in AVA's files, named by `files`; see PersonSplit."""

    data: AvaConfig
    truth: TruthRows
    files: SplitConfig
    limits: FollowLimits = LIMITS

    def keys(self, moments: Moments) -> KeyTable:
        """The key frames that are not excluded; without proposals, those of annotated persons."""
        if self.proposals is None:
            keys = self.people.keys
        elif moments == "all":
            keys = KeyTable.of(list(self.proposals))
        else:
            keys = KeyTable.of(list(dict.fromkeys((*self.people.keys, *self.truth.empty_moments))))
        return keys.take(self._included(keys))

    def people_to_train(self) -> TruePersons:
        """The annotated persons whose key frames are not excluded."""
        return self.people.take(self._included(self.people.keys))

    def persons(self, keys: KeyTable) -> PersonTable:
        """The persons to score at each of `keys`; see PersonSplit.

        Raises:
            InputError: the proposals have boxes at none of them.
        """
        found: Mapping[FrameKey, PersonBoxes] = self.people.as_persons() if self.proposals is None else self.proposals
        persons: list[PersonBoxes | None] = [found.get(key) for key in keys]
        if isinstance(self.data, AvaKineticsConfig):
            # Published proposals name Kinetics clips by their bare id.
            bare = {name: kinetics_clip(name) for name in keys.names}
            for index, key in enumerate(keys):
                parts = bare[key.video]
                if persons[index] is None and parts is not None:
                    persons[index] = found.get(FrameKey(parts[0], key.moment))
        if all(each is None for each in persons):
            raise InputError(
                f"{self.files.proposals}: has boxes for none of the {len(keys)} key frames, such as "
                f"'{keys[0].video}' at {keys[0].moment / 1e6:g} s; are these the proposals of this split?"
            )
        return select_persons(keys, persons, threshold=self.data.person_threshold, at_most=self.data.max_persons)

    def locate(self, keys: KeyTable) -> tuple[Mapping[str, Path], tuple[str, ...]]:
        """Where the videos of `keys` are, and which of them are missing; see PersonSplit."""
        names = [keys.names[video] for video in dict.fromkeys(keys.video.tolist())]
        pictures = self.data.pictures is not None
        return locate_videos(self.data.videos, names, pictures=pictures, skip_missing=self.data.unreadable == "skip")

    def centers_us(self, keys: KeyTable) -> IntArray:
        """(K,) microseconds from the first frame of its video to each key frame."""
        starts = np.array([start_us(self.data, name) for name in keys.names], dtype=np.int64)
        centers: IntArray = keys.moment - starts[keys.video]
        return centers

    def _included(self, keys: KeyTable) -> BoolArray:
        """(K,) bool: which key frames are not excluded; at least one must be left."""
        included = np.ones(len(keys), dtype=bool)
        if self.excluded:
            included[:] = [key not in self.excluded for key in keys]
        if not included.any():
            without = f" without those of {self.files.excluded}" if len(keys) else ""
            raise InputError(f"{self.files.truth}: no key frame is left{without}; expected at least one with a person")
        return included


@read_split.register
def read_ava_split(data: AvaConfig, split: SplitName, *, num_actions: int) -> AvaSplit:
    """Read one split of an AVA-format set; see `read_split`."""
    files = data.train if split == "train" else data.val
    chosen = read_actions(data)
    _check_columns(chosen, data, num_actions)
    truth = _read_truth(files, chosen.listed, data.actions)
    people = gather_persons(truth)
    return AvaSplit(
        data=data,
        files=files,
        truth=truth if chosen.is_whole else chosen.truth(truth),
        people=people if chosen.is_whole else chosen.persons(people),
        proposals=None if files.proposals is None else _read_found(files.proposals),
        actions=chosen.actions,
        evaluated=_read_evaluated(data, chosen),
        excluded=read_excluded(files.excluded) if files.excluded is not None else frozenset(),
        bank=files.bank,
    )


def read_actions(data: AvaConfig) -> ChosenActions:
    """Read the list of all actions, and choose from it as `data` says; see `choose_actions`."""
    return choose_actions(read_action_list(data.actions), data.classes, data.merge_classes, source=data.actions)


def _check_columns(chosen: ChosenActions, data: AvaConfig, num_actions: int) -> None:
    """The network must have just the columns of the actions."""
    width = chosen.actions.width
    if width == num_actions:
        return
    if not chosen.is_whole:
        raise InputError(
            f"model.num_actions is {num_actions}, but data.classes and data.merge_classes leave {width} actions of "
            f"{data.actions} ({some(chosen.actions.names)}); set model.num_actions={width}"
        )
    raise InputError(
        f"model.num_actions is {num_actions}, but the largest id of {data.actions} is {width}; "
        f"set model.num_actions={width}, or give the list that belongs to the model"
    )


def _read_evaluated(data: AvaConfig, chosen: ChosenActions) -> ActionList:
    """Read the list of the actions that are scored, some of those that are chosen."""
    if data.evaluated_actions is None:
        return chosen.actions
    evaluated = read_action_list(data.evaluated_actions)
    strange = sorted(set(evaluated.ids) - set(chosen.listed.ids))
    if strange:
        raise InputError(
            f"{data.evaluated_actions}: scores the ids {some(strange)}, which {data.actions} (data.actions) lacks"
        )
    if chosen.is_whole:
        return evaluated
    scored = chosen.of(evaluated)
    if len(scored) == 0:
        raise InputError(
            f"{data.evaluated_actions}: scores none of the actions of data.classes ({some(chosen.actions.names)}); set "
            "data.evaluated_actions=null, or choose one that it scores"
        )
    return scored


def _read_truth(split: SplitConfig, actions: ActionList, list_path: str) -> TruthRows:
    """Read annotations and refuse labels that are not in the list, and boxes that leave the frame."""
    truth = read_ava_csv(split.truth)
    strange = sorted(set(np.unique(truth.labels).tolist()) - set(actions.ids))
    if strange:
        line = _first_line(split.truth, lambda row: float(row[6]) in strange)
        raise InputError(
            f"{split.truth}{line}: action {some(strange)} is not in the action list {list_path}; "
            "expected every id there (data.actions lists all ids of the truth, data.evaluated_actions the scored ones)"
        )
    if leaves_frame(truth.boxes).any():
        line = _first_line(split.truth, lambda row: bool(leaves_frame(np.array([row[2:6]], dtype=float))[0]))
        raise InputError(f"{split.truth}{line}: the box leaves the frame; expected unit boxes, 0 to 1")
    return truth


def _read_found(path: str) -> dict[FrameKey, PersonBoxes]:
    """Read proposals and refuse boxes that leave the frame."""
    proposals = read_proposals(path)
    if not proposals:
        raise InputError(f"{path}: holds no person boxes; expected some for the key frames of its data set")
    # All boxes at once: half a million calls take longer than reading the file.
    if leaves_frame(np.concatenate([persons.boxes for persons in proposals.values()])).any():
        key = next(key for key, persons in proposals.items() if leaves_frame(persons.boxes).any())
        raise InputError(
            f"{path}: a box of '{key.video}' at {key.moment / 1e6:g} s leaves the frame; expected unit boxes, 0 to 1"
        )
    return proposals


def _first_line(path: str, is_wrong: Callable[[list[str]], bool]) -> str:
    """Name the line of the first row of a box that is wrong; rows without a box end early, or in blanks."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        return next(
            (f", line {reader.line_num}" for row in reader if len(row) > 6 and row[6].strip() and is_wrong(row)), ""
        )

"""AVA, AVA-Kinetics, and sets of one's own in AVA's files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from actiondet.config.schema import AvaConfig, AvaKineticsConfig, ClipConfig, SplitConfig, TransformConfig
from actiondet.data.build import build_test_set, build_train_transform, build_training_set
from actiondet.data.key_frames import EvaluationSet, TrainingSet
from actiondet.datasets.key_frames import start_us
from actiondet.datasets.sources import ReaderPool, find_videos, missing_videos
from actiondet.datasets.tables import BoolArray, KeyTable, PersonTable, TruePersons, gather_persons, select_persons
from actiondet.datasets.tracks import FollowLimits, PersonIndex, Tracks
from actiondet.datasets.windows import ClipWindow
from actiondet.video import open_video
from actiondet.video.kept_index import KeptIndices
from evaluation.boxes import leaves_frame
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, read_action_list, read_ava_csv, read_excluded
from evaluation.formats.ava_kinetics import kinetics_clip
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey, IntArray, PersonBoxes, TruthRows

# AVA looks at people once a second: the next moment lies at most so far beyond a clip, in microseconds.
REACH = FollowLimits(beyond=1_000_000, max_gap=1)


@build_training_set.register
def ava_training_set(
    data: AvaConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    seed: int,
    tracks: bool = False,
) -> TrainingSet:
    """The training part of an AVA-format set; see `build_training_set`."""
    split = data.train
    actions = _read_actions(data, num_actions)
    everybody = gather_persons(_read_truth(split, actions, data.actions))
    people = everybody.take(_included(everybody.keys, _read_excluded(split), split))
    paths, missing = _locate(data, people.keys)
    people = people.take(_available(people.keys, paths))
    proposals, found = None, None
    if split.proposals is not None:
        found = _read_proposals(split.proposals)
        proposals = _select(data, people.keys, found, split.proposals)
    return TrainingSet(
        people=people,
        proposals=proposals,
        centers_us=_centers_us(data, people.keys),
        videos=_open_lazily(data, paths),
        window=_window(clip),
        transform=build_train_transform(transform),
        actions=actions,
        num_actions=num_actions,
        match_iou=data.match_iou,
        max_boxes=data.max_train_boxes,
        seed=seed,
        missing=missing,
        tracks=_tracks(data, everybody, found, split.proposals) if tracks else None,
    )


@build_test_set.register
def ava_test_set(
    data: AvaConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    moments: Literal["all", "annotated"] = "annotated",
    split: Literal["train", "val"] = "val",
    tracks: bool = False,
    short_sides: Sequence[int] | None = None,
) -> EvaluationSet:
    """The test data of an AVA-format set; see `build_test_set`."""
    files = data.val if split == "val" else data.train
    actions = _read_actions(data, num_actions)
    truth = _read_truth(files, actions, data.actions)
    excluded = _read_excluded(files)
    everybody = gather_persons(truth)
    found = None
    if files.proposals is None:
        persons = everybody.as_persons()
        persons = persons.take(_included(persons.keys_in_order, excluded, files))
    else:
        found = _read_proposals(files.proposals)
        keys = KeyTable.of([*everybody.keys, *truth.empty_moments] if moments == "annotated" else list(found))
        keys = keys.take(_included(keys, excluded, files))
        persons = _select(data, keys, found, files.proposals)
    somebody = persons.counts > 0
    persons = persons.take(somebody)
    paths, missing = _locate(data, persons.keys_in_order)
    persons = persons.take(_available(persons.keys_in_order, paths))
    return EvaluationSet(
        persons=persons,
        centers_us=_centers_us(data, persons.keys_in_order),
        videos=_open_lazily(data, paths),
        window=_window(clip),
        short_sides=short_sides or (transform.test_short_side,),
        truth=truth,
        actions=actions,
        evaluated=_read_evaluated(data, actions),
        excluded=excluded,
        without_persons=int((~somebody).sum()),
        missing=missing,
        tracks=_tracks(data, everybody, found, files.proposals) if tracks else None,
    )


def _tracks(
    data: AvaConfig, everybody: TruePersons, found: Mapping[FrameKey, PersonBoxes] | None, path: str | None
) -> Tracks:
    """Who is where at all moments of the files, be they annotated or not."""
    true = PersonIndex.of(everybody.as_persons(), everybody.identities)
    if found is None or path is None:
        return Tracks(found=None, true=true, reach=REACH)
    return Tracks(found=PersonIndex.of(_select(data, KeyTable.of(list(found)), found, path)), true=true, reach=REACH)


def _window(clip: ClipConfig) -> ClipWindow:
    return ClipWindow(frames=clip.frames, stride=clip.stride, clip_fps=clip.clip_fps, frame_jitter=clip.frame_jitter)


def _read_actions(data: AvaConfig, num_actions: int) -> ActionList:
    """Read the list of all actions; the network must have just its columns."""
    actions = read_action_list(data.actions)
    if actions.largest_id != num_actions:
        raise InputError(
            f"model.num_actions is {num_actions}, but the largest id of {data.actions} is {actions.largest_id}; "
            f"set model.num_actions={actions.largest_id}, or give the list that belongs to the model"
        )
    return actions


def _read_evaluated(data: AvaConfig, actions: ActionList) -> ActionList:
    if data.evaluated_actions is None:
        return actions
    evaluated = read_action_list(data.evaluated_actions)
    strange = sorted(set(evaluated.ids) - set(actions.ids))
    if strange:
        raise InputError(
            f"{data.evaluated_actions}: scores the ids {_some(strange)}, which {data.actions} (data.actions) lacks"
        )
    return evaluated


def _read_truth(split: SplitConfig, actions: ActionList, list_path: str) -> TruthRows:
    """Read annotations and refuse labels that are not in the list, and boxes that leave the frame."""
    truth = read_ava_csv(split.truth)
    strange = sorted(set(np.unique(truth.labels).tolist()) - set(actions.ids))
    if strange:
        line = _first_line(split.truth, lambda row: float(row[6]) in strange)
        raise InputError(
            f"{split.truth}{line}: action {_some(strange)} is not in the action list {list_path}; "
            "expected every id there (data.actions lists all ids of the truth, data.evaluated_actions the scored ones)"
        )
    if leaves_frame(truth.boxes).any():
        line = _first_line(split.truth, lambda row: bool(leaves_frame(np.array([row[2:6]], dtype=float))[0]))
        raise InputError(f"{split.truth}{line}: the box leaves the frame; expected unit boxes, 0 to 1")
    return truth


def _read_proposals(path: str) -> dict[FrameKey, PersonBoxes]:
    proposals = read_proposals(path)
    if not proposals:
        raise InputError(f"{path}: holds no person boxes; expected some for the key moments of its data set")
    for persons in proposals.values():
        if leaves_frame(persons.boxes).any():
            raise InputError(
                f"{path}: a box of '{persons.key.video}' at {persons.key.moment / 1e6:g} s leaves the frame; "
                "expected unit boxes, 0 to 1"
            )
    return proposals


def _read_excluded(split: SplitConfig) -> frozenset[FrameKey]:
    return read_excluded(split.excluded) if split.excluded is not None else frozenset()


def _included(keys: KeyTable, excluded: frozenset[FrameKey], split: SplitConfig) -> BoolArray:
    """(K,) bool: which moments are not excluded; at least one must be left."""
    included = np.fromiter((key not in excluded for key in keys), dtype=bool, count=len(keys))
    if not included.any():
        without = f" without those of {split.excluded}" if len(keys) else ""
        raise InputError(f"{split.truth}: no key moment is left{without}; expected at least one with a person")
    return included


def _select(data: AvaConfig, keys: KeyTable, found: Mapping[FrameKey, PersonBoxes], path: str) -> PersonTable:
    """The proposals of each moment that count."""
    persons: list[PersonBoxes | None] = [found.get(key) for key in keys]
    if isinstance(data, AvaKineticsConfig):
        # Published proposals name Kinetics clips by their bare id.
        bare = {name: kinetics_clip(name) for name in keys.names}
        for index, key in enumerate(keys):
            parts = bare[key.video]
            if persons[index] is None and parts is not None:
                persons[index] = found.get(FrameKey(parts[0], key.moment))
    if all(each is None for each in persons):
        raise InputError(
            f"{path}: has boxes for none of the {len(keys)} key moments, such as '{keys[0].video}' at "
            f"{keys[0].moment / 1e6:g} s; are these the proposals of this part of the data set?"
        )
    return select_persons(keys, persons, threshold=data.person_threshold, at_most=data.max_persons)


def _centers_us(data: AvaConfig, keys: KeyTable) -> IntArray:
    """(K,) microseconds from the first frame of its video to each moment."""
    starts = np.array([start_us(data, name) for name in keys.names], dtype=np.int64)
    centers: IntArray = keys.moment - starts[keys.video]
    return centers


def _locate(data: AvaConfig, keys: KeyTable) -> tuple[dict[str, Path], Sequence[str]]:
    """Where the videos of `keys` lie, and which of them are missing (if the settings allow that)."""
    names = [keys.names[video] for video in dict.fromkeys(keys.video.tolist())]
    pictures = data.pictures is not None
    paths = find_videos(data.videos, names, pictures=pictures)
    complaint = missing_videos(data.videos, names, paths, pictures=pictures)
    if complaint and (data.unreadable == "stop" or not paths):
        hint = ", or set data.unreadable=skip to leave them out" if paths else ""
        raise InputError(f"{complaint}{hint}")
    return paths, [name for name in names if name not in paths]


def _available(keys: KeyTable, paths: Mapping[str, Path]) -> BoolArray:
    """(K,) bool: of which moments the video is there."""
    available: BoolArray = np.array([name in paths for name in keys.names], dtype=bool)[keys.video]
    return available


def _open_lazily(data: AvaConfig, paths: Mapping[str, Path]) -> ReaderPool:
    return ReaderPool(
        paths,
        partial(open_video, reader=data.reader, pictures=data.pictures),
        kept=KeptIndices(data.videos) if data.pictures is None else None,
    )


def _first_line(path: str, is_wrong: Callable[[list[str]], bool]) -> str:
    """Name the line of the first row of a box that is wrong; rows without a box end early, or in blanks."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        return next(
            (f", line {reader.line_num}" for row in reader if len(row) > 6 and row[6].strip() and is_wrong(row)), ""
        )


def _some(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")

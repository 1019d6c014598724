"""Merge corrected or new videos into a data set in AVA's format; what is not theirs stays byte for byte."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data_tools.convert_annotations.key_frames import VideoMoments, boxes_of
from data_tools.convert_annotations.to_ava import truth_rows
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.action_list import ActionList, read_action_list, write_action_list
from evaluation.formats.ava import read_ava_csv, read_excluded, write_ava_csv, write_excluded
from evaluation.formats.person_boxes import read_proposals, write_proposals
from evaluation.records import FrameKey, PersonBoxes, TruthRows
from evaluation.video_names import composed

SPLITS = ("train", "val")


@dataclass(frozen=True)
class DataSet:
    """A data set that `write_ava` has written.

    Attributes:
        folder: where its files are.
        actions: ids and names.
        truth: the annotations of "train" and of "val".
        split_of: in which split each video is.
    """

    folder: Path
    actions: ActionList
    truth: Mapping[str, TruthRows]
    split_of: Mapping[str, str]

    def rows_of(self, video: str) -> Counter[tuple[object, ...]]:
        """How often each annotation of a video occurs; empty if the video is not in the set."""
        split = self.split_of.get(video)
        return _rows(self.truth[split], video) if split else Counter()


@dataclass(frozen=True)
class Change:
    """What an update does to one video.

    Attributes:
        video: its name.
        split: "train" or "val".
        is_new: whether the set did not have it.
        added, removed: rows of the truth.
        key_frames: how many the video has now.
    """

    video: str
    split: str
    is_new: bool
    added: int
    removed: int
    key_frames: int

    def __str__(self) -> str:
        if not (self.is_new or self.added or self.removed):
            return f"{self.video} ({self.split}): unchanged"
        rows = f"{self.added} rows added" + ("" if self.is_new else f", {self.removed} removed")
        return f"{self.video} ({self.split}{', new' if self.is_new else ''}): {self.key_frames} key frames, {rows}"


def read_data_set(folder: Path) -> DataSet:
    """Read the set that is updated.

    Raises:
        InputError: a file of it is missing or cannot be read, or a video is in both splits.
    """
    missing = [
        path
        for path in (folder / "action_list.pbtxt", *(_truth(folder, split) for split in SPLITS))
        if not path.is_file()
    ]
    if missing:
        raise InputError(f"--update {folder}: {missing[0].name} is missing; expected a folder written by --to ava")
    truth = {split: read_ava_csv(_truth(folder, split)) for split in SPLITS}
    names = {split: {key.video for key in truth[split].empty_moments} | set(truth[split].video) for split in SPLITS}
    shared = sorted(names["train"] & names["val"])
    if shared:
        raise InputError(f"--update {folder}: video '{shared[0]}' is in both splits; remove it from one of them")
    split_of = {str(name): split for split in SPLITS for name in names[split]}
    return DataSet(folder, read_action_list(folder / "action_list.pbtxt"), truth, split_of)


def extended_actions(actions: ActionList, names: Iterable[str]) -> ActionList:
    """The same ids, and the next ones for names that the list does not have, in alphabetical order."""
    new = sorted(set(names) - set(actions.names))
    ids = range(actions.largest_id + 1, actions.largest_id + 1 + len(new))
    return ActionList((*actions.ids, *ids), (*actions.names, *new), (*actions.types, *(None for _ in new)))


def update_ava(
    data_set: DataSet,
    videos: Sequence[VideoMoments],
    actions: ActionList,
    *,
    start: float,
    val_videos: Sequence[str],
    proposals: bool,
) -> list[Change]:
    """Replace the annotations of videos that the set has, and add the others. A repeated update writes nothing.

    Args:
        data_set: what is updated.
        videos: corrected or new.
        actions: those of the set, and new ones after them.
        start: time at which every video begins on the clock of the set, seconds.
        val_videos: names of new videos that validate; the other new ones train.
        proposals: also replace the boxes of these videos in dense_proposals_*.pkl by the annotated ones.

    Returns:
        what changes, video by video.

    Raises:
        InputError: `val_videos` names a video that trains or is not among `videos`, or a video of the set has none of
            its timestamps after the update.
    """
    split_of = _splits(data_set, videos, val_videos)
    offset = round(start * 1e6)
    changes = []
    for video in videos:
        before = data_set.rows_of(video.video)
        now = _rows(truth_rows([video], actions, offset_us=offset), video.video)
        _check_clock(video, before, now)
        changes.append(
            Change(
                video.video,
                split_of[video.video],
                video.video not in data_set.split_of,
                added=(now - before).total(),
                removed=(before - now).total(),
                key_frames=len(video.persons),
            )
        )
    if actions != data_set.actions:
        write_action_list(data_set.folder / "action_list.pbtxt", actions)
    differing = {change.video for change in changes if change.added or change.removed}
    for split in SPLITS:
        of_split = [video for video in videos if split_of[video.video] == split]
        changed = [video for video in of_split if video.video in differing]
        _replace(
            _truth(data_set.folder, split),
            changed,
            lambda path, some: write_ava_csv(path, truth_rows(some, actions, offset_us=offset)),
        )
        _update_excluded(data_set.folder / f"ava_{split}_excluded_timestamps.csv", of_split, offset)
        if proposals and of_split:
            _update_proposals(data_set.folder / f"dense_proposals_{split}.pkl", of_split, offset)
    return changes


def _truth(folder: Path, split: str) -> Path:
    return folder / f"ava_{split}.csv"


def _splits(data_set: DataSet, videos: Sequence[VideoMoments], val_videos: Sequence[str]) -> dict[str, str]:
    """The split of each video: its own, or that of new ones."""
    names = [video.video for video in videos]
    validating = {composed(name) for name in val_videos}
    unknown = sorted(validating - set(names))
    if unknown:
        raise InputError(f"--val-videos: '{unknown[0]}' is not annotated; expected some of {', '.join(names)}")
    training = sorted(name for name in validating if data_set.split_of.get(name) == "train")
    if training:
        raise InputError(
            f"--val-videos: '{training[0]}' is a training video of {data_set.folder}; an update keeps the split"
        )
    return {name: data_set.split_of.get(name, "val" if name in validating else "train") for name in names}


def _rows(truth: TruthRows, video: str) -> Counter[tuple[object, ...]]:
    chosen = np.flatnonzero(truth.video == video)
    rows = zip(
        truth.moment[chosen].tolist(),
        map(tuple, truth.boxes[chosen].tolist()),
        truth.labels[chosen].tolist(),
        truth.persons[chosen].tolist(),
        strict=True,
    )
    empty = ((key.moment,) for key in truth.empty_moments if key.video == video)
    return Counter([*rows, *empty])


def _check_clock(video: VideoMoments, before: Counter[tuple[object, ...]], now: Counter[tuple[object, ...]]) -> None:
    if before and not {row[0] for row in before} & {row[0] for row in now}:
        raise InputError(
            f"{video.source}: video '{video.video}' has no timestamp in common with the set's; "
            "give the --start and the --every that the set was made with"
        )


def _update_excluded(path: Path, videos: Sequence[VideoMoments], offset: int) -> None:
    before = read_excluded(path) if path.is_file() else frozenset()
    now = {
        video.video: frozenset(FrameKey(video.video, offset + moment) for moment in video.unseen) for video in videos
    }
    differing = [video for video in videos if now[video.video] != {key for key in before if key.video == video.video}]
    _replace(
        path, differing, lambda target, some: write_excluded(target, (key for each in some for key in now[each.video]))
    )


def _update_proposals(path: Path, videos: Sequence[VideoMoments], offset: int) -> None:
    before = read_proposals(path) if path.is_file() else {}
    annotated = {
        (key := FrameKey(video.video, offset + moment)): PersonBoxes(key, boxes_of(persons), np.ones(len(persons)))
        for video in videos
        for moment, persons in video.persons.items()
    }
    names = {video.video for video in videos}
    kept = {key: persons for key, persons in before.items() if key.video not in names}
    if _plain(kept | annotated) != _plain(before):
        write_proposals(path, (kept | annotated).values())


def _plain(persons: Mapping[FrameKey, PersonBoxes]) -> dict[FrameKey, tuple[list[float], list[float]]]:
    return {
        key: (np.float32(each.boxes).ravel().tolist(), np.float32(each.scores).tolist())
        for key, each in persons.items()
        if len(each)
    }


def _replace(path: Path, videos: Sequence[VideoMoments], write: Callable[[Path, Sequence[VideoMoments]], None]) -> None:
    """Put what `write` makes of the videos in the place of their lines; lines of other videos stay as they are."""
    if not videos:
        return
    with TemporaryDirectory() as folder:
        written = Path(folder) / path.name
        write(written, videos)
        new = dict.fromkeys((video.video for video in videos), "")
        for name, line in _lines(written):
            new[name] += line
    kept = []
    for name, line in _lines(path) if path.is_file() else ():
        if name not in new:
            kept.append(line if line.endswith("\n") else line + "\n")
        else:
            kept.append(new[name])  # all of a video in the place of its first line
            new[name] = ""
    with atomic_path(path) as temporary:
        temporary.write_text("".join([*kept, *new.values()]), encoding="utf-8", newline="")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line of a CSV file as it is, and the video in its first column; empty lines belong to no video."""
    for line in io.StringIO(path.read_bytes().decode(), newline=""):
        first = next(csv.reader([line]), [])
        yield composed(first[0].removeprefix("\ufeff")) if first else "", line

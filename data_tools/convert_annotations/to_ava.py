"""Own annotations as AVA's files: truth, action list, moments that do not count, boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.convert_annotations.key_frames import VideoMoments, boxes_of, occurrences
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList, write_action_list
from evaluation.formats.ava import write_ava_csv, write_excluded
from evaluation.formats.person_boxes import write_proposals
from evaluation.name_column import NameColumn
from evaluation.records import FrameKey, PersonBoxes, TruthRows
from evaluation.video_names import composed

# So many divisions are tried.
_DRAWS = 300
# Divisions whose shares differ less are equally near to the wish.
_ABOUT = 0.02


def split_videos(
    videos: Sequence[VideoMoments], *, val_share: float, val_videos: Sequence[str] | None, seed: int
) -> tuple[list[VideoMoments], list[VideoMoments]]:
    """Divide videos into training and validation.

    Args:
        videos: all of them.
        val_share: share of the key moments that validate, in whole videos; at least one, and not all. Training gets
            an example of every action first. Of `_DRAWS` divisions drawn with `seed`, one is taken whose share is
            nearest to the wish, and of those about as near the one with most actions in both splits.
        val_videos: these validate instead.
        seed: decides the draws.

    Raises:
        InputError: one split would be empty, or `val_videos` names an unknown video.
    """
    names = [video.video for video in videos]
    if val_videos is not None:
        chosen = {composed(name) for name in val_videos}
        unknown = sorted(chosen - set(names))
        if unknown:
            raise InputError(f"--val-videos: '{unknown[0]}' is not annotated; there are {', '.join(names)}")
        if not chosen or len(chosen) == len(names):
            split = "training" if chosen else "validation"
            raise InputError(f"--val-videos leaves no video for {split}; expected some of {', '.join(names)}, not all")
    else:
        if len(videos) < 2:
            raise InputError(
                f"{videos[0].source}: there is one video only, '{names[0]}', and train and val must not share a "
                "video; annotate a second one, or cut this one in two"
            )
        chosen = set(_draw(videos, val_share, seed))
    return (
        [video for video in videos if video.video not in chosen],
        [video for video in videos if video.video in chosen],
    )


@dataclass(frozen=True)
class _Contents:
    """What the division looks at: key moments of each video, and which actions occur in it."""

    moments: Mapping[str, int]
    actions: Mapping[str, frozenset[str]]

    @staticmethod
    def of(videos: Sequence[VideoMoments]) -> _Contents:
        actions: dict[str, set[str]] = {video.video: set() for video in videos}
        for name, action in occurrences(videos):
            actions[name].add(action)
        return _Contents(
            {video.video: len(video.persons) for video in videos}, {n: frozenset(some) for n, some in actions.items()}
        )

    def share(self, chosen: Collection[str]) -> float:
        """Of the key moments, how many those of `chosen` are."""
        return sum(self.moments[name] for name in chosen) / sum(self.moments.values())

    def occurring(self, chosen: Iterable[str]) -> set[str]:
        """The actions that occur in any of `chosen`."""
        return {action for name in chosen for action in self.actions[name]}


def _draw(videos: Sequence[VideoMoments], wish: float, seed: int) -> frozenset[str]:
    """The videos that validate: the best of `_DRAWS` divisions."""
    contents = _Contents.of(videos)
    names = sorted(contents.moments)
    rng = np.random.default_rng(seed)
    draws = [_fill_up(contents, rng.permutation(names).tolist(), wish) for _ in range(_DRAWS)]

    def rank(chosen: frozenset[str]) -> tuple[int, int, int, float]:
        train, val = contents.occurring(name for name in names if name not in chosen), contents.occurring(chosen)
        beside = abs(contents.share(chosen) - wish)
        return len(val - train), round(beside / _ABOUT), -len(val & train), beside

    return min(draws, key=rank)  # the first of equals


def _fill_up(contents: _Contents, order: Sequence[str], wish: float) -> frozenset[str]:
    """Take video by video for validation: those that bring the share nearer and leave training all its actions."""
    left = Counter(action for some in contents.actions.values() for action in some)
    wished = wish * sum(contents.moments.values())
    chosen: list[str] = []
    held = 0
    for name in order:
        needed = any(left[action] == 1 for action in contents.actions[name])
        nearer = not chosen or abs(held + contents.moments[name] - wished) < abs(held - wished)
        if nearer and not needed and len(chosen) + 1 < len(order):
            chosen.append(name)
            held += contents.moments[name]
            left.subtract(contents.actions[name])
    return frozenset(chosen or order[:1])  # where each video has an action of its own, one is lost


def write_ava(
    out: Path,
    splits: dict[str, list[VideoMoments]],
    actions: ActionList,
    *,
    start: float,
    proposals: bool,
) -> None:
    """Write the files of both splits.

    Args:
        out: folder.
        splits: videos of "train" and "val".
        actions: every action and its id.
        start: time at which every video begins on the clock of the files, seconds.
        proposals: also write the annotated boxes, those of persons who do nothing among them, as person boxes.
    """
    offset = round(start * 1e6)
    write_action_list(out / "action_list.pbtxt", actions)
    for split, videos in splits.items():
        write_ava_csv(out / f"ava_{split}.csv", truth_rows(videos, actions, offset_us=offset))
        unseen = [FrameKey(video.video, offset + moment) for video in videos for moment in video.unseen]
        write_excluded(out / f"ava_{split}_excluded_timestamps.csv", unseen)
        if proposals:
            write_proposals(
                out / f"dense_proposals_{split}.pkl",
                [
                    PersonBoxes(FrameKey(video.video, offset + moment), boxes_of(persons), np.ones(len(persons)))
                    for video in videos
                    for moment, persons in video.persons.items()
                ],
            )


def truth_rows(videos: Sequence[VideoMoments], actions: ActionList, *, offset_us: int) -> TruthRows:
    """One row for each person and action; moments without any row are named as empty."""
    rows: list[tuple[str, int, tuple[float, ...], int, int]] = []
    empty: list[FrameKey] = []
    ids = dict(zip(actions.names, actions.ids, strict=True))
    for video in videos:
        for moment, persons in video.persons.items():
            before = len(rows)
            for person in persons:
                labels = sorted(ids[name] for name in person.actions)
                rows += [(video.video, offset_us + moment, person.box, label, person.identity) for label in labels]
            if len(rows) == before:
                empty.append(FrameKey(video.video, offset_us + moment))
    return TruthRows(
        video=NameColumn.of_names([row[0] for row in rows]),
        moment=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], dtype=np.int64),
        persons=np.array([row[4] for row in rows], dtype=np.int64),
        empty_moments=tuple(empty),
    )


def summary(splits: dict[str, list[VideoMoments]], actions: ActionList) -> str:
    """What was converted, in a few lines; the last one is what a configuration must say."""
    lines = []
    counts = {split: Counter(action for _, action in occurrences(videos)) for split, videos in splits.items()}
    for split, videos in splits.items():
        everybody = [person for video in videos for persons in video.persons.values() for person in persons]
        idle = sum(not person.actions for person in everybody)
        unseen = sum(len(video.unseen) for video in videos)
        names = some([video.video for video in videos], 8)
        empty = [video.video for video in videos if not any(video.persons.values())]
        lines.append(
            f"{split}: {len(videos)} videos ({names}), {sum(len(video.persons) for video in videos)} key frames, "
            f"{len(everybody)} persons"
            + (f", {idle} of whom do nothing that has a name" if idle else "")
            + (f"; {unseen} key frames were not annotated and are excluded" if unseen else "")
            + (f"; nobody is seen in {len(empty)} videos ({some(empty, 8)})" if empty else "")
        )
    width = max(map(len, actions.names))
    lines.append(f"{'id':>4} {'action':{width}} {'train':>7} {'val':>7}")
    for label, name in zip(actions.ids, actions.names, strict=True):
        lines.append(f"{label:>4} {name:{width}} {counts['train'][name]:>7} {counts['val'][name]:>7}")
    return "\n".join(lines)

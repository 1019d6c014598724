"""Own annotations as AVA's files: truth, action list, moments that do not count, boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from data_tools.convert_annotations.key_moments import VideoMoments, boxes_of, occurrences
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList, write_action_list
from evaluation.formats.ava import write_ava_csv, write_excluded
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes, TruthRows
from evaluation.video_names import composed

# So many divisions are tried for one in which every action occurs in both parts.
_DRAWS = 300


def split_videos(
    videos: Sequence[VideoMoments], *, val_share: float, val_videos: Sequence[str] | None, seed: int
) -> tuple[list[VideoMoments], list[VideoMoments]]:
    """Divide videos into training and validation.

    Args:
        videos: all of them.
        val_share: share of the videos that validate; at least one, and not all. Of `_DRAWS` divisions drawn with
            `seed`, the first one is taken that leaves most actions with examples in both parts.
        val_videos: these validate instead.
        seed: decides the draws.

    Raises:
        InputError: one part would be empty, or `val_videos` names an unknown video.
    """
    names = [video.video for video in videos]
    if val_videos is not None:
        chosen = {composed(name) for name in val_videos}
        unknown = sorted(chosen - set(names))
        if unknown:
            raise InputError(f"--val-videos: '{unknown[0]}' is not annotated; there are {', '.join(names)}")
        if not chosen or len(chosen) == len(names):
            part = "training" if chosen else "validation"
            raise InputError(f"--val-videos leaves no video for {part}; expected some of {', '.join(names)}, not all")
    else:
        if len(videos) < 2:
            raise InputError(
                f"{videos[0].source}: there is one video only, '{names[0]}', and train and val must not share a "
                "video; annotate a second one, or cut this one in two"
            )
        chosen = _draw(videos, max(1, min(len(videos) - 1, round(val_share * len(videos)))), seed)
    return (
        [video for video in videos if video.video not in chosen],
        [video for video in videos if video.video in chosen],
    )


def _draw(videos: Sequence[VideoMoments], size: int, seed: int) -> set[str]:
    names = sorted(video.video for video in videos)
    does: dict[str, set[str]] = {name: set() for name in names}
    for name, action in occurrences(videos):
        does[name].add(action)
    rng = np.random.default_rng(seed)
    draws = [frozenset(rng.permutation(names)[:size].tolist()) for _ in range(_DRAWS)]

    def shared(chosen: Collection[str]) -> int:
        val: set[str] = set().union(*(does[name] for name in chosen))
        return len(val & set().union(*(does[name] for name in names if name not in chosen)))

    best = max(range(_DRAWS), key=lambda draw: shared(draws[draw]))  # the first of equals
    return set(draws[best])


def write_ava(
    out: Path,
    parts: dict[str, list[VideoMoments]],
    actions: ActionList,
    *,
    start: float,
    proposals: bool,
) -> None:
    """Write the files of both parts.

    Args:
        out: folder.
        parts: videos of "train" and "val".
        actions: every action and its id.
        start: time at which every video begins on the clock of the files, seconds.
        proposals: also write the annotated boxes, those of persons who do nothing among them, as person boxes.
    """
    offset = round(start * 1e6)
    write_action_list(out / "action_list.pbtxt", actions)
    for part, videos in parts.items():
        write_ava_csv(out / f"ava_{part}.csv", truth_rows(videos, actions, offset_us=offset))
        unseen = [FrameKey(video.video, offset + moment) for video in videos for moment in video.unseen]
        write_excluded(out / f"ava_{part}_excluded_timestamps.csv", unseen)
        if proposals:
            write_proposals(
                out / f"dense_proposals_{part}.pkl",
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
        video=pd.Categorical([row[0] for row in rows]),
        moment=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], dtype=np.int64),
        persons=np.array([row[4] for row in rows], dtype=np.int64),
        empty_moments=tuple(empty),
    )


def summary(parts: dict[str, list[VideoMoments]], actions: ActionList) -> str:
    """What was converted, in a few lines; the last one is what a configuration must say."""
    lines = []
    counts = {part: Counter(action for _, action in occurrences(videos)) for part, videos in parts.items()}
    for part, videos in parts.items():
        everybody = [person for video in videos for persons in video.persons.values() for person in persons]
        idle = sum(not person.actions for person in everybody)
        unseen = sum(len(video.unseen) for video in videos)
        names = _some([video.video for video in videos])
        empty = [video.video for video in videos if not any(video.persons.values())]
        lines.append(
            f"{part}: {len(videos)} videos ({names}), {sum(len(video.persons) for video in videos)} key moments, "
            f"{len(everybody)} persons"
            + (f", {idle} of whom do nothing that has a name" if idle else "")
            + (f"; {unseen} moments were not annotated and are excluded" if unseen else "")
            + (f"; nobody is seen in {len(empty)} videos ({_some(empty)})" if empty else "")
        )
    width = max(map(len, actions.names))
    lines.append(f"{'id':>4} {'action':{width}} {'train':>7} {'val':>7}")
    for label, name in zip(actions.ids, actions.names, strict=True):
        lines.append(f"{label:>4} {name:{width}} {counts['train'][name]:>7} {counts['val'][name]:>7}")
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")

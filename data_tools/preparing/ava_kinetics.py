"""AVA-Kinetics: which clip shows which annotated moment, and the jobs that make the clips."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actiondet.datasets.key_frames import SECOND_US
from actiondet.datasets.sources import walk_videos
from data_tools.preparing.coding import USUAL, Coding
from data_tools.preparing.cut import Cut
from data_tools.preparing.jobs import Job, Refused
from data_tools.preparing.place import Place
from data_tools.preparing.sources import find_by_stem, is_same, suffix_there
from evaluation.errors import InputError
from evaluation.formats.kinetics_table import KineticsClip
from evaluation.records import FrameKey

_CLIP_NAME = re.compile(r"(.+)_([0-9]{6})_([0-9]{6})")


@dataclass(frozen=True)
class Clip:
    """Seconds of a Kinetics video.

    Attributes:
        video: id of the whole video.
        start: second of it at which the clip begins.
        end: second at which it ends.
        source: the file; None if only an earlier run's output is there.
        whole: the file is the whole video.
    """

    video: str
    start: int
    end: int
    source: str | None
    whole: bool = False

    @property
    def name(self) -> str:
        """Name of the clip; its start is how readers know what a moment means in it."""
        return f"{self.video}_{self.start:06d}_{self.end:06d}"

    def holds(self, moment: int) -> bool:
        """Whether a moment, in microseconds of the whole video, lies in the clip."""
        return self.start * SECOND_US <= moment <= self.end * SECOND_US


def find_clips(
    videos: Path, out: Path, ids: Iterable[str], table: Sequence[KineticsClip] | None
) -> dict[str, list[Clip]]:
    """Find the clips of each annotated video.

    Args:
        videos: sources at any depth: clips `<id>_<start>_<end>`, or whole videos `<id>`.
        out: folder of the data set; no sources, but clips that an earlier run made are there, in videos/.
        ids: the annotated videos.
        table: Kinetics' official rows, which say what to cut from whole videos.

    Returns:
        {id: clips}, those of which there is a file first.

    Raises:
        InputError: two files of one name, or a whole video without a table.
    """
    wanted = set(ids)
    clips: dict[str, dict[str, Clip]] = {video: {} for video in wanted}
    whole: dict[str, Path] = {}
    for path in walk_videos(videos, without=out):
        if path.stem in wanted:
            _refuse_second(whole.get(path.stem), path)
            whole[path.stem] = path
        elif (found := _CLIP_NAME.fullmatch(path.stem)) and found[1] in wanted:
            clip = Clip(found[1], int(found[2]), int(found[3]), str(path))
            _refuse_second(clips[clip.video].get(clip.name), path)
            clips[clip.video][clip.name] = clip
    rows: dict[str, list[KineticsClip]] = defaultdict(list)
    for row in table or ():
        rows[row.video].append(row)
    for video, path in whole.items():
        if table is None and not clips[video]:
            raise InputError(f"{path}: is a whole video; give Kinetics' official tables by --table, or cut clips")
        for row in rows[video]:
            clips[video].setdefault(row.name, Clip(video, row.start, row.end, str(path), whole=True))
    if (made := out / "videos").is_dir():
        for path in made.iterdir():
            if path.suffix == ".mp4" and (found := _CLIP_NAME.fullmatch(path.stem)) and found[1] in wanted:
                clips[found[1]].setdefault(path.stem, Clip(found[1], int(found[2]), int(found[3]), None))
    return {video: [*of_video.values()] for video, of_video in clips.items()}


def _refuse_second(first: Path | Clip | None, path: Path) -> None:
    other = first.source if isinstance(first, Clip) else first
    if other is not None and not is_same(Path(other), path):
        raise InputError(f"{other} and {path} have the same name; expected one, remove the other")


def choose_clips(keys: Iterable[FrameKey], clips: Mapping[str, Sequence[Clip]]) -> dict[FrameKey, Clip]:
    """The clip that shows each moment of a whole video; moments that none shows are absent.

    Where one clip ends and another begins at the moment, it is the beginning of the second.
    """
    chosen = {}
    for key in keys:
        holding = [clip for clip in clips[key.video] if clip.holds(key.moment)]
        if holding:
            chosen[key] = max(holding, key=lambda clip: clip.end)
    return chosen


def plan_clips(
    keys: Sequence[FrameKey],
    clips: Mapping[str, Sequence[Clip]],
    chosen: Mapping[FrameKey, Clip],
    short_side: int | None,
    coding: Coding = USUAL,
) -> list[Job]:
    """One job for each clip that shows a moment, and one that says why for each video that has none.

    A clip must reach its last moment. One that is longer than its name says was cut at some earlier keyframe, and
    every moment would be off.
    """
    last: dict[Clip, int] = {}
    for key, clip in chosen.items():
        last[clip] = max(last.get(clip, 0), key.moment)
    jobs: list[Job] = [_job(clip, moment, short_side, coding) for clip, moment in last.items()]
    shown = {clip.video for clip in last}
    for video in dict.fromkeys(key.video for key in keys):
        if video not in shown and not clips[video]:
            jobs.append(Cut(source=None, name=f"videos/{video}.mp4", short_side=short_side))
        elif video not in shown:
            there = ", ".join(clip.name for clip in clips[video])
            jobs.append(Refused(f"videos/{video}.mp4", f"its annotated key frames lie outside of {there}"))
    return jobs


def _job(clip: Clip, last_moment: int, short_side: int | None, coding: Coding) -> Cut:
    start_us, length_us = clip.start * SECOND_US, (clip.end - clip.start) * SECOND_US
    return Cut(
        source=clip.source,
        name=f"videos/{clip.name}.mp4",
        start_us=start_us if clip.whole else 0,
        end_us=clip.end * SECOND_US if clip.whole else None,
        shortest_us=max(last_moment - start_us, 1),
        longest_us=None if clip.whole else length_us + SECOND_US,
        short_side=short_side,
        coding=coding,
    )


def plan_films(names: Iterable[str], ava_videos: Path, folder: Path) -> list[Job]:
    """Jobs that link AVA's cut films beside the clips, into `folder`/videos."""
    names = sorted(names)
    found = find_by_stem(ava_videos, names)
    return [
        Place(
            source=str(found[name]) if name in found else None,
            name=f"videos/{name}{found[name].suffix if name in found else suffix_there(folder / 'videos' / name)}",
        )
        for name in names
    ]

"""Data sets of tubes (MultiSports, JHMDB, UCF101-24): every annotated video is there and is the annotated one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from data_tools.preparing.coding import Coding
from data_tools.preparing.place import Place
from data_tools.preparing.sources import find_by_stem, suffix_there
from evaluation.errors import InputError
from evaluation.tube_dataset import TubeTruth


def plan_videos(
    names: Iterable[str],
    videos: Path,
    *,
    out: Path,
    below: str,
    coding: Coding,
    truth: TubeTruth | None = None,
    slack: int = 0,
) -> list[Place]:
    """One job for each video.

    Args:
        names: `folder/video`, without suffix.
        videos: the sources, at any depth; a source is known by its name without suffix.
        out: folder of the data set; if it lies in `videos`, nothing in it is a source.
        below: folder in it where the videos belong.
        coding: whether to re-encode them as mp4 (else the files are linked or copied), and their keyframes.
        truth: knows how many frames and which size its videos have; other videos only have to open.
        slack: by how many frames a video may miss that.
    """
    names = list(dict.fromkeys(names))
    found = find_by_stem(videos, [_stem(name) for name in names], without=out)
    jobs = []
    for name in names:
        source = found.get(_stem(name))
        suffix = ".mp4" if coding.recode else suffix_there(out / below / name) if source is None else source.suffix
        known = truth is not None and name in truth.frame_counts
        jobs.append(
            Place(
                source=None if source is None else str(source),
                name=f"{below}/{name}{suffix}",
                frames=truth.frame_counts[name] if truth is not None and known else None,
                slack=slack,
                size=truth.sizes[name] if truth is not None and known else None,
                coding=coding,
            )
        )
    return jobs


def _stem(name: str) -> str:
    return name.rpartition("/")[2]


def check_splits(truths: Sequence[TubeTruth], path: Path) -> list[str]:
    """All videos of a truth file, by name.

    Args:
        truths: each split of it.
        path: the file.

    Raises:
        InputError: a video is for training and for testing in the same split.
    """
    names: dict[str, None] = {}
    for number, truth in enumerate(truths, start=1):
        if both := sorted(set(truth.train_videos) & set(truth.test_videos)):
            raise InputError(f"{path}: split {number} has {both[0]} for training and for testing; expected one of them")
        names.update(dict.fromkeys((*truth.train_videos, *truth.test_videos)))
    return list(names)


def describe(truth: TubeTruth, below: str, ready: Collection[str]) -> str:
    """What is there of a truth file, in one line; `ready` are the names of the jobs that are done."""
    there = {Path(name).with_suffix("").as_posix() for name in ready}
    parts = []
    for part, videos in (("training", truth.train_videos), ("test", truth.test_videos)):
        parts.append(f"{sum(f'{below}/{video}' in there for video in videos)} of {len(videos)} {part} videos")
    return f"{len(truth.labels)} labels, {len(truth.tubes)} tubes, {' and '.join(parts)} are there"

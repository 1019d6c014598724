"""Key moments: inside their videos, not all excluded, and in one split of the set only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.video.clip_stream import TOLERANCE_US
from data_tools.check_dataset.alike import check_alike
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.videos import VideoFacts, same_content
from evaluation.errors import InputError, some
from evaluation.formats.ava import read_excluded
from evaluation.records import FloatArray, FrameKey

_TOLERANCE = TOLERANCE_US / 1e6  # seconds
# Moments so little after the end are shown by its last frame; more is worth a look.
_LATE = 0.25


def read_excluded_moments(path: str | None, report: Report) -> frozenset[FrameKey]:
    """Read the moments that do not count."""
    if path is None:
        return frozenset()
    if not Path(path).is_file():
        report.error("file-missing", path, "the file does not exist", "give the excluded timestamps, or set null")
        return frozenset()
    try:
        return read_excluded(path)
    except (InputError, OSError) as fault:
        report.error("excluded-unreadable", path, str(fault), "expected rows video,time")
        return frozenset()


def check_excluded(
    path: str | None, truth_path: str, table: pd.DataFrame, excluded: Collection[FrameKey], report: Report
) -> None:
    """Check that exclusions leave something, and speak of this split of the set."""
    if not excluded or path is None or len(table) == 0:
        return
    keys = set(zip(table["video"], table["moment"], strict=True))
    both = keys & {tuple(key) for key in excluded}
    if len(both) == len(keys):
        report.error(
            "all-excluded", path, f"every key frame of {truth_path} is excluded", "give the right list, or set null"
        )
    elif both:
        video, moment = min(both)
        report.warn(
            "excluded-but-annotated",
            path,
            f"{len(both)} excluded timestamps have annotations, e.g. {video} at {moment / 1e6:g} s",
            "they take no part; delete one of the two if that is not meant",
        )
    strangers = {key.video for key in excluded} - {video for video, _ in keys}
    first, last = table["moment"].min(), table["moment"].max()
    if len(excluded) > 1 and not any(first <= key.moment <= last for key in excluded):
        report.warn(
            "excluded-elsewhere",
            path,
            f"names only key frames outside of the truth's ({first / 1e6:g} to {last / 1e6:g} s), such as "
            f"{min(excluded).moment / 1e6:g} s",
            "expected seconds on the truth's clock; nothing is excluded",
        )
    elif strangers and len(strangers) == len({key.video for key in excluded}):
        report.warn(
            "excluded-elsewhere", path, f"names only other videos: {some(sorted(strangers))}", "another split's list?"
        )


def check_times(
    path: str, table: pd.DataFrame, starts: Mapping[str, float], videos: Mapping[str, VideoFacts], report: Report
) -> None:
    """Hold every moment against the span of its video."""
    known = table[table["video"].map(lambda name: name in videos and videos[name].fault is None)]
    if len(known) == 0:
        return
    seconds = known["moment"].to_numpy() / 1e6
    start = known["video"].map(starts).to_numpy(dtype=np.float64)
    length = known["video"].map({name: facts.seconds for name, facts in videos.items()}).to_numpy(dtype=np.float64)
    late = seconds - start > length + _LATE
    before, after = seconds - start < -_TOLERANCE, seconds - start > length + _TOLERANCE
    outside = before | after
    if not outside.any():
        if late.any():
            row = known[late].iloc[0]
            report.warn(
                "moment-after-end",
                f"{path}, line {row['line']}",
                f"{row['video']} at {row['moment'] / 1e6:g} s lies up to {_TOLERANCE:g} s after the end of its video "
                f"({int(late.sum())} rows, videos {some(list(known[late]['video'].unique()))})",
                "is the end cut off? training shows the last frame instead",
            )
        return
    row = known[outside].iloc[0]
    where, name = f"{path}, line {row['line']}", row["video"]
    span = f"{starts[name]:g} to {starts[name] + videos[name].seconds:g} s"
    what = f"{int(outside.sum())} rows lie outside of their video, e.g. {name} at {row['moment'] / 1e6:g} s ({span})"
    if outside.mean() > 0.8:
        begin = _fitting_start(seconds, length)
        if begin is not None:
            report.error(
                "start-offset",
                "data.start",
                f"{what}; with data.start={begin:g} all would fit",
                f"set data.start={begin:g}",
            )
            return
        if np.median(seconds) > 50 * np.median(length):
            report.error("time-unit", where, f"{what}; are these frame numbers or milliseconds?", "expected seconds")
            return
    culprits = known[outside]["video"].unique()
    report.error(
        "moment-beyond-video",
        where,
        f"{what} (videos {some(list(culprits))})",
        "the video is truncated, cut with a wrong rate, or the times (or data.start) are wrong",
    )


def _fitting_start(seconds: FloatArray, length: FloatArray) -> float | None:
    for begin in (0.0, 900.0, float(np.floor(seconds.min()))):
        if ((seconds - begin >= -_TOLERANCE) & (seconds - begin <= length + _TOLERANCE)).all():
            return begin
    return None


def check_leaks(
    splits: Mapping[str, Collection[str]], paths: Mapping[str, str], videos: Mapping[str, VideoFacts], report: Report
) -> None:
    """No video may be in both splits, neither by name nor as a copy, nor as one that was coded again."""
    if set(splits) != {"train", "val"}:
        return
    names = {split: set(found) for split, found in splits.items()}
    both = sorted(names["train"] & names["val"])
    if both:
        report.error(
            "leak-same-name",
            paths["val"],
            f"videos are in train and val: {some(both)}",
            "split by video: the mAP of a video that trained says nothing",
        )
    for group in same_content(videos):
        train, val = [n for n in group if n in names["train"]], [n for n in group if n in names["val"]]
        if train and val and set(train) != set(val):
            report.error(
                "leak-same-content",
                paths["val"],
                f"'{val[0]}' (val) is a copy of '{train[0]}' (train)",
                "keep one of them",
            )
        elif len(group) > 1:
            report.warn("video-twice", paths["train"], f"{some(group)} are the same file", "keep one of them")
    check_alike(names["train"], names["val"], paths["val"], videos, report)

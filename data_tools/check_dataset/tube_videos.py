"""Tubes name frames by their numbers: each video must be the very one that was annotated, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.videos import VideoFacts
from evaluation.errors import some
from evaluation.tube_dataset import TubeTruth

# A copy of other size has the same shape but for rounding to whole (even) pixels.
_SAME_SHAPE = 0.02


def check_tube_videos(
    path: str, truth: TubeTruth, table: pd.DataFrame, videos: Mapping[str, VideoFacts], report: Report
) -> None:
    """Hold frame counts, last frames and sizes of the truth against the files."""
    sound = {name: videos[name] for name in truth.test_videos if name in videos and videos[name].fault is None}
    last = table.groupby("video")["moment"].max().to_dict()
    over = [name for name in truth.test_videos if last.get(name, 0) > truth.frame_counts[name]]
    if over:
        name = over[0]
        report.error(
            "tube-beyond-count",
            f"{path}, '{name}'",
            f"a tube reaches frame {last[name]}, but nframes is {truth.frame_counts[name]} ({len(over)} videos)",
            "correct nframes or the tube; frames count from 1",
        )
    short = [name for name, facts in sound.items() if last.get(name, 0) > facts.frames]
    if short:
        name = short[0]
        report.error(
            "moment-beyond-video",
            f"{path}, '{name}'",
            f"a tube reaches frame {last[name]}, but the file has {sound[name].frames} ({len(short)} videos)",
            "the file is cut off, or was coded again at another rate",
        )
    if any(size != (1, 1) for size in truth.sizes.values()):  # a CSV names neither counts nor sizes
        _check_counts(path, truth, sound, short, report)
        _check_sizes(path, truth, sound, report)


def _check_counts(
    path: str, truth: TubeTruth, sound: Mapping[str, VideoFacts], known: list[str], report: Report
) -> None:
    ratios = {name: facts.frames / truth.frame_counts[name] for name, facts in sound.items()}
    differing = [
        name for name, facts in sound.items() if abs(facts.frames - truth.frame_counts[name]) > 1 and name not in known
    ]
    if differing:
        name = differing[0]
        typical = float(np.median([ratios[other] for other in differing]))
        report.error(
            "frame-count",
            f"{path}, '{name}'",
            f"nframes is {truth.frame_counts[name]}, but the file has {sound[name].frames} ({len(differing)} videos: "
            f"{some(differing)}; typically {typical:.2f} times as many)",
            "was it coded again at another rate? frame numbers then mean other pictures",
        )


def _check_sizes(path: str, truth: TubeTruth, sound: Mapping[str, VideoFacts], report: Report) -> None:
    differing = []
    for name, facts in sound.items():
        height, width = truth.sizes[name]
        if abs((width / facts.width) / (height / facts.height) - 1) > _SAME_SHAPE:
            differing.append(name)
    if differing:
        name = differing[0]
        (height, width), facts = truth.sizes[name], sound[name]
        swapped = " (is it written as width, height?)" if (height, width) == (facts.width, facts.height) else ""
        report.error(
            "size-differs",
            f"{path}, '{name}'",
            f"resolution is {height} x {width} (height, width), but the file's pictures are {facts.height} x "
            f"{facts.width}{swapped} ({len(differing)} videos)",
            "boxes are in pixels of the resolution; give that of the video",
        )

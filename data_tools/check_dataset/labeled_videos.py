"""Everything that a recognition run would read, read and compared without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.config import RecognitionConfig
from actiondet.config.recognition import VideoClipConfig
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.key_frames import check_leaks
from data_tools.check_dataset.names import check_names
from data_tools.check_dataset.settings import check_settings
from data_tools.check_dataset.video_lists import (
    check_entries,
    check_folders,
    check_numbers,
    check_recordings,
    count_labels,
    read_splits,
)
from data_tools.check_dataset.videos import VideoFacts, look_at_videos, readable


def check_recognition(
    config: RecognitionConfig, *, processes: int, look: int | None
) -> tuple[Report, dict[str, pd.DataFrame], dict[str, Path]]:
    """Check a set of videos that show one action each.

    Args:
        config, processes, look: as of `check_detection`.

    Returns:
        What was found; the lists of both splits; where the readable videos lie.

    """
    data = config.data
    report = Report()
    tables, classes, source = read_splits(data, report)
    num_classes = config.model.num_classes
    check_settings(config, classes or (), report)
    check_names(source, dict(enumerate(classes or ())), report)
    check_numbers(tables, classes, source, num_classes, report)
    check_folders(tables, classes, report)
    check_recordings(tables, report)
    for split, table in tables.items():
        check_entries(split, table, report)
        report.facts.append((split, "videos", str(len(table))))
    count_labels(tables, classes, num_classes, report)
    names = sorted({name for table in tables.values() for name in table["video"]})
    # Clips of mmaction2 and uniform count the file's own frames, but sets of mixed rates are usual: a warning will do.
    stride = config.clip.stride if config.clip.sampling == "pyslowfast" else None
    looked = look_at_videos(
        data, names, report, clip_fps=config.clip.target_fps, stride=stride, processes=processes, look=look
    )
    if looked is None:
        return report, tables, {}
    for split, table in tables.items():
        _check_frames(split, table, looked, config.clip, report)
    sources = {split: str(table["source"].iloc[0]) for split, table in tables.items()}
    check_leaks({split: set(table["video"]) for split, table in tables.items()}, sources, looked, report)
    return report, tables, readable(looked)


def _check_frames(
    split: str, table: pd.DataFrame, looked: dict[str, VideoFacts], clip: VideoClipConfig, report: Report
) -> None:
    """Hold the number of frames against what the list promises, and what a clip wants."""
    counts = {name: facts.frames for name, facts in looked.items() if facts.fault is None}
    known = table[table["video"].isin(list(counts))]
    if len(known) == 0:
        return
    actual = known["video"].map(counts).to_numpy(dtype=np.float64)
    promised = known["frames"].to_numpy(dtype=np.float64)
    fewer = promised > actual + 1
    if fewer.any():
        row = known[fewer].iloc[0]
        report.error(
            "fewer-frames",
            f"{row['source']}, line {row['line']}",
            f"promises {row['frames']:g} frames of '{row['video']}', which has {counts[row['video']]} "
            f"({int(fewer.sum())} videos)",
            "extract or cut again, or count again",
        )
    if clip.sampling == "uniform":
        return
    short = actual < clip.frames * clip.stride
    if short.mean() > 0.5:
        report.warn(
            "shorter-than-clip",
            str(table["source"].iloc[0]),
            f"{short.mean():.0%} of the videos of {split} are shorter than a clip of {clip.frames} x {clip.stride} "
            f"frames (median {np.median(actual):g})",
            "lower clip.stride, or set clip.sampling=uniform",
        )

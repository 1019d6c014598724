"""What the contact sheet of each kind of data set shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.schema import AvaConfig, FrameFolderConfig
from actiondet.datasets.key_frames import start_us
from data_tools.check_dataset.contact_sheet import (
    ChooseFrame,
    moment_tiles,
    nearest_to,
    video_tiles,
    write_contact_sheet,
)
from data_tools.check_dataset.findings import Report


def write_sheet(
    path: Path,
    config: DetectionConfig | RecognitionConfig,
    tables: Mapping[str, pd.DataFrame],
    videos: Mapping[str, Path],
    report: Report,
    *,
    tiles: int,
    font: str | None = None,
) -> None:
    """Draw what a checked data set holds, and note it in the report.

    Args:
        path: the PNG file.
        config: the run that would read the set.
        tables: boxes or labeled videos of each split, as the checks return them.
        videos: files or folders of the videos that can be read.
        report: of the checks; it has the names of the labels.
        tiles: at most so many pictures.
        font: TrueType file for names that are not written in Latin letters.
    """
    names = dict(zip(report.classes.get("id", ()), report.classes.get("name", ()), strict=True))
    data = config.data
    pictures: FrameFolderConfig | None = None
    if isinstance(config, RecognitionConfig):
        pictures = config.data.pictures
        chosen = video_tiles(tables, videos, list(names.values()), tiles=tiles)
    elif isinstance(data, AvaConfig):
        pictures = data.pictures

        def at(video: str, moment: int) -> ChooseFrame:
            return nearest_to(moment - start_us(data, video))

        chosen = moment_tiles(tables, videos, names, tiles=tiles, frame_of=at, spoken=lambda us: f"{us / 1e6:g} s")
    else:
        chosen = moment_tiles(
            tables,
            videos,
            names,
            tiles=tiles,
            frame_of=lambda _, frame: _numbered(frame),
            spoken=lambda n: f"frame {n}",
        )
    drawn = write_contact_sheet(path, chosen, pictures, font=font)
    report.facts.append(("sheet", str(path), f"{drawn} of {len(chosen)} pictures"))


def _numbered(frame: int) -> ChooseFrame:
    return lambda times: min(frame - 1, len(times) - 1)

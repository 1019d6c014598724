"""What the pictures of each kind of data set show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.data_sets import AvaConfig, FrameFolderConfig
from actiondet.datasets.key_frames import SECOND_US, start_us
from data_tools.check_dataset.contact_sheet import (
    ChooseFrame,
    MarkedBox,
    Tile,
    middle_frame,
    moment_tiles,
    nearest_to,
    video_tiles,
)
from data_tools.check_dataset.findings import Report


class Pictures:
    """Which frames of a checked data set show what.

    Args:
        config: the run that would read the set.
        tables: boxes or labeled videos of each split, as the checks return them.
        videos: files or folders of the videos that can be read.
        report: of the checks; it has the names of the labels.

    Attributes:
        tables, videos: as given.
        name: of the data set's configuration.
        layout: how the pictures of a folder are named; None for video files.
    """

    def __init__(
        self,
        config: DetectionConfig | RecognitionConfig,
        tables: Mapping[str, pd.DataFrame],
        videos: Mapping[str, Path],
        report: Report,
    ) -> None:
        self.tables, self.videos = tables, videos
        self.name: str = config.data.name
        self._data = config.data
        self._names = dict(zip(report.classes.get("id", ()), report.classes.get("name", ()), strict=True))
        self._labeled = isinstance(config, RecognitionConfig)
        self.layout: FrameFolderConfig | None = getattr(config.data, "pictures", None)

    def spread(self, tiles: int) -> list[Tile]:
        """Up to `tiles` of them, spread evenly over the splits."""
        if self._labeled:
            return video_tiles(self.tables, self.videos, list(self._names.values()), tiles=tiles)
        return moment_tiles(
            self.tables, self.videos, self._names, tiles=tiles, frame_of=self._frame_of, spoken=self._spoken
        )

    def at(self, video: str, seconds: float, boxes: Sequence[MarkedBox]) -> Tile:
        """The frame of a row of a file in AVA's form, with (4,) unit boxes and the names of what they are."""
        moment = round(seconds * SECOND_US)
        caption = f"{video} {self._spoken(moment)}"
        return Tile(self.videos[video], self._frame_of(video, moment), caption, tuple(boxes))

    def middle(self, video: str) -> Tile:
        """The middle frame of a video."""
        return Tile(self.videos[video], middle_frame, video)

    def _frame_of(self, video: str, moment: int) -> ChooseFrame:
        if isinstance(self._data, AvaConfig):
            return nearest_to(moment - start_us(self._data, video))
        return lambda times: min(moment - 1, len(times) - 1)

    def _spoken(self, moment: int) -> str:
        return f"{moment / SECOND_US:g} s" if isinstance(self._data, AvaConfig) else f"frame {moment}"

"""What the pictures of each kind of data set show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.data_sets import AvaConfig, FrameFolderConfig
from actiondet.datasets.key_frames import SECOND_US, start_us
from data_tools.check_dataset.contact_sheet import ChooseFrame, MarkedBox, Tile, middle_frame, nearest_to
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.rows import BOX


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
        of_split = self._labeled_videos if self._labeled else self._key_frames
        return [
            tile
            for split, table in self.tables.items()
            for tile in of_split(split, table[table["video"].isin(list(self.videos))], tiles // len(self.tables))
        ]

    def _key_frames(self, split: str, table: pd.DataFrame, most: int) -> Iterator[Tile]:
        """Key frames, with the boxes and labels of their persons."""
        groups: list[Any] = list(table.groupby(["video", "moment"], sort=True).indices.items())
        for number in _spread(len(groups), most):
            (video, moment), rows = groups[number]
            boxed = table.iloc[rows]
            boxes = tuple(
                (tuple(box), tuple(self._names.get(int(label), str(label)) for label in labels))
                for box, labels in boxed[boxed["label"] >= 0].groupby(BOX, sort=False)["label"]
            )
            caption = f"{split} {video} {self._spoken(int(moment))}"
            yield Tile(self.videos[video], self._frame_of(video, int(moment)), caption, boxes)

    def _labeled_videos(self, split: str, table: pd.DataFrame, most: int) -> Iterator[Tile]:
        """The middle frames of labeled videos, spread over their labels."""
        table = table.sort_values("label", kind="stable")
        for number in _spread(len(table), most):
            video, label = table["video"].iloc[number], int(table["label"].iloc[number])
            title = self._names.get(label, str(label))
            yield Tile(self.videos[video], middle_frame, f"{split} {video}", title=title)

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


def _spread(count: int, most: int) -> list[int]:
    if count == 0:
        return []
    return [int(number) for number in np.unique(np.linspace(0, count - 1, max(1, most)).astype(int))]

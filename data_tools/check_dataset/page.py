"""The page of a checked data set: findings with pictures, examples per action, sizes of boxes, key frames per film."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.datasets.thumbnails import jpeg_of
from data_tools.check_dataset.contact_sheet import Tile, draw_tile
from data_tools.check_dataset.findings import Finding, Report
from data_tools.check_dataset.rows import BOX
from data_tools.check_dataset.sheets import Pictures
from evaluation.errors import InputError
from evaluation.files import open_table
from evaluation.page import (
    Bars,
    Beside,
    Figure,
    Figures,
    Gallery,
    Histogram,
    Page,
    Part,
    Picture,
    Section,
    Series,
    Table,
    Text,
    jpeg_address,
    write_page,
)
from evaluation.row_values import LARGEST_TIME

_LINE = re.compile(r"(.+), line (\d+)")
_WORDS = re.compile(r"[\s'\",;:()]+")
_BINS = 20


def write_dataset_page(
    path: Path,
    pictures: Pictures,
    report: Report,
    *,
    tiles: int,
    font: str | None = None,
) -> None:
    """Write the page of a checked data set.

    Args:
        path: the HTML file.
        pictures: of the set.
        report: of the checks.
        tiles: at most so many pictures of the set.
        font: TrueType file for names that are not written in Latin letters.
    """
    draw = _Drawn(pictures, font)
    errors = sum(finding.severity == "error" for finding in report.findings)
    counts = [
        Figure("errors", str(errors), "training would fail, or the mAP would be wrong"),
        Figure("warnings", str(len(report.findings) - errors), "worth a look"),
    ]
    sections = [
        Section("", [Figures(counts)]),
        Section("Findings", _findings(report, draw)),
        *_actions(report),
        *_boxes(pictures.tables),
        *_films(pictures.tables),
        Section("What was read", [Table(["split", "what", "value"], report.facts)] if report.facts else []),
        Section("A look at the set", [Gallery(draw.of_set(tiles))], "Key frames spread evenly over the splits."),
    ]
    write_page(path, Page(f"Data set {pictures.name}", [each for each in sections if each.parts], "check-dataset"))


class _Drawn:
    """Draws pictures of the set; a video that cannot be read gives none."""

    def __init__(self, pictures: Pictures, font: str | None) -> None:
        self._pictures, self._font = pictures, font

    def address(self, tile: Tile) -> str:
        """The picture itself, as an address; empty for none."""
        with suppress(InputError):  # the checks have reported it, if it matters
            return jpeg_address(jpeg_of(draw_tile(tile, self._pictures.layout, self._font)))
        return ""

    def of_set(self, tiles: int) -> list[Picture]:
        """Pictures spread evenly over the splits."""
        found = []
        for tile in self._pictures.spread(tiles):
            split, _, place = tile.caption.partition(" ")
            labels = [name for _, names in tile.boxes for name in names] or [tile.title]
            if image := self.address(tile):
                found.append(Picture(image, place, [", ".join(dict.fromkeys(labels))], split, tile.caption))
        return found

    def of_finding(self, finding: Finding) -> Picture:
        """A picture of what a finding names: the row of a file, or a video; without one where it names neither."""
        tile = self._tile(finding)
        return Picture(
            "" if tile is None else self.address(tile),
            f"{finding.severity}: {finding.code}",
            [finding.where, finding.message, f"→ {finding.remedy}"],
            finding.severity,
            finding.code if tile is None else f"{finding.code}: {tile.caption}",
        )

    def _tile(self, finding: Finding) -> Tile | None:
        if (place := _LINE.fullmatch(finding.where)) and (row := _row(Path(place[1]), int(place[2]))):
            with suppress(ValueError):
                time = float(row[1])
                box = tuple(float(side) for side in row[2:6])
                whole = len(box) == 4 and all(abs(side) <= 2 for side in box)
                if row[0] in self._pictures.videos and abs(time) <= LARGEST_TIME:
                    return self._pictures.at(row[0], time, [(box, (finding.code,))] if whole else [])
        for word in _WORDS.split(f"{finding.where} {finding.message}"):
            if word in self._pictures.videos:
                return self._pictures.middle(word)
        return None


def _row(path: Path, line: int) -> list[str] | None:
    """The fields of a line of a table, from 1."""
    try:
        with open_table(path) as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if number == line:
                    return row if len(row) > 1 else None
    except (OSError, ValueError, csv.Error):
        pass
    return None


def _findings(report: Report, draw: _Drawn) -> list[Part]:
    if not report.findings:
        return [Text(["Nothing was found."])]
    found = sorted(report.findings, key=lambda finding: finding.severity != "error")
    return [Gallery([draw.of_finding(finding) for finding in found])]


def _actions(report: Report) -> list[Section]:
    classes = report.classes
    if len(classes) == 0:
        return []
    splits = [split for split in ("train", "val") if split in classes]
    series = [Series(classes[split].tolist(), split) for split in splits]
    names = [str(name) for name in classes["name"]]
    note = "Rows of each action; an action without examples in train cannot be learned."
    return [Section("Examples of each action", [Bars(names, series, digits=0)], note)]


def _boxes(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    parts: list[Part] = []
    for split, table in tables.items():
        if not {*BOX} <= {*table}:
            continue  # labeled videos have no boxes
        boxes = table.loc[table["label"] >= 0, BOX].drop_duplicates().to_numpy(dtype=np.float64)
        heights = np.clip(boxes[:, 3] - boxes[:, 1], 0, 1)
        counts, edges = np.histogram(heights, bins=_BINS, range=(0, 1))
        parts.append(Histogram(edges, counts, "height of the box, as a share of the frame", "boxes", title=split))
    return [Section("Sizes of boxes", [Beside(parts)])] if parts else []


def _films(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    rows: list[list[str | float | int | None]] = []
    parts: list[Part] = []
    for split, table in tables.items():
        if "moment" not in table:
            continue
        frames = table.drop_duplicates(["video", "moment"]).groupby("video").size()
        boxes = table[table["label"] >= 0].groupby("video").size()
        rows += [[split, str(video), int(count), int(boxes.get(video, 0))] for video, count in frames.items()]
        counts, edges = np.histogram(frames.to_numpy(), bins=_BINS)
        parts.append(Histogram(edges, counts, "key frames of a film", "films", title=split))
    if not rows:
        return []
    films = Table(["split", "film", "key frames", "rows"], rows)
    return [Section("Key frames of each film", [Beside(parts), films])]

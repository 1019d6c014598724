"""Kinetics-400/600/700: the official table, the clips, and the lists that configs/kinetics400 reads."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_tools.preparing.cut import Cut
from data_tools.preparing.sources import find_by_stem
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.video_list import read_class_names

_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_SECOND_US = 1_000_000
# Clips end up to so much before the table says: the last seconds are rounded, films end early.
_SHORT_BY_US = 1_000_000


@dataclass(frozen=True)
class Row:
    """A clip of the official table.

    Attributes:
        label: name of its class.
        video: id of the whole video.
        start: second of the whole video at which it begins.
        end: second at which it ends.
        split: "train", "val" or "test".
    """

    label: str
    video: str
    start: int
    end: int
    split: str

    @property
    def clip(self) -> str:
        """Name of the clip, as everybody writes it."""
        return f"{self.video}_{self.start:06d}_{self.end:06d}"

    @property
    def path(self) -> str:
        """Where the clip lies below the folder of the data set."""
        return f"{self.split}/{re.sub('[ /]', '_', self.label)}/{self.clip}.mp4"


def read_table(path: Path) -> list[Row]:
    """Read `label,youtube_id,time_start,time_end,split` (with that heading, in any order; other columns are ignored).

    Rows without a label (older test tables) are left out.

    Raises:
        InputError: a missing column, or a row that is no clip, with its line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(
                f"{path}: has no column {', '.join(lacking)}; expected the official table with the heading "
                f"{','.join(_COLUMNS)}"
            )
        return [_row(record, f"{path}, line {reader.line_num}") for record in reader if record["label"]]


def _row(record: dict[str, str], where: str) -> Row:
    times = [record["time_start"] or "", record["time_end"] or ""]
    seconds = [int(float(text)) for text in times if re.fullmatch(r"\d+(\.0*)?", text)]
    split = _SPLITS.get((record["split"] or "").strip().lower())
    if len(seconds) < 2 or seconds[0] >= seconds[1] or split is None or not record["youtube_id"]:
        raise InputError(
            f"{where}: '{','.join(str(record[name]) for name in _COLUMNS)}' is no clip; expected "
            "label,id,start,end,split with whole seconds, start before end, and split train, validate or test"
        )
    return Row(record["label"].strip(), record["youtube_id"], seconds[0], seconds[1], split)


def plan_clips(rows: Sequence[Row], videos: Path, *, short_side: int | None, already_cut: bool) -> list[Cut]:
    """One job for each clip.

    A file `<id>_<start>_<end>` is the clip itself; a file `<id>` is the whole video, from which the clip is cut,
    unless `already_cut` says that it is the clip.
    """
    found = find_by_stem(videos, [name for row in rows for name in (row.clip, row.video)])
    return [_plan(row, found, short_side, already_cut) for row in rows]


def _plan(row: Row, found: dict[str, Path], short_side: int | None, already_cut: bool) -> Cut:
    if row.clip in found or (already_cut and row.video in found):
        return Cut(source=str(found.get(row.clip, found.get(row.video))), name=row.path, short_side=short_side)
    return Cut(
        source=str(found[row.video]) if row.video in found else None,
        name=row.path,
        start_us=row.start * _SECOND_US,
        end_us=row.end * _SECOND_US,
        shortest_us=max((row.end - row.start) * _SECOND_US - _SHORT_BY_US, 1),
        short_side=short_side,
    )


def choose_classes(rows: Sequence[Row], given: Path | None, existing: Path) -> tuple[str, ...]:
    """Names of the labels: of a given file, of the file that an earlier run left, or all in alphabetical order.

    Raises:
        InputError: the table has a class that the file lacks.
    """
    labels = sorted({row.label for row in rows})
    source = given or (existing if existing.is_file() else None)
    if source is None:
        return tuple(labels)
    names = read_class_names(source)
    strange = [label for label in labels if label not in names]
    if strange:
        remedy = "give the file of this data set" if given else "remove it, and give all tables at once"
        raise InputError(f"{source}: does not name the class '{strange[0]}' of the table; {remedy}")
    return names


def write_lists(folder: Path, rows: Sequence[Row], ready: frozenset[str], classes: Sequence[str]) -> list[Path]:
    """Write classes.txt and, for each split, a list of the clips that are there; return their paths."""
    labels = {name: label for label, name in enumerate(classes)}
    written = [_write(folder / "classes.txt", classes)]
    for split in ("train", "val", "test"):
        ours = [row for row in rows if row.split == split]
        if ours:
            lines = [f"{row.path} {labels[row.label]}" for row in ours if row.path in ready]
            written.append(_write(folder / f"{split}.txt", lines))
    return written


def _write(path: Path, lines: Sequence[str]) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path

"""The official tables of Kinetics-400, -600 and -700: which seconds of which videos show what."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import InputError
from evaluation.files import read_text

_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


@dataclass(frozen=True)
class KineticsClip:
    """A clip of the official table.

    Attributes:
        label: name of its class.
        video: id of the whole video.
        start: second of the whole video at which it begins.
        end: second at which it ends.
        split: "train", "val" or "test".
        line: its line in the table, from 1.
    """

    label: str
    video: str
    start: int
    end: int
    split: str
    line: int

    @property
    def name(self) -> str:
        """Name of the clip, as everybody writes it."""
        return f"{self.video}_{self.start:06d}_{self.end:06d}"

    @property
    def path(self) -> str:
        """Where the clip lies below the folder of the data set, as data_tools.prepare_kinetics puts it there."""
        return f"{self.split}/{re.sub('[ /]', '_', self.label)}/{self.name}.mp4"


def is_kinetics_table(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with the heading of the official tables."""
    with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return "youtube_id" in file.readline().strip().split(",")


def read_kinetics_table(path: str | os.PathLike[str]) -> list[KineticsClip]:
    """Read `label,youtube_id,time_start,time_end,split` (with that heading, in any order; other columns are ignored).

    Rows without a label (older test tables) are left out.

    Raises:
        InputError: a missing column, or a row that is not a clip, with its line. OSError: the file cannot be read.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)))
    lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if lacking:
        raise InputError(
            f"{path}: has no column {', '.join(lacking)}; expected the official table with the heading "
            f"{','.join(_COLUMNS)}"
        )
    try:
        return [_clip(record, os.fspath(path), reader.line_num) for record in reader if record["label"]]
    except csv.Error as fault:
        raise InputError(
            f"{path}, line {reader.line_num}: {fault}; expected rows {','.join(_COLUMNS)} (is a quotation mark left "
            "open before it?)"
        ) from None


def _clip(record: dict[str, str], path: str, line: int) -> KineticsClip:
    times = [record["time_start"] or "", record["time_end"] or ""]
    seconds = [int(float(text)) for text in times if re.fullmatch(r"\d+(\.0*)?", text)]
    split = _SPLITS.get((record["split"] or "").strip().lower())
    if len(seconds) < 2 or seconds[0] >= seconds[1] or split is None or not record["youtube_id"]:
        raise InputError(
            f"{path}, line {line}: '{','.join(str(record[name]) for name in _COLUMNS)}' is not a clip; expected "
            "label,id,start,end,split with whole seconds, start before end, and split train, validate or test"
        )
    return KineticsClip(record["label"].strip(), record["youtube_id"], seconds[0], seconds[1], split, line)

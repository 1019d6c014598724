"""AVA-style CSV files (no header, up to 8 columns) as columns, and the line of the first fault."""

from __future__ import annotations

import csv
import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.files import open_table
from evaluation.formats.csv_plain import read_plain
from evaluation.formats.csv_runs import CsvRuns, find_runs
from evaluation.name_column import NameColumn
from evaluation.records import FloatArray, IntArray
from evaluation.row_values import (
    LARGEST_ID,
    LARGEST_TIME,
    LARGEST_UNIT_COORDINATE,
    NOT_AN_ID,
    NOT_SECONDS,
    PIXELS,
    SIDES,
    bad_coordinates,
    moments_of,
)
from evaluation.video_names import composed

_NUMBERS = ["time", "x1", "y1", "x2", "y2", "label", "last"]
_NAMES = ["video", *_NUMBERS]

# Few enough rows that a chunk stays in the processor's caches, enough that the work per chunk does not show.
_CHUNK_ROWS = 200_000
_BLOCK_BYTES = 1 << 21
_PLAIN_BYTES = 1 << 24
"""So much of a file without runs is read sooner than pandas is imported; of more, pandas reads the rest faster."""
_LAYOUT: dict[str, Any] = {
    "header": None,
    "names": _NAMES,
    "index_col": False,
    # Not "category": pandas 3.1 makes numbers of categories that look like numbers, so that 0001 becomes 1.
    "dtype": {"video": "object", **dict.fromkeys(_NUMBERS, "float64")},
    "keep_default_na": False,  # a video may be called "NA"
    "na_values": {name: [""] for name in _NAMES},
    "low_memory": False,
}
"""How pandas reads such a file."""

RowCheck = Callable[[list[str]], str | None]


@dataclass(frozen=True, eq=False)
class CsvColumns:
    """The columns of an AVA-style file.

    Attributes:
        video: (N,) names, in composed Unicode, whatever form the file has.
        moment: (N,) microseconds.
        boxes: (N, 4) float64 unit boxes, column by column in memory; NaN in rows without a box.
        labels: (N,) int64, -1 where column 7 is missing.
        last: (N,) float64, NaN where column 8 is missing.
        empty: (N,) bool: rows of two columns, or with nothing in the others.
    """

    video: NameColumn
    moment: IntArray
    boxes: FloatArray
    labels: IntArray
    last: FloatArray
    empty: BoolArray


class _Chunk(NamedTuple):
    """The columns of some rows; `box` (4, N) holds x1, y1, x2, y2."""

    video: npt.NDArray[np.int32]
    moment: IntArray
    box: Any
    labels: IntArray
    last: FloatArray
    empty: BoolArray


class _FaultyRowsError(ValueError):
    """Some row of a chunk cannot be what it should be."""


def read_columns(path: str | os.PathLike[str], check: RowCheck) -> CsvColumns:
    """Read a file's columns; a file without rows gives columns without rows.

    Args:
        path: the file.
        check: says what is wrong with one row's fields, or None; used to find the line after a failure.

    Raises:
        InputError: naming file and line: rows with more than 8 columns, without video name, with a time that is
            no number, boxes that are incomplete, not finite or in pixels, labels that are not ids.
        OSError: no such file.
    """
    _keep_freed_memory()
    categories: dict[str, int] = {}
    columns = _GrowingColumns()
    try:
        with open_table(path) as file:
            place = _add_blocks(path, file, columns, categories)
            if place is not None:
                file.seek(place)
                _add_chunks(path, file, columns, categories)
    except InputError:
        raise
    except (ValueError, Warning) as fault:  # parser, decoding and conversion errors are ValueErrors
        raise first_fault(path, check, str(fault)) from None
    filled = columns.filled()
    return CsvColumns(
        video=NameColumn(filled.video, tuple(categories)),
        moment=filled.moment,
        boxes=filled.box.T,
        labels=filled.labels,
        last=filled.last,
        empty=filled.empty,
    )


def _add_blocks(
    path: str | os.PathLike[str], file: TextIO, columns: _GrowingColumns, categories: dict[str, int]
) -> int | None:
    """Read runs, or little that is plain; return the place of the first byte after, None at the file's end."""
    place, begun = 0, b""
    size = os.path.getsize(path)
    while True:
        read = file.buffer.read(_BLOCK_BYTES)
        text = begun + read
        if not text:
            return None
        stop = text.rfind(b"\n") + 1 if read else len(text)
        block = text[:stop] if read else text + b"\n"
        small = size - place <= _PLAIN_BYTES
        if not block or not _add_block(path, file, block, columns, categories, without_runs=small):
            return place
        place, begun = place + stop, text[stop:]


def _add_block(
    path: str | os.PathLike[str],
    file: TextIO,
    block: bytes,
    columns: _GrowingColumns,
    categories: dict[str, int],
    *,
    without_runs: bool,
) -> bool:
    """Read whole lines, runs of rows at a time or, if wanted, without runs; return whether that could be done."""
    runs = find_runs(block)
    if runs is not None:
        plain = read_plain(runs.heads)
        heads = None if plain is None else _checked(*plain, categories)
        # Where the head of a longer run lacks column 8, what looks like labels and scores is columns 6 and 7.
        if heads is not None and not np.isnan(heads.last[np.diff(runs.head, append=len(runs.labels)) > 1]).any():
            _fill(columns.room(len(runs.labels), _rows_expected(path, file, len(runs.labels))), runs, heads)
            return True
    plain = read_plain(block) if without_runs else None
    if plain is not None:
        rows = _checked(*plain, categories)
        columns.add(rows, _rows_expected(path, file, len(rows.moment)))
    return plain is not None


def _add_chunks(
    path: str | os.PathLike[str], file: TextIO, columns: _GrowingColumns, categories: dict[str, int]
) -> None:
    """Read the rest of a file, whatever its rows are like."""
    import pandas as pd  # most files do without it, and programs start in half the time

    # Scores and coordinates must be the very floats that Python's float() gives. From 3.1 on that is what pandas does
    # by itself, and asking for it is deprecated.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # all that pandas says of too many columns
        try:
            with pd.read_csv(file, chunksize=_CHUNK_ROWS, **_LAYOUT, **exact) as chunks:
                for chunk in chunks:
                    if chunk["video"].isna().any():
                        raise _FaultyRowsError("a row has no video name")
                    numbers = [chunk[name].to_numpy() for name in _NUMBERS]
                    part = _checked(chunk["video"].to_numpy(), numbers, categories)
                    columns.add(part, _rows_expected(path, file, len(chunk)))
        except pd.errors.EmptyDataError:
            pass


def _fill(room: _Chunk, runs: CsvRuns, heads: _Chunk) -> None:
    """Repeat what the heads of runs say, each beside its labels and scores."""
    rows = len(runs.labels)
    head = np.repeat(np.arange(len(runs.head)), np.diff(runs.head, append=rows))
    repeated = [(heads.video, room.video), (heads.moment, room.moment), (heads.empty, room.empty)]
    for of_heads, of_rows in (*repeated, *zip(heads.box, room.box, strict=True)):
        np.take(of_heads, head, out=of_rows, mode="clip")  # another mode would go through a buffer
    room.labels[...], room.last[...] = runs.labels, runs.scores
    room.labels[runs.head], room.last[runs.head] = heads.labels, heads.last


def _rows_expected(path: str | os.PathLike[str], file: TextIO, rows: int) -> int:
    """About how many rows a file has, of which the first `rows` have just been read."""
    place = file.buffer.tell()  # of a compressed file the place in what it holds, which is larger
    return int(1.05 * rows * os.path.getsize(path) / max(place, 1)) + 1


class _GrowingColumns:
    """Columns that are filled chunk by chunk, so that the memory of a chunk serves the next one."""

    def __init__(self) -> None:
        self._rows = 0
        self._columns = _empty_columns(0)

    def room(self, rows: int, expected: int) -> _Chunk:
        """Return so many more rows, to be filled; `expected` is the number of all rows, as far as it is known."""
        start, self._rows = self._rows, self._rows + rows
        if self._rows > len(self._columns.moment):
            larger = _empty_columns(max(self._rows, expected if start == 0 else 2 * start))
            for old, new in zip(self._part(0, start), larger, strict=True):
                new[..., :start] = old
            self._columns = larger
        return self._part(start, self._rows)

    def add(self, chunk: _Chunk, expected: int) -> None:
        """Append rows; `expected` is as in `room`."""
        for column, part in zip(self.room(len(chunk.moment), expected), chunk, strict=True):
            column[...] = part

    def filled(self) -> _Chunk:
        """The rows so far."""
        return self._part(0, self._rows)

    def _part(self, start: int, stop: int) -> _Chunk:
        return _Chunk._make(column[..., start:stop] for column in self._columns)


def _empty_columns(rows: int) -> _Chunk:
    """Room for so many rows; memory that is never written to is not taken."""
    return _Chunk(
        video=np.empty(rows, np.int32),
        moment=np.empty(rows, np.int64),
        box=np.empty((4, rows)),
        labels=np.empty(rows, np.int64),
        last=np.empty(rows),
        empty=np.empty(rows, np.bool_),
    )


def _keep_freed_memory() -> None:
    """Free one large block, so that the parser's buffers are reused from chunk to chunk.

    glibc hands freed memory back to the system, and the system clears every page that is asked for again: a
    third of the time of reading. Having seen a large block come and go (32 MiB are its limit), it keeps as much.
    """
    np.empty(31 << 20, dtype=np.uint8)


def _checked(names: npt.NDArray[np.object_], numbers: Sequence[FloatArray], categories: dict[str, int]) -> _Chunk:
    """Return the columns of some rows.

    Args:
        names: (N,) column 1.
        numbers: seven times (N,): columns 2 to 8.
        categories: maps names to codes and grows.
    """
    seconds, *box, labels, last = numbers
    if not (np.abs(seconds) <= LARGEST_TIME).all():
        raise _FaultyRowsError("a row has no time")
    empty = np.isnan(box[0])
    given = box
    if empty.any():
        empty &= np.all([np.isnan(column) for column in (*box[1:], labels, last)], axis=0)
        given = [column[~empty] for column in box]
    if any(map(bad_coordinates, given)):
        raise _FaultyRowsError("a box is incomplete or in pixels")
    absent = np.isnan(labels)
    known = np.where(absent, -1, labels) if absent.any() else labels
    if not (known.min(initial=0) >= -1 and known.max(initial=0) <= LARGEST_ID):
        raise _FaultyRowsError("a label is not an id")
    ids = known.astype(np.int64)
    if np.any(ids != known):
        raise _FaultyRowsError("a label is not an id")
    return _Chunk(_codes(names, categories), moments_of(seconds), box, ids, last, empty)


def _codes(names: npt.NDArray[np.object_], categories: dict[str, int]) -> npt.NDArray[np.int32]:
    """(N,) codes of names; rows of one video are neighbors, mostly."""
    heads = np.flatnonzero(np.concatenate([np.ones(min(len(names), 1), np.bool_), names[1:] != names[:-1]]))
    texts = names[heads].tolist()
    code_of = {text: categories.setdefault(composed(text), len(categories)) for text in dict.fromkeys(texts)}
    codes = np.fromiter(map(code_of.__getitem__, texts), np.int32, len(texts))
    return np.repeat(codes, np.diff(heads, append=len(names)))


def first_fault(path: str | os.PathLike[str], check: RowCheck, otherwise: str) -> InputError:
    """Return the error for the first line of `path` to which `check` objects.

    Args:
        path: the file.
        check: as in `read_columns`.
        otherwise: what to say if no line is at fault.
    """
    try:
        with open_table(path) as file:
            reader = csv.reader(file)
            for row in reader:
                if row and (complaint := check(row)):
                    return InputError(f"{path}, line {reader.line_num}: {complaint}{_separator_hint(row)}")
    except csv.Error as fault:
        return InputError(f"{path}, line {reader.line_num}: {fault}; expected comma-separated rows")
    except UnicodeDecodeError:
        return InputError(f"{path}: not a text file; expected comma-separated rows")
    return InputError(f"{path}: {otherwise}")


def _separator_hint(row: list[str]) -> str:
    if len(row) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs"), (" ", "spaces"), ("|", "bars")):
            if row[0].count(separator) >= 1:
                return f" (this file seems to be separated by {name}: replace them by commas)"
    return ""


def check_key(row: list[str]) -> str | None:
    """Say what is wrong with the first two fields of a row."""
    if row[0] == "":
        return "no video name in column 1"
    if not is_time(row[1]):
        word = row[1].strip().isidentifier() and row[1].strip().lower() not in ("nan", "inf", "infinity")
        header = " (a header line? AVA files have none: delete it)" if word else ""
        shown = row[1] if len(row[1]) <= 40 else f"{row[1][:40]}..."
        return f'time "{shown}" in column 2 {NOT_SECONDS}{header}'
    return None


def check_box_and_label(row: list[str]) -> str | None:
    """Say what is wrong with fields 3 to 7 of a row."""
    for column, name in zip(range(2, 6), SIDES, strict=True):
        text = row[column]
        if not is_finite(text):
            return f'{name} "{text}" in column {column + 1} is not a number'
        if abs(float(text)) > LARGEST_UNIT_COORDINATE:
            return f"{name} = {text} in column {column + 1} {PIXELS}"
    if not re.fullmatch(r"\s*\+?[0-9]+(\.0*)?\s*", row[6]) or float(row[6]) > LARGEST_ID:
        shown = row[6] if len(row[6]) <= 40 else f"{row[6][:40]}..."
        return f'label "{shown}" in column 7 {NOT_AN_ID}'
    return None


def is_finite(text: str) -> bool:
    """Whether `text` is a number in ASCII digits that is neither infinite nor NaN."""
    if not text.isascii() or "_" in text:  # float() takes 1_0 and Arabic digits; other readers of the file do not
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_time(text: str) -> bool:
    """Whether `text` is a number of seconds that a moment can hold."""
    return is_finite(text) and abs(float(text)) <= LARGEST_TIME


def times_of(moments: IntArray) -> list[str]:
    """Return how AVA writes moments (microseconds): "0902" for whole seconds, otherwise up to six decimals."""
    unique, inverse = np.unique(moments, return_inverse=True)
    texts = [time_of(int(moment)) for moment in unique]
    return [texts[index] for index in inverse]


def time_of(moment: int) -> str:
    """Return how AVA writes one moment (microseconds)."""
    seconds, rest = divmod(abs(moment), 1_000_000)
    return "-" * (moment < 0) + f"{seconds:04d}" + (f".{rest:06d}".rstrip("0") if rest else "")

"""Tables, JSON and files of results: what every result needs to show and write itself."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.files import write_text


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Collection[str] = ()) -> str:
    """Return an aligned table; it is as wide as its content needs, whatever the terminal.

    Args:
        columns: headings.
        rows: cells; a float is shown with four decimals, None and NaN as "-".
        numeric: columns to align on the right.
    """
    lines = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    aligned = [
        (_GAP * " ").join(
            (_width_fill(cell, width) + cell) if column in numeric else cell + _width_fill(cell, width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        for line in lines
    ]
    aligned.insert(1, "─" * (sum(widths) + _GAP * (len(widths) - 1)))
    return "\n".join(line.rstrip() for line in aligned)


_GAP = 3
"""Columns of the terminal between two columns of a table."""


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese letters two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _width_fill(text: str, width: int) -> str:
    return " " * (width - _width(text))


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def notes_text(notes: Sequence[str]) -> list[str]:
    """The lines of a report that hold its notes; none without notes."""
    return ["", *(f"note: {note}" for note in notes)] if notes else []


def plain(value: Any) -> Any:
    """A value as JSON takes it; NaN is null. An array or sequence becomes a list, keys stay."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (np.ndarray, list, tuple)):
        return [plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def records(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table given by its columns, as JSON takes them."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*map(plain, columns.values()), strict=True)]


def write_json(path: str | os.PathLike[str], content: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Write `content`, made `plain` and indented, whole or not at all."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")

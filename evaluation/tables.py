"""Tables, JSON and files of results: what every result needs to show and write itself. rich is loaded on use."""

from __future__ import annotations

import io
import json
import math
import os
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
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    text = io.StringIO()
    # A file, not a terminal: no colours, and lines are never cut.
    Console(file=text, width=500, color_system=None, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


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

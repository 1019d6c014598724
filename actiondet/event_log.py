"""Events as a log for other programs: .jsonl or .csv, a line for each, written when it happens."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TextIO

from actiondet.tubes.events import Event
from evaluation.arguments import STANDARD_OUTPUT, standard_output
from evaluation.errors import InputError

COLUMNS = (
    *("source", "person", "action", "start", "end", "peak", "mean", "peak_at", "x1", "y1", "x2", "y2"),
    "state",
)
"""Of a CSV file; `start`, `end` and `peak_at` are seconds, the box is in fractions of the picture. `state` is "end", or
"begin" for an event that goes on, whose `end` is empty. JSON lines have the same names and the box as a list."""


class EventLog:
    """A file, or the standard output, to which events are appended; every line is flushed.

    It exists from the start, so that programs can follow it; this is the one file that is not written beside its
    target first.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        """Create the log.

        Args:
            target: a name that ends in .jsonl or .csv, or "-" for JSON lines on the standard output.

        Raises:
            InputError: another name, or a file that cannot be created.
        """
        name = os.fspath(target)
        suffix = Path(name).suffix.lower()
        if name != STANDARD_OUTPUT and suffix not in (".jsonl", ".csv"):
            raise InputError(f"events {name}: expected a name that ends in .jsonl or .csv, or - for standard output")
        self._owned = name != STANDARD_OUTPUT
        self._file: TextIO = standard_output()
        try:
            if self._owned:
                self._file = Path(name).open("w", newline="", encoding="utf-8")  # noqa: SIM115
        except OSError as fault:
            raise InputError(f"events {name}: cannot be created ({fault.strerror}); give another name") from None
        self._table = csv.writer(self._file, lineterminator="\n") if suffix == ".csv" else None
        if self._table is not None:
            self._table.writerow(COLUMNS)
            self._file.flush()

    def write(self, event: Event) -> None:
        """Append an event."""
        state = "begin" if event.end is None else "end"
        figures = [round(figure, 4) for figure in (event.peak, event.mean)]
        box = [round(side, 5) for side in event.box]
        start, peak_at = round(event.start, 3), round(event.peak_at, 3)
        end = None if event.end is None else round(event.end, 3)
        row = (event.video, event.person, event.action, start, end, *figures, peak_at, *box, state)
        if self._table is not None:
            self._table.writerow(row)
        else:
            values = dict(zip(COLUMNS, row, strict=True))
            entry = {key: value for key, value in values.items() if key not in ("x1", "y1", "x2", "y2")} | {"box": box}
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            self._file.close()

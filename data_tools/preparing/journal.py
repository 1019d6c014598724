"""prepared.csv: what became of every output of a prepared data set; how a run knows what an earlier one finished."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from data_tools.preparing.jobs import Done, Outcome
from evaluation.files import atomic_path

NAME = "prepared.csv"
_HEADING = ["name", "state", "frames", "order", "reason"]


class Journal:
    """The file, and what it said when it was opened; rows are added as jobs end.

    A run that is killed leaves its last row torn at worst: rows without all their columns are passed over, and
    their outputs are made again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._rows = _read(self.path)
        self._file: TextIO | None = None

    @property
    def done(self) -> Mapping[str, Done]:
        """The outputs that were ready, by name."""
        return {name: Done(row[3], int(row[2])) for name, row in self._rows.items() if row[1] == "ready"}

    def begin(self) -> None:
        """Start to add rows, below the whole ones of earlier runs."""
        self._write(self._rows.values())
        self._file = self.path.open("a", newline="", encoding="utf-8")

    def add(self, outcome: Outcome) -> None:
        """Note one outcome, on disk at once."""
        row = [outcome.name, "ready" if outcome.ready else outcome.state, str(outcome.frames)]
        row += [outcome.order, outcome.reason.replace("\n", " ")]
        self._rows[outcome.name] = row
        if self._file is not None:
            csv.writer(self._file, lineterminator="\n").writerow(row)
            self._file.flush()

    def finish(self) -> None:
        """Rewrite the file, one row an output, by name: it does not say how often the run was interrupted."""
        self.close()
        self._write(row for _, row in sorted(self._rows.items()))

    def close(self) -> None:
        """Stop adding rows."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # a full disk was reported when the row was added
                file.close()

    def forget(self, name: str) -> None:
        """Drop the row of an output that was removed."""
        self._rows.pop(name, None)

    def _write(self, rows: Iterable[list[str]]) -> None:
        with atomic_path(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([_HEADING, *rows])


def _read(path: Path) -> dict[str, list[str]]:
    """The whole rows, by name; a later row of a name replaces the earlier one."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = (line.replace("\0", "") for line in file)  # what a power cut leaves
        rows = [row for row in csv.reader(lines) if len(row) == len(_HEADING) and row[2].isdigit()]
    return {row[0]: row for row in rows}

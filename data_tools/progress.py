"""How far a program is: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_EVERY_SECONDS = 30


class Progress:
    """Counts jobs on standard error; a context manager."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done, self._failed = title, total, 0, 0
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, *, failed: bool = False) -> None:
        """Count one more job, done or failed."""
        self._done += 1
        self._failed += failed
        note = f"  {self._failed} not done" if self._failed else ""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, description=f"{self._title}{note}")
        elif now - self._told > _EVERY_SECONDS:
            self._told = now
            left = (now - self._began) / self._done * (self._total - self._done)
            print(f"{self._title}  {self._done}/{self._total}{note}  about {left:.0f} s left", file=sys.stderr)

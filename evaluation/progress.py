"""How far a program is: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, TypeVar

from evaluation.messages import messages_shown

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")
_EVERY_SECONDS = 30


class ProgressBar:
    """Counts what is done, with an estimate of the time that is left; a context manager.

    Args:
        title: of the bar.
        total: how many there are.
        done: how many were done before.
        shown: False shows nothing, as in all processes but the first.
        stream: where to; None is standard output.
    """

    def __init__(
        self, title: str, total: int, *, done: int = 0, shown: bool = True, stream: TextIO | None = None
    ) -> None:
        shown = shown and messages_shown()
        self._title, self._total, self._done, self._start, self._shown = title, total, done, done, shown
        self._stream = stream or sys.stdout
        self._began = self._written = time.monotonic()
        self._bar: Progress | None = None
        if shown and self._stream.isatty() and not os.environ.get("CI"):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(file=self._stream), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(title, total=total, completed=done)

    def advance(self, note: str = "", *, by: int = 1) -> None:
        """Count one more, or `by`; `note` (such as the loss) is shown beside the title."""
        self._done += by
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, advance=by, description=f"{self._title}  {note}")
        elif self._shown and now - self._written > _EVERY_SECONDS:
            self._written = now
            left = (now - self._began) / (self._done - self._start) * (self._total - self._done)
            line = f"{self._title}  {self._done}/{self._total}  {note}  about {left:.0f} s left"
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Count `items` as they pass."""
        with self:
            for item in items:
                yield item
                self.advance()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""What programs say while they run, through `logging`: messages on standard output, warnings on standard error."""

from __future__ import annotations

import logging
import sys

LEVELS = ("debug", "info", "warning", "error")
LOG = logging.getLogger("actiondet")
"""The logger of all programs; shows its messages unless a program was asked to be quiet."""


class _Console(logging.Handler):
    """Writes to what standard output or standard error is at the time of a message."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        stream.write(self.format(record) + "\n")
        stream.flush()

    def format(self, record: logging.LogRecord) -> str:
        plain = record.levelno == logging.INFO
        return record.getMessage() if plain else f"{record.levelname.lower()}: {record.getMessage()}"


def set_level(level: str = "info") -> None:
    """Show messages from `level` on, one of LEVELS."""
    LOG.setLevel(level.upper())


def messages_shown() -> bool:
    """Whether messages and progress are shown."""
    return LOG.isEnabledFor(logging.INFO)


if not LOG.handlers:
    LOG.addHandler(_Console())
    LOG.propagate = False
    set_level()

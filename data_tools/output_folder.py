"""The folder that a program fills: it can be written to, belongs to one run, and holds nothing unfinished."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_tools.disk import remove
from evaluation.errors import InputError

# As evaluation.files.atomic_path names what is not finished.
_UNFINISHED = re.compile(r"\..+\.\d+\.part(\..+)?")
_PROBE = 1 << 12
"""Bytes written to see whether a folder can be written to: a name may fit on a full disk, its content not."""


def check_writable(folder: Path) -> None:
    """Make the folder if it is missing.

    Raises:
        InputError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
    except OSError as fault:
        remedy = "make room" if fault.errno == errno.ENOSPC else "name a folder of your own"
        raise InputError(f"--out {folder}: cannot write there ({fault.strerror}); {remedy}") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder for this run; a second run would clear away what the first is writing.

    Raises:
        InputError: another run holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(f"--out {folder}: another run is writing to this folder; wait for its end") from None
    except OSError:
        pass  # a network file system that cannot lock folders
    try:
        yield
    finally:
        os.close(handle)


def clear_unfinished(folders: Iterable[Path]) -> None:
    """Remove what processes that were killed left in these folders under temporary names."""
    for folder in folders:
        if folder.is_dir():
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if _UNFINISHED.fullmatch(entry.name)]
            for name in names:
                remove(folder / name)

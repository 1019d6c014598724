"""Linking and removing what lies on a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_or_copy(source: str, target: Path) -> None:
    """Make the file available as `target`, without a copy where the disk allows."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens if there is nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

"""Finding the source videos of a data set in a folder, however it is nested."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from actiondet.datasets.sources import videos_below
from actiondet.video.names import VIDEO_SUFFIXES
from evaluation.errors import InputError


def find_by_stem(folder: Path, stems: Iterable[str], *, without: Path | None = None) -> dict[str, Path]:
    """Find video files by their names without suffix, in the folder and everything below it.

    Args:
        folder: where to look.
        stems: the names.
        without: a folder that holds outputs, which are not sources.

    Returns:
        {stem: file}; those that are not there are absent.

    Raises:
        InputError: no such folder, no video in it, or two files for one of `stems`.
    """
    wanted = set(stems)
    found: dict[str, Path] = {}
    for path in videos_below(folder, without=without):
        if path.stem in wanted:
            if path.stem in found and not is_same(found[path.stem], path):
                raise InputError(f"{found[path.stem]} and {path} have the same name; expected one, remove the other")
            found.setdefault(path.stem, path)
    return found


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths name one place, there already or not."""
    return os.path.realpath(one) == os.path.realpath(other)


def suffix_there(target: Path) -> str:
    """Suffix of the video that lies under a name without suffix; ".mp4" if none does.

    An output that is a link to its source has the source's suffix, which is not known once the source is gone.
    """
    suffixes = (suffix for suffix in sorted(VIDEO_SUFFIXES) if Path(f"{target}{suffix}").is_file())
    return next(suffixes, ".mp4")

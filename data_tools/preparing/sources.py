"""Finding the source videos of a data set in a folder, however it is nested."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from actiondet.video.names import VIDEO_SUFFIXES, is_video
from evaluation.errors import InputError


def find_by_stem(folder: Path, stems: Iterable[str], *, without: Path | None = None) -> dict[str, Path]:
    """Find video files by their names without suffix, in the folder and everything below it.

    Args:
        folder: where to look.
        stems: the names.
        without: a folder that holds outputs, which are no sources.

    Returns:
        {stem: file}; those that are not there are absent.

    Raises:
        InputError: no such folder, no video in it, or two files for one of `stems`.
    """
    wanted = set(stems)
    found: dict[str, Path] = {}
    some = False
    for path in walk_videos(folder, without=without):
        some = True
        if path.stem in wanted:
            if path.stem in found and not is_same(found[path.stem], path):
                raise InputError(f"{found[path.stem]} and {path} have the same name; expected one, remove the other")
            found.setdefault(path.stem, path)
    if not some:
        raise InputError(f"{folder}: holds no video files; expected .mp4, .mkv, .avi, .webm or the like, at any depth")
    return found


def walk_videos(folder: Path, *, without: Path | None = None) -> Iterable[Path]:
    """All video files in a folder and below it, by path; no folder is entered twice by way of links.

    Hidden files are none, nor what lies in a folder `without`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: " + ("is not a folder" if folder.exists() else "no such folder of videos"))
    left = {os.path.realpath(without)} if without is not None else set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        left.add(os.path.realpath(parent))
        folders[:] = sorted(name for name in folders if os.path.realpath(Path(parent, name)) not in left)
        for name in sorted(names):
            if is_video(name):
                yield Path(parent, name)


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths name one place, there already or not."""
    return os.path.realpath(one) == os.path.realpath(other)


def suffix_there(target: Path) -> str:
    """Suffix of the video that lies under a name without suffix; ".mp4" if none does.

    An output that is a link to its source has the source's suffix, which is not known once the source is gone.
    """
    suffixes = (suffix for suffix in sorted(VIDEO_SUFFIXES) if Path(f"{target}{suffix}").is_file())
    return next(suffixes, ".mp4")

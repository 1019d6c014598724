"""What video files are called."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from evaluation.video_names import composed

VIDEO_SUFFIXES = {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
VIDEO_SUFFIXES |= {".ogv", ".ts", ".vob", ".webm", ".wmv"}


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video; hidden files, as macOS lays beside others, are none."""
    name = os.fspath(path).rstrip("/").rpartition("/")[2]
    return name[name.rfind(".") :].lower() in VIDEO_SUFFIXES and not name.startswith(".")


def without_suffix(name: str) -> str:
    """A video's name, and the folders before it, without a video file's suffix."""
    return name.rpartition(".")[0] if is_video(name) else name


def folder_below(folder: Path, name: str) -> Path:
    """The folder `name`, with slashes for those above it, below `folder`, in the Unicode form that it has there.

    Where there is none, the path is that of the name as it is.
    """
    place = folder
    for part in PurePath(name).parts:
        exact = place / part
        if not part.isascii() and not exact.is_dir() and place.is_dir():
            alike = (path for path in sorted(place.iterdir()) if composed(path.name) == composed(part))
            exact = next((path for path in alike if path.is_dir()), exact)
        place = exact
    return place

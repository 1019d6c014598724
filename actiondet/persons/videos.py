"""Which videos are searched for persons, and what each is called in the file of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actiondet.datasets.sources import videos_below
from actiondet.video.names import is_video
from evaluation.errors import InputError
from evaluation.video_names import composed

Form = Literal["ava", "pyslowfast", "multisports", "mmaction2"]
"""A dialect of box files: AVA's dense proposals, PySlowFast's CSV, MultiSports' pickle as its authors or as MMAction2
key it."""

FRAME_NUMBERED: frozenset[Form] = frozenset({"multisports", "mmaction2"})
"""The dialects whose keys hold frame numbers from 1 instead of seconds."""


@dataclass(frozen=True)
class SearchedVideo:
    """A video to search.

    Attributes:
        name: path below the folder of videos, without suffix, in composed Unicode; with slashes, if it lies in a
            subfolder.
        written: what the file of boxes calls it.
        path: the file.
    """

    name: str
    written: str
    path: Path


def choose_videos(source: Path, *, form: Form, root: Path | None = None) -> list[SearchedVideo]:
    """The videos that `source` stands for, by name.

    Args:
        source: a video, a folder (searched with its subfolders), or a text file with one path a line.
        form: the dialect of the file of boxes, which decides their names there.
        root: of a text file: the folder that its paths lie in, and below which they are names; None takes them as
            they are, and a video is known by its file's name alone.

    Raises:
        InputError: nothing there, or two videos of one name.
    """
    paths = _paths(source, root)
    below = source if source.is_dir() else root
    videos = [_named(path, below, form) for path in paths]
    taken: dict[str, Path] = {}
    for video in videos:
        if video.written in taken:
            remedy = "keep one of them" if source.is_dir() else "keep one of them, or give --root, the folder above"
            raise InputError(
                f"{video.path} and {taken[video.written]} would both be called '{video.written}'; {remedy}"
            )
        taken[video.written] = video.path
    return sorted(videos, key=lambda video: video.name)


def _paths(source: Path, root: Path | None) -> Sequence[Path]:
    if source.is_dir():
        return videos_below(source)
    if is_video(source) or not source.is_file():
        return [source]  # what is wrong with it is said when it is read
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{source}: neither a video by its name nor a text file with a path on each line") from None
    named = [line.strip() for line in lines if line.strip()]
    if not named:
        raise InputError(f"{source}: names no video; expected a path on each line")
    # A file that is named twice is searched once.
    return list(dict.fromkeys((root / line if root is not None else Path(line)) for line in named))


def _named(path: Path, below: Path | None, form: Form) -> SearchedVideo:
    inside = path.with_suffix("")
    name = inside.relative_to(below).as_posix() if below is not None and inside.is_relative_to(below) else inside.name
    name = composed(name)
    # MultiSports' authors leave the sport's folder out.
    written = {"multisports": composed(inside.name), "mmaction2": f"{name}.mp4"}.get(form, name)
    return SearchedVideo(name, written, path)

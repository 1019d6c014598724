"""What a finished search was, kept beside its result, so that repeating its command does nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actiondet.parts import file_stamp
from actiondet.persons.videos import SearchedVideo
from evaluation.errors import InputError, some
from evaluation.files import write_text


@dataclass(frozen=True)
class SearchReport:
    """What a search came to.

    Attributes:
        videos: how many were searched.
        moments: how many frames were looked at.
        persons: how many boxes were found.
        faults: the sentence that says why, for each video that could not be searched.
    """

    videos: int
    moments: int
    persons: int
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"found {self.persons} persons at {self.moments} key frames of {self.videos} videos"


def note_finished(
    out: Path, settings: Mapping[str, object], videos: Sequence[SearchedVideo], report: SearchReport
) -> None:
    """Write what made `out` beside it."""
    record = {
        "settings": settings,
        "videos": _stamps(videos),
        "bytes": out.stat().st_size,
        "found": {"moments": report.moments, "persons": report.persons},
    }
    write_text(_record(out), json.dumps(record) + "\n")


def read_finished(out: Path, settings: Mapping[str, object], videos: Sequence[SearchedVideo]) -> SearchReport:
    """What the very same search found that made `out`.

    Raises:
        InputError: nothing says how `out` was made, or another search made it.
    """
    try:
        record: dict[str, Any] = json.loads(_record(out).read_text(encoding="utf-8"))
        theirs, stamps, size = record["settings"], record["videos"], record["bytes"]
        report = SearchReport(len(videos), **record["found"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{out} exists already; --overwrite replaces it") from None
    if size != out.stat().st_size:
        raise InputError(f"{out} exists already, and was changed since it was made; --overwrite replaces it")
    ours = json.loads(json.dumps(settings))
    other = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if other:
        raise InputError(f"{out} exists already, with other settings ({', '.join(other)}); --overwrite replaces it")
    found = _stamps(videos)
    changed = sorted(name for name in {*stamps, *found} if stamps.get(name) != found.get(name))
    if changed:
        raise InputError(f"{out} exists already, of other videos ({some(changed, 3)}); --overwrite replaces it")
    return report


def _record(out: Path) -> Path:
    return out.with_name(f"{out.name}.search.json")


def _stamps(videos: Sequence[SearchedVideo]) -> dict[str, list[int] | None]:
    """Size and time of change of each video, None of one that is gone, by the name that is written."""
    stamps = {video.written: file_stamp(video.path) for video in videos}
    return {name: None if stamp is None else list(stamp) for name, stamp in stamps.items()}

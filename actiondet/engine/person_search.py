"""Search many videos for persons, in one process or many, and write one file of boxes."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from actiondet.config import PersonsConfig
from actiondet.engine.log import log_line
from actiondet.persons.build import build_persons
from actiondet.persons.finished import SearchCounts, note_finished, read_finished
from actiondet.persons.key_frames import SearchedMoments
from actiondet.persons.parts import SearchParts
from actiondet.persons.search import search_video
from actiondet.persons.videos import SearchedVideo
from evaluation.command_line import describe
from evaluation.errors import InputError
from evaluation.formats.person_boxes import write_proposals
from evaluation.progress import ProgressBar
from evaluation.records import PersonBoxes

_LOOK_AGAIN = 0.5  # seconds between two looks at what the other processes have finished


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
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return f"found {self.persons} persons at {self.moments} moments of {self.videos} videos"


def search_videos(
    videos: Sequence[SearchedVideo],
    persons: PersonsConfig,
    moments: SearchedMoments,
    *,
    out: Path,
    fabric: Fabric,
    batch: int = 8,
    overwrite: bool = False,
) -> SearchReport:
    """Find the persons of all videos and write them to `out`.

    Every finished video is kept beside `out`; a run that was stopped goes on there, with any number of processes, and
    ends with the same file. A video that cannot be read is left out; its sentence is in the report, and the finished
    videos are kept for a later run in which it can be read. A search that is finished already is not repeated.

    Args:
        videos: what is searched; the processes share them.
        persons: the detector.
        moments: says when.
        out: file of boxes; see `write_proposals`.
        fabric: of the process.
        batch: frames that are looked at together.
        overwrite: replace `out` where it is there.

    Returns:
        in the first process the whole report; in the others nothing of use.

    Raises:
        InputError: the detector cannot be built, none of the videos can be searched, a search with other settings
            was stopped, or `out` is there, made in another way.
    """
    parts = SearchParts(out)
    settings = _settings(persons, moments)
    if out.exists() and not overwrite and not parts.folder.exists():
        found = read_finished(out, settings, videos)
        if fabric.is_global_zero:
            log_line(f"{out} is finished already; --overwrite makes it again")
        return SearchReport(len(videos), found.moments, found.persons, ())
    share = videos[fabric.global_rank :: fabric.world_size]
    if fabric.is_global_zero:
        parts.open(settings)
    for video in share:
        parts.drop_outdated(video)
    fabric.barrier()
    _search_share(share, persons, moments, parts, fabric, batch)
    if not fabric.is_global_zero:
        return SearchReport(len(videos), 0, 0, ())
    left = list(videos)
    while left := [video for video in left if not parts.has(video)]:
        time.sleep(_LOOK_AGAIN)  # torchrun ends this process if another one fails
    return _finish(videos, parts, out, settings)


def _settings(persons: PersonsConfig, moments: SearchedMoments) -> dict[str, object]:
    """All that the boxes depend on, apart from the videos."""
    listed = hashlib.sha256()
    for name, times in sorted((moments.listed or {}).items()):
        listed.update(f"{name},{times.tolist()};".encode())
    settings = persons.model_dump(mode="json")
    files = {key: Path(value) for key, value in settings.items() if isinstance(value, str) and Path(value).is_file()}
    return {
        "persons": settings,
        "files": {key: [file.stat().st_size, file.stat().st_mtime_ns] for key, file in files.items()},
        "every": moments.every,
        "listed": listed.hexdigest() if moments.listed is not None else None,
        "start": moments.start,
        "frame_numbers": moments.frame_numbers,
        "kinetics_clips": moments.kinetics_clips,
    }


def _search_share(
    share: Sequence[SearchedVideo],
    persons: PersonsConfig,
    moments: SearchedMoments,
    parts: SearchParts,
    fabric: Fabric,
    batch: int,
) -> None:
    """Search the videos of this process that are not done yet."""
    todo = [video for video in share if not parts.has(video)]
    detector = build_persons(persons, fabric.device) if todo else None
    title = "videos" if fabric.world_size == 1 else f"videos of the first of {fabric.world_size} processes"
    bar = ProgressBar(title, len(share), done=len(share) - len(todo), shown=fabric.is_global_zero)
    for video in bar.over(todo):
        assert detector is not None
        try:
            found = search_video(video, detector, moments, batch=batch)
        except (InputError, OSError) as fault:
            parts.write_fault(video, describe(fault))
        else:
            parts.write(video, found)


def _finish(
    videos: Sequence[SearchedVideo], parts: SearchParts, out: Path, settings: Mapping[str, object]
) -> SearchReport:
    """Put the parts together."""
    faults = tuple(fault for video in videos if (fault := parts.fault(video)) is not None)
    if len(faults) == len(videos):
        none = "" if len(videos) == 1 else f"none of the {len(videos)} videos could be searched; the first: "
        raise InputError(none + faults[0])
    count: Counter[str] = Counter()

    def counted() -> Iterator[PersonBoxes]:
        for video in videos:
            for each in parts.read(video):
                count.update(moments=1, persons=len(each))
                yield each

    write_proposals(out, counted())
    log_line(f"wrote {out}")
    if not faults:
        note_finished(out, settings, videos, SearchCounts(count["moments"], count["persons"]))
        parts.remove()
    return SearchReport(len(videos) - len(faults), count["moments"], count["persons"], faults)

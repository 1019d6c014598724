"""Search many videos for persons, in one process or many, and write one file of boxes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric

from actiondet.config import PersonsConfig
from actiondet.engine.log import log_line, shared_bar
from actiondet.parts import Arrays, PartStore, file_stamp
from actiondet.persons.build import build_persons
from actiondet.persons.finished import SearchReport, note_finished, read_finished
from actiondet.persons.key_frames import SearchedMoments
from actiondet.persons.search import search_video
from actiondet.persons.videos import SearchedVideo
from evaluation.command_line import describe
from evaluation.errors import InputError
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes


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
        InputError: the detector cannot be built, none of the videos can be searched, or `out` is there, made in another
            way.
    """
    settings = _settings(persons, moments)
    parts = PartStore(out, settings, pack=_packed, unpack=_unpacked)
    if out.exists() and not overwrite and not parts.folder.exists():
        report = read_finished(out, settings, videos)
        if fabric.is_global_zero:
            log_line(f"{out} is finished already; --overwrite makes it again")
        return report
    # A video that has changed is another part.
    keys = {video: f"{video.name}.{'-'.join(map(str, file_stamp(video.path) or ('gone',)))}" for video in videos}
    share = {video: keys[video] for video in videos[fabric.global_rank :: fabric.world_size]}
    parts.forget_faults(share.values())
    fabric.barrier()
    _search_share(share, persons, moments, parts, fabric, batch)
    if not fabric.is_global_zero:
        return SearchReport(len(videos), 0, 0)
    parts.wait_for(keys.values())
    return _finish(keys, parts, out, settings)


def _packed(found: list[PersonBoxes]) -> Arrays:
    return {
        "video": np.array([each.key.video for each in found], dtype=np.str_),
        "moments": np.array([each.key.moment for each in found], dtype=np.int64),
        "ends": np.cumsum([len(each) for each in found], dtype=np.int64),
        "boxes": np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes for each in found)]),
        "scores": np.concatenate([np.zeros(0, np.float32), *(each.scores for each in found)]),
    }


def _unpacked(arrays: Arrays) -> list[PersonBoxes]:
    ends, boxes, scores = arrays["ends"], arrays["boxes"], arrays["scores"]
    keys = map(FrameKey, arrays["video"].tolist(), arrays["moments"].tolist())
    return [
        PersonBoxes(key, boxes[begin:end], scores[begin:end])
        for key, begin, end in zip(keys, [0, *ends[:-1]], ends, strict=True)
    ]


def _settings(persons: PersonsConfig, moments: SearchedMoments) -> dict[str, object]:
    """All that the boxes depend on, apart from the videos."""
    listed = hashlib.sha256()
    for name, times in sorted((moments.listed or {}).items()):
        listed.update(f"{name},{times.tolist()};".encode())
    settings = persons.model_dump(mode="json")
    files = {key: Path(value) for key, value in settings.items() if isinstance(value, str) and Path(value).is_file()}
    return {
        "persons": settings,
        "files": {key: file_stamp(file) for key, file in files.items()},
        "every": moments.every,
        "listed": listed.hexdigest() if moments.listed is not None else None,
        "start": moments.start,
        "frame_numbers": moments.frame_numbers,
        "kinetics_clips": moments.kinetics_clips,
    }


def _search_share(
    share: Mapping[SearchedVideo, str],
    persons: PersonsConfig,
    moments: SearchedMoments,
    parts: PartStore[list[PersonBoxes]],
    fabric: Fabric,
    batch: int,
) -> None:
    """Search the videos of this process that are not done yet."""
    todo = [video for video in share if not parts.has(share[video])]
    detector = build_persons(persons, str(fabric.device)) if todo else None
    bar = shared_bar("videos", len(share), fabric, done=len(share) - len(todo))
    for video in bar.over(todo):
        assert detector is not None
        try:
            found = search_video(video, detector, moments, batch=batch)
        except (InputError, OSError) as fault:
            parts.put_fault(share[video], describe(fault))
        else:
            parts.put(share[video], found)


def _finish(
    keys: Mapping[SearchedVideo, str], parts: PartStore[list[PersonBoxes]], out: Path, settings: dict[str, object]
) -> SearchReport:
    """Put the parts together."""
    faults = parts.faults(keys.values())
    count: Counter[str] = Counter()

    def counted() -> Iterator[PersonBoxes]:
        for key in keys.values():
            for each in parts.get(key) if key not in faults else ():
                count.update(moments=1, persons=len(each))
                yield each

    write_proposals(out, counted())
    log_line(f"wrote {out}")
    report = SearchReport(len(keys) - len(faults), count["moments"], count["persons"], tuple(faults.values()))
    if not faults:
        note_finished(out, settings, list(keys), report)
        parts.remove()
    return report

"""What was found in a video, as a page: a player, the persons' boxes and events, thinned to what can be seen."""

from __future__ import annotations

import base64
import math
import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from actiondet.tubes.carrying import PersonsOverTime
from actiondet.tubes.events import Event
from actiondet.video.browsers import plays_in_browsers, write_for_browsers
from actiondet.video.described import PlayedVideo
from evaluation.formats.action_list import ActionList
from evaluation.page import Page, Section, write_page
from evaluation.page.player import EventColumns, PersonTrack, Player
from evaluation.records import FloatArray, IntArray

MOST_INSIDE = 6_000_000
"""Bytes up to which a video is put inside the page."""
_MOST_BYTES = 3_200_000  # of the tracks
_MOST_EVENTS = 25_000  # which take some 50 bytes each
_UNIT = 10_000  # parts of the picture's sides in which boxes are written


@dataclass(frozen=True)
class PageVideo:
    """The video that a page plays.

    Attributes:
        path: the file; None plays none.
        name: what it is called.
        width, height: of the picture as shown; only their ratio counts.
        seconds: how long it is.
        offset: seconds on the file's clock at which its first frame is shown.
        drawn: it has boxes in its pictures.
    """

    path: str | None
    name: str
    width: float
    height: float
    seconds: float
    offset: float = 0.0
    drawn: bool = False


@contextmanager
def video_for_page(
    source: PlayedVideo,
    page: str | os.PathLike[str],
    drawn: str | os.PathLike[str] | None,
    *,
    on_frame: Callable[[], None] | None = None,
) -> Iterator[PageVideo]:
    """What a page plays: the source where browsers do, else the drawn video, else a copy of the source.

    A copy that fits into the page is there until the block ends; a larger one stays beside the page, with its name.

    Args:
        source: the video.
        page: the .html file.
        drawn: the video with boxes in its pictures; None for none.
        on_frame: called after each frame of a copy.

    Raises:
        InputError: the frames of a source without a file came from an iterator and are gone, or cannot be decoded.
    """
    copied = PageVideo(
        path=None,
        name=Path(source.path).name,
        width=source.width * float(source.pixel_aspect),
        height=source.height,
        seconds=source.duration_us / 1e6,
    )
    if source.sound is not None and plays_in_browsers(source.sound):
        yield replace(copied, path=source.sound, offset=round(source.first_shown, 6))
        return
    if drawn is not None:
        yield replace(copied, path=os.fspath(drawn), drawn=True)
        return
    target = copy_beside(page)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part.mp4")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_for_browsers(source, temporary, on_frame=on_frame)
        if temporary.stat().st_size <= MOST_INSIDE:
            yield replace(copied, path=os.fspath(temporary))
        else:
            os.replace(temporary, target)
            yield replace(copied, path=os.fspath(target))
    finally:
        temporary.unlink(missing_ok=True)


def copy_beside(page: str | os.PathLike[str]) -> Path:
    """Where a copy of a video that browsers do not play is put."""
    return Path(page).with_suffix(".mp4")


def write_video_page(
    path: str | os.PathLike[str],
    video: PageVideo,
    persons: PersonsOverTime,
    events: Sequence[Event],
    *,
    moments: IntArray,
    looks: IntArray,
    actions: ActionList,
    start: int = 0,
    threshold: float = 0.5,
    lowest_event: float = 0.5,
    top: int = 3,
    about: str = "",
    caption: str = "",
) -> bool:
    """Write the page of a video.

    Args:
        path: the .html file.
        video: what it plays; up to `MOST_INSIDE` bytes are put inside, a larger file is played from where it is.
        persons: who is where.
        events: that have ended.
        moments: (M,) rising times of the key frames, microseconds on the clock of `persons`.
        looks: (L,) rising times at which it is known where everybody is, the key frames among them.
        actions: ids and names; columns without one are left out.
        start: microseconds on the clock of `persons` at which the video begins.
        threshold: actions with a lower score are not named at the boxes.
        lowest_event: lowest score at which events begin.
        top: at most so many actions of a person.
        about: what the network is.
        caption: what every reader must know, such as that labels mean nothing; empty for nothing.

    Returns:
        Whether the video is inside the page.
    """
    inside = video.path is not None and os.path.getsize(video.path) <= MOST_INSIDE
    named = {name: place for place, name in enumerate(actions.names)}
    kept = sorted(events, key=lambda each: each.start - (each.end or each.start))[:_MOST_EVENTS]
    kept = sorted(kept, key=lambda each: (each.start, each.person))
    stretches = _stretches(persons, looks, start=start, actions=actions, threshold=threshold, top=top)
    tracks, left_out = _thinned(stretches, {(each.person, round(each.peak_at, 3)) for each in kept})
    if len(kept) < len(events):
        left_out = (
            f"{left_out} {len(events) - len(kept):,} of {len(events):,} events, the shortest, are left out.".strip()
        )
    player = Player(
        video=_address(video.path, Path(path), inside=inside),
        video_name=video.name,
        width=video.width,
        height=video.height,
        seconds=round(video.seconds, 3),
        offset=video.offset,
        moments=np.round((moments - start) / 1e6, 3),
        reach=round(float(np.median(np.diff(looks))) / 2e6, 3) if len(looks) > 1 else video.seconds,
        tracks=tracks,
        events=EventColumns(
            person=[each.person for each in kept],
            action=[named[each.action] for each in kept],
            start=[round(each.start, 3) for each in kept],
            end=[round(each.end or each.start, 3) for each in kept],
            peak=[round(each.peak, 3) for each in kept],
            mean=[round(each.mean, 3) for each in kept],
            peak_at=[round(each.peak_at, 3) for each in kept],
        ),
        actions=actions.names,
        lowest=math.floor(100 * min(threshold, lowest_event)) / 100,
        drawn=video.drawn,
        left_out=left_out,
    )
    count = len({each.person for each in stretches})
    said = f"{_count(count, 'person')}, {_count(len(events), 'event')}, {_count(len(moments), 'key frame')}"
    subtitle = ". ".join(dict.fromkeys(filter(None, (said, about, caption))))
    write_page(path, Page(video.name, [Section("", [player])], subtitle=subtitle, media=("media-src",)))
    return inside


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _address(video: str | None, page: Path, *, inside: bool) -> str:
    """Where the page finds its video: in itself, or by a path from its own folder."""
    if video is None:
        return ""
    if inside:
        kind = mimetypes.guess_type(video)[0] or "video/mp4"
        return f"data:{kind};base64,{base64.b64encode(Path(video).read_bytes()).decode('ascii')}"
    return quote(os.fsencode(os.path.relpath(video, page.parent)))


@dataclass(frozen=True, eq=False)
class _Stretch:
    """A person at K consecutive times.

    Attributes:
        person: identity.
        times: (K,) seconds.
        boxes: (K, 4) in units.
        actions: of each time numbers and scores in percent, best first.
    """

    person: int
    times: FloatArray
    boxes: IntArray
    actions: Sequence[Sequence[int]]


def _stretches(
    persons: PersonsOverTime, looks: IntArray, *, start: int, actions: ActionList, threshold: float, top: int
) -> list[_Stretch]:
    """Every person while it is found without a break."""
    open_ones: dict[int, list[tuple[float, IntArray, list[int]]]] = {}
    found: list[_Stretch] = []
    for moment in looks.tolist():
        here, identities = persons.at(moment)
        boxes = np.rint(here.boxes.astype(np.float64) * _UNIT).astype(np.int64)
        scores = here.action_scores[:, actions.columns]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        numbers = identities.tolist()
        found += [_stretch(person, open_ones.pop(person)) for person in list(open_ones.keys() - set(numbers))]
        for row, person in enumerate(numbers):
            named = [
                each
                for place in best[row].tolist()
                if scores[row, place] >= threshold
                for each in (place, round(100 * float(scores[row, place])))
            ]
            open_ones.setdefault(person, []).append(((moment - start) / 1e6, boxes[row], named))
    found += [_stretch(person, knots) for person, knots in open_ones.items()]
    return sorted(found, key=lambda each: (each.times[0], each.person))


def _stretch(person: int, knots: Sequence[tuple[float, IntArray, list[int]]]) -> _Stretch:
    times, boxes, actions = zip(*knots, strict=True)
    return _Stretch(person, np.round(np.array(times), 3), np.stack(boxes), actions)


def _thinned(stretches: Sequence[_Stretch], peaks: set[tuple[int, float]]) -> tuple[list[PersonTrack], str]:
    """The stretches with fewer times, so many that they fit the page, and what was left out, in a sentence.

    Each keeps its first and last time, every n-th one, and those at which an event of its person has its peak. Where
    that is not enough, the shortest stretches are left out.
    """
    sizes = [np.array([32 + 7 * len(named) // 2 for named in each.actions]) for each in stretches]
    at_peaks = [
        np.array([(each.person, time) in peaks for time in each.times.tolist()], dtype=np.bool_) for each in stretches
    ]
    every = 1
    while True:
        kept = [
            (np.arange(len(each.times)) % every == 0) | (np.arange(len(each.times)) == len(each.times) - 1) | peaked
            for each, peaked in zip(stretches, at_peaks, strict=True)
        ]
        needed = np.array([24 + size[keep].sum() for size, keep in zip(sizes, kept, strict=True)], dtype=np.int64)
        if needed.sum() <= _MOST_BYTES or every >= 64:
            break
        every *= 2
    longest = np.argsort([-len(each.times) for each in stretches], kind="stable")
    fitting = np.sort(longest[np.cumsum(needed[longest]) <= _MOST_BYTES])
    said = []
    if every > 1:
        said.append(
            f"To keep the page small, persons are placed at every {every}th look and where an action is surest; "
            "between these, boxes move in straight lines."
        )
    if len(fitting) < len(stretches):
        said.append(f"{len(stretches) - len(fitting):,} of {len(stretches):,} tracks, the shortest, have no boxes.")
    tracks = [
        PersonTrack(
            person=stretches[place].person,
            times=stretches[place].times[kept[place]],
            boxes=stretches[place].boxes[kept[place]],
            actions=[stretches[place].actions[each] for each in np.flatnonzero(kept[place]).tolist()],
        )
        for place in fitting.tolist()
    ]
    return tracks, " ".join(said)

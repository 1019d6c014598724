"""The player of a page: a video, the boxes of its persons over time, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evaluation.page.parts import Numbers, Part
from evaluation.records import IntArray


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """Where one person is, at K rising times, in a straight line between two of them.

    Attributes:
        person: identity.
        times: (K,) seconds of the video.
        boxes: (K, 4) x1, y1, x2, y2 in ten-thousandths of the picture.
        actions: (K) lists of an action's number, its score in percent, the next action's number, ...; best first.
    """

    person: int
    times: Numbers
    boxes: IntArray
    actions: Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class EventColumns:
    """Events as columns of N rows: who does what (its number), from when to when (seconds), and the scores."""

    person: Numbers
    action: Numbers
    start: Numbers
    end: Numbers
    peak: Numbers
    mean: Numbers
    peak_at: Numbers


@dataclass(frozen=True, eq=False)
class Player(Part):
    """A video with boxes and names on a canvas, a row of bars for each person, and the table of events.

    Attributes:
        video: address of the video, or the video itself as an address; empty for none.
        video_name: what the video is called.
        width, height: of the picture as shown; only their ratio counts.
        seconds: how long it is.
        offset: seconds on the video's clock at which its first frame is shown.
        moments: (M,) seconds of the key frames.
        reach: seconds for which a person stays before its first time and after its last one.
        tracks: of the persons.
        events: what they do.
        actions: names.
        lowest: lowest score that tracks and events hold.
        drawn: the video has boxes in its pictures: the page's own are off at first.
        left_out: what was left out to keep the page small, in a sentence; empty for nothing.
    """

    video: str
    video_name: str
    width: float
    height: float
    seconds: float
    offset: float
    moments: Numbers
    reach: float
    tracks: Sequence[PersonTrack]
    events: EventColumns
    actions: Sequence[str]
    lowest: float
    drawn: bool = False
    left_out: str = ""
    scripts: ClassVar[tuple[str, ...]] = ("events.js", "timeline.js", "player.js")


@dataclass(frozen=True)
class Live(Part):
    """A live source: its pictures, a row of bars for each person, and the table of events, as they come.

    `evaluation.page.serving` serves both; messages are `LiveEvent` ("event"), `LiveState` ("now") and "end".

    Attributes:
        name: of the source.
        actions: names.
        lowest: lowest score at which events begin.
        pictures, messages: addresses.
    """

    name: str
    actions: Sequence[str]
    lowest: float
    pictures: str = "pictures"
    messages: str = "messages"
    scripts: ClassVar[tuple[str, ...]] = ("events.js", "timeline.js", "live.js")


@dataclass(frozen=True)
class LiveEvent:
    """An event that begins (`end` is None) or has ended; an action is its place among the names."""

    person: int
    action: int
    start: float
    end: float | None
    peak: float
    mean: float


@dataclass(frozen=True)
class LiveState:
    """What is known at a key frame.

    Attributes:
        time: seconds of the source.
        persons: how many are there.
        delay: seconds from the end of the key frame's clip until it was known what it shows.
        left_out: key frames that were left out so far.
        width, height: of the source's frames; 0 before the first one.
    """

    time: float
    persons: int
    delay: float
    left_out: int
    width: int
    height: int

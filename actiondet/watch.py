"""Cameras and streams while they run: key frames are left out rather than queued, so that the delay stays bounded."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import TypeGuard, cast

from actiondet.drawing import DrawingStyle
from actiondet.live_drawing import LiveDrawing
from actiondet.live_page import LiveShowing
from actiondet.tubes.events import Event, EventFinder, EventRules
from actiondet.tubes.following import Follower, FoundMoment, Look
from actiondet.video import index_video, stream_frames
from actiondet.video.clip_stream import Frame, MomentClip
from actiondet.video.live import LiveFrame, LiveStream, is_live
from evaluation.errors import InputError, StoppedBySignal
from evaluation.formats.action_list import ActionList
from evaluation.page.serving import PageServer
from evaluation.records import ActionDetections, IntArray
from evaluation.video_names import composed

LiveSource = str | os.PathLike[str] | LiveStream | Iterable[tuple[float, Frame]]
"""An address, a video file, an opened stream, or seconds, rising, and frames (H, W, 3) uint8 RGB as they arrive."""

_KEPT_DELAYS = 1000


Cut = Callable[[Iterable[tuple[int, Frame]]], Iterator[MomentClip]]
"""Frames to the clips around their key frames; see `clips_of_frames`."""
Detect = Callable[[Iterator[MomentClip], str], Iterator[FoundMoment]]
"""Clips of a source, and its name, to what is found at their key frames."""


@dataclass(frozen=True, eq=False)
class LiveMoment:
    """What is found at one key frame of a source.

    Attributes:
        detections: the key holds the source's name, and microseconds since its first frame.
        looks: who is where since the key frame before; the last look is that at the key frame.
        delay: seconds from the arrival of the clip's last frame until now.
    """

    detections: ActionDetections
    looks: tuple[Look, ...]
    delay: float

    @property
    def identities(self) -> IntArray:
        """(P,) the same number while a person is followed."""
        return self.looks[-1].identities


class Watch:
    """What every person of one or several live sources does, key frame after key frame.

    Each source has a thread that decodes, resizes and cuts clips; at most `latency` seconds of them wait. Where the
    machine is slower than a source, the oldest waiting key frames are left out and counted. Sources take turns.
    Use it as a context, or iterate to the end: the threads and connections then end, too.

    Attributes:
        actions: ids and names of the actions.
        key_frames: how many have been looked at.
        delays: seconds, of the last key frames; see `LiveMoment`.
    """

    def __init__(
        self,
        streams: Sequence[LiveStream | NamedFrames],
        cut: Cut,
        detect: Detect,
        *,
        actions: ActionList,
        every: float,
        looks: int,
        latency: float,
        caption: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; iterating starts the threads.

        Args:
            streams: the sources.
            cut: makes clips of frames.
            detect: finds persons and actions in clips.
            actions: ids and names of the columns.
            every: seconds between key frames.
            looks: how often the person detector looks for each key frame.
            latency: seconds of key frames that may wait.
            caption: of drawn frames; empty for none.
            clock: seconds, rising.

        Raises:
            InputError: `latency` is negative.
        """
        if not latency >= 0:
            raise InputError(f"latency={latency:g}: expected 0 or more seconds")
        self.actions = actions
        self.key_frames = 0
        self.delays: deque[float] = deque(maxlen=_KEPT_DELAYS)
        self._detect, self._every, self._looks, self._clock = detect, every, looks, clock
        self._caption = caption
        self._changed = threading.Condition()
        self._feeds = [_Feed(stream, cut, latency, self._changed, clock) for stream in streams]

    @property
    def left_out(self) -> int:
        """Key frames that were left out because the machine is slower than the sources."""
        return sum(feed.left_out for feed in self._feeds)

    @property
    def undrawn(self) -> int:
        """Frames that are missing in drawn videos because drawing is slower than the sources."""
        return sum(feed.drawing.left_out for feed in self._feeds if feed.drawing is not None)

    def draw(self, path: str | os.PathLike[str], *, style: DrawingStyle | None = None) -> list[Path]:
        """Let iterating write a drawn video, too; frames wait in memory until it is known who does what in them.

        The file takes its name when the source ends. Its memory grows by 20 bytes a frame.

        Args:
            path: an .mp4 file; the second of several sources gets NAME_2.mp4, and so on.
            style: what is drawn.

        Returns:
            the files.
        """
        style = style or DrawingStyle()
        style = replace(style, caption=style.caption or self._caption)
        target = Path(path)
        paths = [
            target if number == 1 else target.with_stem(f"{target.stem}_{number}")
            for number in range(1, len(self._feeds) + 1)
        ]
        for feed, each in zip(self._feeds, paths, strict=True):
            feed.drawing = LiveDrawing(each, actions=self.actions, style=style)
        return paths

    def show(self, server: PageServer, *, style: DrawingStyle | None = None) -> LiveShowing:
        """Let iterating serve drawn pictures of the first source, too, while anyone looks at them.

        Args:
            server: of the page.
            style: what is drawn.
        """
        style = style or DrawingStyle()
        style = replace(style, caption=style.caption or self._caption, numbered=True)
        showing = LiveShowing(server, actions=self.actions, style=style, clock=self._clock)
        self._feeds[0].showing = showing
        return showing

    def __iter__(self) -> Iterator[LiveMoment]:
        """The key frames, as they are done.

        Raises:
            InputError: a source from which nothing can be read, or a drawn video that cannot be written.
        """
        found = {feed: self._detect(feed.clips(), feed.name) for feed in self._feeds}
        followers = {feed: Follower(self._every / self._looks) for feed in self._feeds}
        turn = 0
        with ExitStack() as ending:
            for feed in self._feeds:
                if feed.showing is not None:
                    ending.enter_context(feed.showing)
                if feed.drawing is not None:
                    ending.enter_context(feed.drawing)
            ending.enter_context(closing(self))
            for feed in self._feeds:
                feed.start()
            while found:
                feed = self._next_feed(list(found), turn)
                turn += 1
                moment = next(found[feed], None)
                if moment is None:
                    del found[feed]
                    if feed.fault is not None:
                        raise feed.fault
                    continue
                self.key_frames += 1
                self.delays.append(self._clock() - feed.taken)
                looks = followers[feed].update(moment)
                if feed.drawing is not None:
                    feed.drawing.know(moment.detections, looks)
                if feed.showing is not None:
                    feed.showing.know(moment.detections, looks)
                yield LiveMoment(moment.detections, looks, self.delays[-1])

    def events(
        self,
        rules: EventRules | None = None,
        *,
        begins: bool = False,
        on_moment: Callable[[LiveMoment], None] | None = None,
    ) -> Iterator[Event]:
        """Yield who does what, from when to when; see `VideoResult.events`. Times are seconds of the source.

        `on_moment` is called with each key frame, before its events.
        """
        finders = {
            feed.name: EventFinder(self.actions, rules or EventRules(), step=self._every, begins=begins)
            for feed in self._feeds
        }
        try:
            for each in self:
                if on_moment is not None:
                    on_moment(each)
                yield from finders[each.detections.key.video].update(each.detections, each.identities)
        finally:
            self.close()
        for finder in finders.values():
            yield from finder.finish()

    def close(self) -> None:
        """End all threads and connections."""
        for feed in self._feeds:
            feed.stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next_feed(self, feeds: Sequence[_Feed], turn: int) -> _Feed:
        """The next one, in turn, that has a clip or has ended; waits for it."""
        order = [feeds[(turn + place) % len(feeds)] for place in range(len(feeds))]
        with self._changed:
            while True:
                for feed in order:
                    if feed.waiting or feed.ended:
                        return feed
                self._changed.wait(0.5)  # signals arrive between two waits


@contextmanager
def closed_by_signals(watch: Watch) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the sources, so that what goes on is finished; a second one ends the process at once.

    Raises:
        StoppedBySignal: afterwards, if there was one.
    """
    noted: list[int] = []

    def close(number: int, _: FrameType | None) -> None:
        if noted:
            raise StoppedBySignal(number, f"stopped by {signal.Signals(number).name}")
        noted.append(number)
        watch.close()

    before = {number: signal.signal(number, close) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if noted:
        raise StoppedBySignal(noted[0], f"stopped by {signal.Signals(noted[0]).name}")


class NamedFrames:
    """Frames of a file, or that arrive from the caller's own code.

    Attributes:
        name: of the source.
        is_recorded: whether they wait for their reader; otherwise, what comes too fast is left out.
    """

    def __init__(self, frames: Iterable[tuple[float, Frame]], name: str, *, is_recorded: bool = False) -> None:
        """Take seconds and frames."""
        self.name, self.is_recorded, self._frames = name, is_recorded, frames

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> NamedFrames:
        """The frames of a video file.

        Raises:
            InputError: it cannot be read.
        """
        index = index_video(path)
        frames = ((time / 1e6, frame) for time, frame in stream_frames(index.path, index))
        return cls(frames, composed(Path(path).stem), is_recorded=True)

    def stop(self) -> None:
        """Nothing: the caller's frames end by themselves."""

    def __iter__(self) -> Iterator[LiveFrame]:
        return (LiveFrame(float(seconds), frame, 0) for seconds, frame in self._frames)


def open_streams(
    sources: LiveSource | Sequence[LiveSource], *, reconnect: float, any_host: bool = False
) -> list[LiveStream | NamedFrames]:
    """The streams of one source or a list of them.

    Raises:
        InputError: an address that is not a stream's, a file that cannot be read, or two sources of one name.
    """
    several = list(sources) if _are_several(sources) else [cast(LiveSource, sources)]
    streams: list[LiveStream | NamedFrames] = []
    for place, source in enumerate(several):
        if isinstance(source, os.PathLike) or (isinstance(source, str) and not _is_address(source)):
            streams.append(NamedFrames.of_file(source))
        elif isinstance(source, str):
            streams.append(LiveStream(source, reconnect=reconnect, any_host=any_host))
        elif isinstance(source, LiveStream):
            streams.append(source)
        else:
            streams.append(NamedFrames(source, f"source {place}" if len(several) > 1 else "live"))
    names = [stream.name for stream in streams]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None or not streams:
        raise InputError("expected one source or more" if not streams else f"duplicate source {duplicate}")
    return streams


def _is_address(source: str) -> bool:
    return is_live(source) or "://" in source  # of an unknown protocol, which LiveStream refuses


def _are_several(sources: object) -> TypeGuard[Sequence[LiveSource]]:
    """Whether this is a list of sources, and not one of (seconds, frame) pairs."""
    return isinstance(sources, (list, tuple)) and not any(
        isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], (int, float)) for each in sources[:1]
    )


class _Feed:
    """The thread of a source, and its clips that wait."""

    def __init__(
        self,
        stream: LiveStream | NamedFrames,
        cut: Cut,
        latency: float,
        changed: threading.Condition,
        clock: Callable[[], float],
    ) -> None:
        self.name = stream.name
        self.left_out = 0
        self.ended = False
        self.fault: Exception | None = None
        self.drawing: LiveDrawing | None = None
        self.showing: LiveShowing | None = None
        self.taken = 0.0  # when the clip that was taken last had arrived
        self.waiting: deque[tuple[float, MomentClip]] = deque()
        self._stream, self._cut, self._latency = stream, cut, round(latency * 1e6)
        self._changed, self._clock = changed, clock
        self._thread = threading.Thread(target=self._run, name=f"decode {stream.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stream.stop()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def clips(self) -> Iterator[MomentClip]:
        """The clips that are not left out, for the consumer's thread."""
        while True:
            with self._changed:
                while not self.waiting and not self.ended:
                    self._changed.wait(0.5)
                if not self.waiting:
                    return
                self.taken, clip = self.waiting.popleft()
                self._changed.notify_all()
            yield clip

    def _run(self) -> None:
        try:
            for _, frames in groupby(self._stream, key=lambda frame: (frame.segment, frame.image.shape)):
                for clip in self._cut(self._timed(frames)):
                    if not self._put(clip):
                        return
        except Exception as fault:
            self.fault = fault
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _timed(self, frames: Iterable[LiveFrame]) -> Iterator[tuple[int, Frame]]:
        for frame in frames:
            time = round(frame.seconds * 1e6)
            if self.drawing is not None:
                self.drawing.add(time, frame.image, may_wait=bool(self._stream.is_recorded))
            if self.showing is not None:
                self.showing.add(time, frame.image)
            yield time, frame.image

    def _put(self, clip: MomentClip) -> bool:
        """Let a clip wait; False if nobody wants more."""
        with self._changed:
            while self._stream.is_recorded and len(self.waiting) > 1 and not self.ended:
                self._changed.wait(0.5)  # a recording can wait
            if self.ended:
                return False
            self.waiting.append((self._clock(), clip))
            while not self._stream.is_recorded and clip.time - self.waiting[0][1].time > self._latency:
                self.waiting.popleft()
                self.left_out += 1
            self._changed.notify_all()
            return True

"""The page of a live source: frames wait until it is known who does what in them, are drawn, and served."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from actiondet.drawing import READABLE_SHORT_SIDE, ActionDrawer, DrawingStyle, Frame
from actiondet.live_drawing import RecentPersons
from actiondet.tubes.events import Event
from actiondet.tubes.following import Look
from actiondet.video.live import address_name
from evaluation.formats.action_list import ActionList
from evaluation.page import Page, Section
from evaluation.page.player import Live, LiveEvent, LiveState
from evaluation.page.serving import PageServer
from evaluation.records import ActionDetections

_STEP = 80_000  # microseconds from a shown frame to the next: 12.5 a second
_MOST_WAITING = 250  # frames, of 0.9 MB in 16:9
_QUALITY = 80
_MOST_AHEAD = 4.0  # seconds; frames that are known longer than that are shown a little faster


def live_page(source: str, actions: ActionList, *, lowest: float) -> Page:
    """The page of a live source.

    Args:
        source: its address.
        actions: ids and names.
        lowest: lowest score at which events begin.
    """
    name = address_name(source)
    part = Live(name=name, actions=actions.names, lowest=math.floor(100 * lowest) / 100)
    return Page(name, [Section("", [part])], subtitle="Live", media=("connect-src",))


def live_state(detections: ActionDetections, delay: float, left_out: int, size: tuple[int, int]) -> LiveState:
    """What is known at a key frame; `size` is the frames' width and height."""
    return LiveState(
        time=round(detections.key.moment / 1e6, 3),
        persons=len(detections),
        delay=round(delay, 2),
        left_out=left_out,
        width=size[0],
        height=size[1],
    )


class LiveShowing:
    """Draws the frames of a source in a thread of its own, and hands them on as JPEG, while anyone looks at them.

    They are shown at the source's pace, as late as the latest of them has been known.

    Attributes:
        size: width and height of the source's frames.
    """

    def __init__(
        self,
        server: PageServer,
        *,
        actions: ActionList,
        style: DrawingStyle,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; entering the context starts the thread.

        Args:
            server: takes the pictures.
            actions: names of the actions.
            style: what is drawn.
            clock: seconds, rising.
        """
        self._server, self._actions, self._style, self._clock = server, actions, style, clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, Frame]] = deque(maxlen=_MOST_WAITING)
        self._persons = RecentPersons()
        self._ended = False
        self._latest = -_STEP
        self.size = (0, 0)
        self._thread = threading.Thread(target=self._run, name="draw for the page", daemon=True)

    def add(self, moment: int, frame: Frame) -> None:
        """Take the next frame in, from the decoding thread; it never waits here."""
        height, width = frame.shape[:2]
        self.size = (width, height)
        if not self._server.watched:
            with self._changed:
                self._waiting.clear()
            return
        if 0 <= moment - self._latest < _STEP:
            return
        self._latest = moment
        share = READABLE_SHORT_SIDE / min(height, width)
        if share < 1:
            size = (round(width * share), round(height * share))
            frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        with self._changed:
            self._waiting.append((moment, frame))
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many frames wait to be drawn."""
        return len(self._waiting)

    def know(self, detections: ActionDetections, looks: Sequence[Look]) -> None:
        """Take in what is found at the next key frame."""
        with self._changed:
            oldest = self._waiting[0][0] if self._waiting else detections.key.moment
            self._persons.know(detections, looks, oldest=oldest)
            self._changed.notify_all()

    def __enter__(self) -> LiveShowing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        drawer: ActionDrawer | None = None
        size, shift = (0, 0), float("-inf")
        while (taken := self._next()) is not None:
            moment, frame = taken
            shift = self._paced(moment / 1e6, shift)
            height, width = frame.shape[:2]
            if drawer is None or size != (width, height):
                size = width, height
                drawer = ActionDrawer(width=width, height=height, actions=self._actions, style=self._style)
            picture = drawer.draw(frame, *self._persons.at(moment))
            done, jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if done:
                self._server.show(jpeg.tobytes())

    def _next(self) -> tuple[int, Frame] | None:
        """The next frame of which it is known who does what in it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._is_known())
            return None if self._ended else self._waiting.popleft()

    def _is_known(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= self._persons.latest

    def _paced(self, seconds: float, shift: float) -> float:
        """Wait until a frame is due: at its own time, moved by the shift of the one that was latest.

        Returns:
            the shift, which grows with frames that come later and shrinks slowly where more and more wait.
        """
        now = self._clock()
        if now - seconds > shift:
            return now - seconds
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout=seconds + shift - now)
        return shift - 0.02 * (self._persons.latest / 1e6 - seconds > _MOST_AHEAD)


def live_event(event: Event, actions: ActionList) -> LiveEvent:
    """An event as the page takes it."""
    return LiveEvent(
        person=event.person,
        action=actions.names.index(event.action),
        start=round(event.start, 3),
        end=None if event.end is None else round(event.end, 3),
        peak=round(event.peak, 3),
        mean=round(event.mean, 3),
    )

"""The drawn video of a live source: frames wait until it is known who does what in them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType

import cv2
import numpy as np

from actiondet.drawing import ActionDrawer, DrawingStyle, Frame
from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.following import Look
from actiondet.video import VideoWriter
from evaluation.errors import StoppedBySignal
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey, IntArray

_RATE = Fraction(25)  # for keyframes alone: every frame is shown at its own time
_MOST_BYTES = 512_000_000
"""Of frames that wait: 29 seconds of 640x360, 3 of 1920x1080. From half of it on, frames do not wait for persons."""

_NONE = np.zeros(0, dtype=np.float32)
_NOBODY = (
    ActionDetections(FrameKey("", 0), _NONE.reshape(0, 4), _NONE, _NONE.reshape(0, 1)),
    np.zeros(0, dtype=np.int64),
)


class RecentPersons:
    """Who does what in the last frames of a source, as it becomes known.

    Attributes:
        latest: the last key frame, in microseconds; -1 before the first one.
    """

    def __init__(self) -> None:
        """Start without key frames."""
        self.latest = -1
        self._known: deque[tuple[ActionDetections, Sequence[Look]]] = deque()
        self._persons: CarriedPersons | None = None

    def know(self, detections: ActionDetections, looks: Sequence[Look], *, oldest: int) -> None:
        """Take in what is found at the next key frame, and forget what no frame from `oldest` on shows."""
        self._known.append((detections, looks))
        while len(self._known) > 2 and self._known[1][0].key.moment <= oldest:
            self._known.popleft()
        self.latest = detections.key.moment
        self._persons = CarriedPersons(
            [each for each, _ in self._known], [look for _, looks in self._known for look in looks]
        )

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons at `time` (microseconds), and their (P,) identities; nobody before the first key frame."""
        persons = self._persons
        return _NOBODY if persons is None else persons.at(time)


class LiveDrawing:
    """Draws frames in a thread of its own, and writes them into an mp4.

    The file takes its name when the source ends. Frames of another size than the first are fitted into it.

    Attributes:
        left_out: frames that were not drawn because drawing is slower than the source.
    """

    def __init__(self, path: str | os.PathLike[str], *, actions: ActionList, style: DrawingStyle) -> None:
        """Prepare; the first frame starts the thread.

        Args:
            path: an .mp4 file.
            actions: names of the actions.
            style: what is drawn.
        """
        self.left_out = 0
        self._path, self._actions, self._style = path, actions, style
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, Frame]] = deque()
        self._bytes = 0
        self._persons = RecentPersons()
        self._ended = self._aborted = False
        self._fault: Exception | None = None
        self._thread: threading.Thread | None = None

    def add(self, time: int, frame: Frame, *, may_wait: bool) -> None:
        """Take the next frame in, from the decoding thread.

        Args:
            time: in microseconds.
            frame: (H, W, 3) uint8 RGB.
            may_wait: wait until there is room, instead of leaving the frame out.
        """
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"draw {self._path}", daemon=True)
                self._thread.start()
            while may_wait and self._bytes >= _MOST_BYTES and not self._ended:
                self._changed.wait()
            if self._ended:
                return
            if self._bytes >= _MOST_BYTES:
                self.left_out += 1
                return
            self._waiting.append((time, frame))
            self._bytes += frame.nbytes
            self._changed.notify_all()

    def know(self, detections: ActionDetections, looks: Sequence[Look]) -> None:
        """Take in what is found at the next key frame.

        Raises:
            InputError, OSError: the file cannot be written.
        """
        if self._fault is not None:
            raise self._fault
        with self._changed:
            oldest = self._waiting[0][0] if self._waiting else detections.key.moment
            self._persons.know(detections, looks, oldest=oldest)
            self._changed.notify_all()

    def __enter__(self) -> LiveDrawing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave a whole file, or none where a second signal wants the end at once."""
        if kind is not None and issubclass(kind, (StoppedBySignal, KeyboardInterrupt)):
            self.abort()
        else:
            self.finish()

    def finish(self) -> None:
        """Draw what waits, and give the file its name.

        Raises:
            InputError, OSError: the file cannot be written.
        """
        self._end(aborted=False)
        if self._fault is not None:
            raise self._fault

    def abort(self) -> None:
        """Leave no file."""
        self._end(aborted=True)

    def _end(self, *, aborted: bool) -> None:
        with self._changed:
            self._ended = True
            self._aborted |= aborted
            self._changed.notify_all()
        if self._thread is None:
            return
        try:
            self._thread.join()
        except BaseException:  # a signal, while the rest is drawn
            with self._changed:
                self._aborted = True
            self._thread.join()
            raise

    def _run(self) -> None:
        try:
            with ExitStack() as opened:
                self._draw(opened)
        except _AbortedError:
            pass
        except Exception as fault:
            self._fault = fault
        finally:
            with self._changed:
                self._ended = True
                self._waiting.clear()
                self._changed.notify_all()

    def _draw(self, opened: ExitStack) -> None:
        writer: VideoWriter | None = None
        drawer: ActionDrawer | None = None
        size, first = (0, 0), 0
        while (taken := self._next()) is not None:
            time, frame = taken
            height, width = frame.shape[:2]
            if drawer is None or size != (width, height):
                size = width, height
                drawer = ActionDrawer(width=width, height=height, actions=self._actions, style=self._style)
            if writer is None:
                first = time
                writer = opened.enter_context(
                    VideoWriter(self._path, _RATE, drawer.width, drawer.height, crf=self._style.quality)
                )
                shape = drawer.height, drawer.width
            picture = drawer.draw(frame, *self._persons.at(time))
            writer.write(_fitted(picture, *shape), time_us=time - first)

    def _next(self) -> tuple[int, Frame] | None:
        """The next frame of which it is known who does what in it; None at the end."""
        with self._changed:
            while not (self._ended or (self._waiting and self._is_known(self._waiting[0][0]))):
                self._changed.wait()
            if self._aborted:
                raise _AbortedError
            if not self._waiting:
                return None
            time, frame = self._waiting.popleft()
            self._bytes -= frame.nbytes
            self._changed.notify_all()
            return time, frame

    def _is_known(self, time: int) -> bool:
        return time <= self._persons.latest or self._bytes >= _MOST_BYTES / 2


class _AbortedError(Exception):
    """Nobody wants the file."""


def _fitted(picture: Frame, height: int, width: int) -> Frame:
    """The picture as it is, or scaled to fit into another size, between black bars."""
    if picture.shape[:2] == (height, width):
        return picture
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    fitted = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    fitted[top : top + inner[1], left : left + inner[0]] = scaled
    return fitted

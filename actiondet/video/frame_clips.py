"""Cut the clips around key moments out of frames that arrive one by one: from a camera, a queue, another program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np

from actiondet.video.clip_stream import Frame, MomentClip, Resize, joined_frames, looks_between
from actiondet.video.sampling import nearest_frames
from actiondet.video.windows import ClipWindow
from evaluation.records import IntArray


def clips_of_frames(
    arriving: Iterable[tuple[int, Frame]],
    window: ClipWindow,
    *,
    every: int,
    resize: Resize,
    causal: bool = False,
    looks: int = 1,
) -> Iterator[MomentClip]:
    """Yield the clip around each moment, in order, as soon as the frame after its last one is there.

    Held at any time: as in `clip_stream.stream_clips`. The frames may go on forever.

    Args:
        arriving: microseconds, rising, and the frame (H, W, 3), of one size.
        window: which frames make a clip.
        every: microseconds from one moment to the next; the first is that of the first frame.
        resize: brings a frame to the network's sizes.
        causal: clips end at their moment, and wait for no later frame but the next one.
        looks: as in `clip_stream.stream_clips`.
    """
    cutter = _Cutter(window, every, resize, causal, looks)
    for time, frame in arriving:
        cutter.add(time, frame)
        yield from cutter.ready(ended=False)
    yield from cutter.ready(ended=True)


class _Cutter:
    """The frames that unfinished clips need, at the network's sizes, and the key frames of these clips."""

    def __init__(self, window: ClipWindow, every: int, resize: Resize, causal: bool, looks: int) -> None:
        self._window, self._every, self._resize = window, every, resize
        middle = window.frames // 2
        self._key_place = window.frames - 1 if causal else middle
        self._shift = np.full(window.frames, (middle - self._key_place) * window.stride, dtype=np.int64)
        self._times: list[int] = []
        self._small: list[tuple[Frame, ...]] = []
        self._key_frames: dict[int, Frame] = {}  # by time
        self._moment: int | None = None  # the next one
        self._looks, self._looks_a_step = _Looks(iter(())), looks
        self._last_key = -1  # when the key frame before is shown

    def add(self, time: int, frame: Frame) -> None:
        """Take a frame in."""
        if self._moment is None:
            self._moment = time
            self._looks = _Looks(_instants(time, self._every, self._looks_a_step))
        self._looks.add(time, frame)
        self._times.append(time)
        self._small.append(self._resize(frame))
        self._key_frames[time] = frame

    def ready(self, *, ended: bool) -> Iterator[MomentClip]:
        """The clips that no later frame can change; at the end all of them."""
        while self._moment is not None and self._moment <= self._times[-1]:
            window = self._chosen(self._moment)
            if window[-1] == len(self._times) - 1 and not ended:
                break
            shown = np.array([self._times[place] for place in window.tolist()], dtype=np.int64)
            clips = joined_frames([self._small[place] for place in window.tolist()])
            key = int(shown[self._key_place])
            between = self._looks.between(self._last_key, key, before=self._moment)
            yield MomentClip(self._moment, clips, self._key_frames[key], shown, between)
            self._moment, self._last_key = self._moment + self._every, key
        self._forget()

    def _chosen(self, moment: int) -> IntArray:
        return self._window.choose(np.array(self._times, dtype=np.int64), moment, self._shift)

    def _forget(self) -> None:
        """Drop what no clip to come needs."""
        if self._moment is None:
            return
        # The first frame of the next clip; the true one may still come, but lies no earlier.
        first = int(self._chosen(self._moment)[0])
        del self._times[:first], self._small[:first]
        times = np.array(self._times, dtype=np.int64)
        pending = np.arange(self._moment, self._times[-1] + 1, self._every, dtype=np.int64)
        kept = {int(times[place]) for place in nearest_frames(times, pending)} | {self._times[-1]}
        self._key_frames = {time: frame for time, frame in self._key_frames.items() if time in kept}


def _instants(first: int, every: int, looks: int) -> Iterator[int]:
    """When the person detector looks between key moments, from the key moment `first` on."""
    if looks > 1:
        for number in count():
            yield from looks_between(first + number * every, first + (number + 1) * every, looks)


class _Looks:
    """The frames between key moments at which the person detector looks."""

    def __init__(self, instants: Iterator[int]) -> None:
        self._instants = instants
        self._next = next(instants, None)
        self._latest: tuple[int, Frame] | None = None
        self._chosen: deque[tuple[int, int, Frame]] = deque()  # instant, when the frame is shown, and the frame

    def add(self, time: int, frame: Frame) -> None:
        """For each instant that is past, choose the nearer one of this frame and the one before."""
        while self._next is not None and self._next <= time:
            around = [(time, frame)] if self._latest is None else [self._latest, (time, frame)]
            times = np.array([shown for shown, _ in around], dtype=np.int64)
            place = int(nearest_frames(times, np.array([self._next], dtype=np.int64))[0])
            if not self._chosen or self._chosen[-1][1] < times[place]:
                self._chosen.append((self._next, *around[place]))
            self._next = next(self._instants, None)
        self._latest = time, frame

    def between(self, last_key: int, key: int, *, before: int) -> tuple[tuple[int, Frame], ...]:
        """Take away those before the key moment `before`, without the key frames, which are shown at the other two."""
        taken = []
        while self._chosen and self._chosen[0][0] < before:
            instant, shown, frame = self._chosen.popleft()
            if last_key < shown < key:
                taken.append((instant, frame))
        return tuple(taken)

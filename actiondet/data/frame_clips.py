"""Cut the clips around key moments out of frames that arrive one by one: from a camera, a queue, another program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from torch import Tensor

from actiondet.data.clip_stream import Frame, MomentClip, joined_frames, resized_frame
from actiondet.video import clip_frames
from actiondet.video.sampling import nearest_frames
from evaluation.records import IntArray


def clips_of_frames(
    arriving: Iterable[tuple[int, Frame]],
    *,
    every: int,
    frames: int,
    stride: int,
    clip_fps: float | None,
    short_sides: Sequence[int],
    causal: bool = False,
) -> Iterator[MomentClip]:
    """Yield the clip around each moment, in order, as soon as the frame after its last one is there.

    Held at any time: as in `clip_stream.stream_clips`. The frames may go on forever.

    Args:
        arriving: microseconds, rising, and the frame (H, W, 3), of one size.
        every: microseconds from one moment to the next; the first is that of the first frame.
        frames, stride, clip_fps: as in `clip_frames`.
        short_sides: of the clips of each moment, in pixels.
        causal: clips end at their moment, and wait for no later frame but the next one.
    """
    cutter = _Cutter(
        every=every, frames=frames, stride=stride, clip_fps=clip_fps, short_sides=short_sides, causal=causal
    )
    for time, frame in arriving:
        cutter.add(time, frame)
        yield from cutter.ready(ended=False)
    yield from cutter.ready(ended=True)


class _Cutter:
    """The frames that unfinished clips need, at the network's sizes, and the key frames of these clips."""

    def __init__(
        self,
        *,
        every: int,
        frames: int,
        stride: int,
        clip_fps: float | None,
        short_sides: Sequence[int],
        causal: bool,
    ) -> None:
        self._every, self._frames, self._stride, self._clip_fps = every, frames, stride, clip_fps
        self._key_place = frames - 1 if causal else frames // 2
        self._shift = np.full(frames, (frames // 2 - self._key_place) * stride, dtype=np.int64)
        self._short_sides = short_sides
        self._times: list[int] = []
        self._small: list[tuple[Tensor, ...]] = []
        self._key_frames: dict[int, Frame] = {}  # by time
        self._moment: int | None = None  # the next one

    def add(self, time: int, frame: Frame) -> None:
        """Take a frame in."""
        if self._moment is None:
            self._moment = time
        self._times.append(time)
        self._small.append(resized_frame(frame, self._short_sides))
        self._key_frames[time] = frame

    def ready(self, *, ended: bool) -> Iterator[MomentClip]:
        """The clips that no later frame can change; at the end all of them."""
        while self._moment is not None and self._moment <= self._times[-1]:
            window = self._window(self._moment)
            if window[-1] == len(self._times) - 1 and not ended:
                break
            shown = np.array([self._times[place] for place in window.tolist()], dtype=np.int64)
            clips = joined_frames([self._small[place] for place in window.tolist()])
            yield MomentClip(self._moment, clips, self._key_frames[int(shown[self._key_place])], shown)
            self._moment += self._every
        self._forget()

    def _window(self, moment: int) -> IntArray:
        times = np.array(self._times, dtype=np.int64)
        return clip_frames(
            times,
            center_us=moment,
            frames=self._frames,
            stride=self._stride,
            clip_fps=self._clip_fps,
            jitter=self._shift,
        )

    def _forget(self) -> None:
        """Drop what no clip to come needs."""
        if self._moment is None:
            return
        # The first frame of the next clip; the true one may still come, but lies no earlier.
        first = int(self._window(self._moment)[0])
        del self._times[:first], self._small[:first]
        times = np.array(self._times, dtype=np.int64)
        pending = np.arange(self._moment, self._times[-1] + 1, self._every, dtype=np.int64)
        kept = {int(times[place]) for place in nearest_frames(times, pending)} | {self._times[-1]}
        self._key_frames = {time: frame for time, frame in self._key_frames.items() if time in kept}

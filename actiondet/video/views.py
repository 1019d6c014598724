"""Which frames of a whole video make its views, by the rules of the field's toolkits. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from actiondet.video.sampling import IntArray


@dataclass(frozen=True, kw_only=True)
class ViewSampling:
    """How clips are taken from a video of which only the number of frames (and their rate) matters.

    Attributes:
        frames: of a clip.
        stride: distance of two frames of a clip; not used by "uniform".
        rule: "mmaction2": every `stride`-th frame, and a short video begins again at its end. "pyslowfast":
            `frames` instants, evenly from first to last, of a span of frames * stride frames of `target_fps`; a short
            video stands still at its end. "uniform": one frame of each of `frames` equal parts of the video.
        target_fps: rate whose frames "pyslowfast" counts.
    """

    frames: int
    stride: int
    rule: Literal["mmaction2", "pyslowfast", "uniform"]
    target_fps: float = 30.0

    def draw(self, count: int, *, rate: float, random: np.random.Generator) -> IntArray:
        """Choose the frames of a random clip for training.

        Args:
            count: frames of the video, at least 1.
            rate: its frames a second.
            random: where the clip's place comes from.

        Returns:
            (frames,) numbers of frames, from 0.
        """
        if self.rule == "mmaction2":
            offset = random.integers(0, max(count - self.frames * self.stride, 0), endpoint=True)
            return self._strided(int(offset), count)
        if self.rule == "pyslowfast":
            span = self._span(rate)
            return self._spread(random.uniform(0, max(count - span, 0)), span, count)
        return self._parted(random.random(self.frames), count)

    def views(self, count: int, *, rate: float, clips: int) -> IntArray:
        """Choose the frames of the clips that a video is tested on.

        Several clips lie as the toolkits have them: from the first to the last possible place ("mmaction2"), or
        beginning at multiples of 1 / clips of the room that a clip has ("pyslowfast", which never reaches the end).
        A single clip is the middle one.

        Args:
            count: frames of the video, at least 1.
            rate: its frames a second.
            clips: how many.

        Returns:
            (clips, frames) numbers of frames, from 0.
        """
        numbers = np.arange(clips)
        if self.rule == "mmaction2":
            room = max(count - ((self.frames - 1) * self.stride + 1), 0)
            # np.round rounds halves to even, as the reference does.
            offsets = np.round(numbers * room / (clips - 1)).astype(np.int64) if clips > 1 else np.array([room // 2])
            return np.stack([self._strided(int(offset), count) for offset in offsets])
        if self.rule == "pyslowfast":
            span = self._span(rate)
            delta = max(count - span, 0.0)
            starts = delta * numbers / clips if clips > 1 else np.array([delta / 2])
            return np.stack([self._spread(float(start), span, count) for start in starts])
        return np.stack([self._parted(np.full(self.frames, (number + 0.5) / clips), count) for number in numbers])

    def _strided(self, offset: int, count: int) -> IntArray:
        strided: IntArray = (offset + np.arange(self.frames, dtype=np.int64) * self.stride) % count
        return strided

    def _span(self, rate: float) -> float:
        """Length of a clip in frames of a file of `rate` frames a second."""
        return self.frames * self.stride * rate / self.target_fps

    def _spread(self, start: float, span: float, count: int) -> IntArray:
        instants = np.linspace(start, start + span - 1, self.frames)
        return np.clip(instants, 0, count - 1).astype(np.int64)

    def _parted(self, shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]], count: int) -> IntArray:
        """The frame at `shares` (frames,) in [0, 1) of each part."""
        places = (np.arange(self.frames) + shares) * count / self.frames
        return np.minimum(places.astype(np.int64), count - 1)

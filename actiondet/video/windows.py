"""Which frames of a video make the clip of a moment, and when a frame is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actiondet.video.sampling import IntArray, clip_frames


@dataclass(frozen=True, kw_only=True)
class ClipWindow:
    """Which frames make a clip; the arguments of `clip_frames` that do not change from clip to clip."""

    frames: int
    stride: int
    clip_fps: float | None
    frame_jitter: bool = False

    def jitter(self, random: np.random.Generator) -> IntArray | None:
        """Shift every frame on its own, by up to half a stride; None where that is switched off."""
        if not self.frame_jitter:
            return None
        shifts: IntArray = random.integers(
            -(self.stride // 2), (self.stride + 1) // 2, size=self.frames, dtype=np.int64
        )
        return shifts

    def choose(self, frame_times: IntArray, center_us: int, jitter: IntArray | None = None) -> IntArray:
        """(frames,) numbers of the frames of a clip around `center_us`."""
        return clip_frames(
            frame_times,
            center_us=center_us,
            frames=self.frames,
            stride=self.stride,
            clip_fps=self.clip_fps,
            jitter=jitter,
        )


def frame_time(frame_times: IntArray, number: int) -> int:
    """When frame `number` (from 1) is shown, in microseconds; beyond the video, when it would be at the mean rate."""
    place, last = number - 1, len(frame_times) - 1
    if 0 <= place <= last:
        return int(frame_times[place])
    step = int(frame_times[-1]) / max(last, 1)
    return round(place * step if place < 0 else int(frame_times[-1]) + (place - last) * step)

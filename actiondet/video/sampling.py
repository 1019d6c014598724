"""Which frames make a clip. Pure arithmetic; nothing here touches a file."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# Two frames are equally near when their distances differ by no more than this. Containers round times (Matroska
# to milliseconds), and without a margin the winner of a tie would change from frame to frame.
TIE_US = 1000


def clip_frames(
    frame_times: IntArray,
    *,
    center_us: int,
    frames: int,
    stride: int,
    clip_fps: float | Fraction | None,
    jitter: IntArray | None = None,
) -> IntArray:
    """Choose the shown frames that make the clip around one moment.

    Element i of the clip stands `(i - frames // 2) * stride + jitter[i]` clip frames from the moment, which is
    therefore element `frames // 2`. A clip frame lasts `1 / clip_fps` seconds, whatever rate the file has: files
    of 10 and 60 frames a second give clips of the same length in time. Each instant takes the shown frame that is
    nearest in time, the earlier of two equally near ones (`nearest_frames`). Instants before the first or after
    the last frame take that frame.

    Args:
        frame_times: (N,) when each frame is shown, microseconds after the first one, rising (`VideoIndex.frame_times`).
        center_us: the moment, microseconds after the first frame.
        frames: length of the clip.
        stride: clip frames between neighbors.
        clip_fps: clip frames a second. None counts the file's own frames, starting at the one nearest to the moment
            (data sets whose moments are frame numbers).
        jitter: (frames,) clip frames to add to each element, as training does; None adds nothing.

    Returns:
        (frames,) numbers of shown frames, from 0.
    """
    steps = (np.arange(frames, dtype=np.int64) - frames // 2) * stride
    if jitter is not None:
        steps = steps + jitter
    if clip_fps is None:
        center = nearest_frames(frame_times, np.array([center_us], dtype=np.int64))[0]
        own: IntArray = np.clip(center + steps, 0, len(frame_times) - 1)
        return own
    fps = Fraction(clip_fps).limit_denominator(1001)  # 29.97 as a float is not a sum of microseconds
    # Whole microseconds, halves rounded up: (2 a + b) // 2 b is floor(a / b + 1/2).
    offsets = (2 * steps * 1_000_000 * fps.denominator + fps.numerator) // (2 * fps.numerator)
    return nearest_frames(frame_times, center_us + offsets)


def nearest_frames(frame_times: IntArray, instants_us: IntArray) -> IntArray:
    """The shown frame nearest to each instant; the earlier one if both are equally near within `TIE_US`.

    Args:
        frame_times: (N,) rising, microseconds; N is at least 1.
        instants_us: (K,) microseconds on the same clock.

    Returns:
        (K,) numbers of frames, from 0.
    """
    if len(frame_times) == 0:
        raise ValueError("a video without frames has no nearest frame")
    later = np.clip(np.searchsorted(frame_times, instants_us), 0, len(frame_times) - 1)
    earlier = np.maximum(later - 1, 0)
    later_is_nearer = (instants_us - frame_times[earlier]) - (frame_times[later] - instants_us) > TIE_US
    reached = frame_times[later] <= instants_us  # met exactly, or the last frame
    return np.where(later_is_nearer | reached, later, earlier).astype(np.int64)


def spread_frames(frames: int, count: int) -> list[int]:
    """`count` frames from the first to the last of `frames`, evenly spread: linspace, rounded down."""
    return [i * (frames - 1) // max(count - 1, 1) for i in range(count)]

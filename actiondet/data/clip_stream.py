"""Cut the clips around key moments out of a video that is decoded once, holding only the frames still needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actiondet.data.transforms import BoxedClip, WholeFrameTransform
from actiondet.datasets.key_frames import TOLERANCE_US
from actiondet.video import VideoIndex, clip_frames, stream_frames
from evaluation.errors import InputError
from evaluation.records import IntArray

Frame = npt.NDArray[np.uint8]
"""(H, W, 3) RGB, as decoded."""
_NO_BOXES = np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class MomentClip:
    """One key moment, ready for person detector and network.

    Attributes:
        time: microseconds from the video's first frame.
        frames: (3, T, h, w) uint8, at the network's size.
        key_frame: (H, W, 3) uint8 RGB, as decoded.
        times: (T,) when its frames are shown, on the clock of `time`.
    """

    time: int
    frames: Tensor
    key_frame: Frame
    times: IntArray


def moment_times(index: VideoIndex, every: float) -> IntArray:
    """Times of the key moments in microseconds: 0, `every`, 2 `every`, ... seconds, up to the last frame."""
    return np.arange(0, int(index.frame_times[-1]) + 1, max(round(every * 1_000_000), 1), dtype=np.int64)


def stream_clips(
    index: VideoIndex, times: IntArray, *, frames: int, stride: int, clip_fps: float | None, short_side: int
) -> Iterator[MomentClip]:
    """Yield the clip around each moment, in order, as soon as its last frame is decoded.

    Held at any time: the frames, at the network's size, from the start of the oldest unfinished clip on, and
    one decoded frame for each unfinished clip. That is some two clips, however long the video is.

    Args:
        index: the video.
        times: (M,) rising, microseconds from the first frame.
        frames, stride, clip_fps: as in `clip_frames`.
        short_side: of the clips, in pixels.

    Raises:
        InputError: decoding ends more than a second before the last frame that the file promises.
    """
    windows = [
        clip_frames(index.frame_times, center_us=int(time), frames=frames, stride=stride, clip_fps=clip_fps)
        for time in times
    ]
    key_frames: dict[int, Frame] = {}
    wanted = {int(window[frames // 2]) for window in windows}
    every_frame = _noting(_every_frame(index), wanted, key_frames)
    for place, clip in _windows(every_frame, windows, short_side=short_side):
        key = int(windows[place][frames // 2])
        yield MomentClip(int(times[place]), clip, key_frames[key], index.frame_times[windows[place]])
        for older in [number for number in key_frames if number < key]:
            del key_frames[older]


def stream_windows(index: VideoIndex, windows: Sequence[IntArray], *, short_side: int) -> Iterator[tuple[int, Tensor]]:
    """Yield number and clip of each window as soon as its last frame is decoded; every frame is resized once.

    Decoding ends with the last window. Held at any time: the frames, at the network's size, from the start of the
    oldest unfinished window on.

    Args:
        index: the video.
        windows: the (T,) frames of each clip, rising; neither first nor last frames may fall from clip to clip.
        short_side: of the clips, in pixels.

    Raises:
        InputError: as in `stream_clips`.
    """
    return _windows(_every_frame(index), windows, short_side=short_side)


def _windows(
    every_frame: Iterator[tuple[int, Frame]], windows: Sequence[IntArray], *, short_side: int
) -> Iterator[tuple[int, Tensor]]:
    """Cut `windows` out of `every_frame`: (number, (3, T, h, w) uint8)."""
    resize = WholeFrameTransform(short_side=short_side)
    wanted = set(np.concatenate(windows).tolist()) if windows else set()
    small: dict[int, Tensor] = {}
    done = 0
    for number, frame in every_frame:
        if number in wanted:
            small[number] = resize(BoxedClip.of(frame[np.newaxis], _NO_BOXES)).tensors()[0]
        while done < len(windows) and windows[done][-1] <= number:
            yield done, torch.cat([small[n] for n in windows[done].tolist()], 1)
            done += 1
            if done < len(windows):
                for older in [n for n in small if n < windows[done][0]]:
                    del small[older]
        if done == len(windows):
            break


def _noting(
    every_frame: Iterator[tuple[int, Frame]], wanted: set[int], noted: dict[int, Frame]
) -> Iterator[tuple[int, Frame]]:
    """Pass the frames on and put those `wanted` into `noted`."""
    for number, frame in every_frame:
        if number in wanted:
            noted[number] = frame
        yield number, frame


def _every_frame(index: VideoIndex) -> Iterator[tuple[int, Frame]]:
    """Number and picture of every frame; for one too damaged to be decoded the next good one, or the last."""
    number = 0
    frame: Frame | None = None
    for time, frame in stream_frames(index.path, index):
        decoded = int(np.searchsorted(index.frame_times, time))
        for shown in range(number, decoded + 1):
            yield shown, frame
        number = decoded + 1
    if frame is None or index.frame_times[-1] - index.frame_times[number - 1] > TOLERANCE_US:
        raise InputError(
            f"{index.path}: decoding ends after {number} of {len(index)} frames; the video is damaged or cut off"
        )
    for shown in range(number, len(index)):
        yield shown, frame

"""Cut the clips around key moments out of a video that is decoded once, holding only the frames still needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actiondet.data.transforms import BoxedClip, TestTransform
from actiondet.video import VideoIndex, clip_frames, stream_frames
from evaluation.errors import InputError
from evaluation.records import IntArray

_LONGEST_GAP = 1_000_000  # microseconds at the end of a video that may fail to decode
_NO_BOXES = np.zeros((0, 4), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class MomentClip:
    """One key moment, ready for person detector and network.

    Attributes:
        time: microseconds from the video's first frame.
        frames: (3, T, h, w) uint8, at the network's size.
        key_frame: (H, W, 3) uint8 RGB, as decoded.
    """

    time: int
    frames: Tensor
    key_frame: npt.NDArray[np.uint8]


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
    wanted = [
        clip_frames(index.frame_times, center_us=int(time), frames=frames, stride=stride, clip_fps=clip_fps)
        for time in times
    ]
    resize = TestTransform(short_side=short_side)
    small: dict[int, Tensor] = {}
    key_frames: dict[int, npt.NDArray[np.uint8]] = {}
    opened = done = 0
    for number, frame in _every_frame(index):
        while opened < len(wanted) and wanted[opened][0] <= number:
            opened += 1
        if any(number in clip for clip in wanted[done:opened]):
            small[number] = resize(BoxedClip.of(frame[np.newaxis], _NO_BOXES)).tensors()[0]
        if any(number == clip[frames // 2] for clip in wanted[done:opened]):
            key_frames[number] = frame
        while done < opened and wanted[done][-1] <= number:
            clip = wanted[done]
            yield MomentClip(int(times[done]), torch.cat([small[n] for n in clip], 1), key_frames[clip[frames // 2]])
            done += 1
            if done < len(wanted):
                small = {n: each for n, each in small.items() if n >= wanted[done][0]}
                key_frames = {n: each for n, each in key_frames.items() if n >= wanted[done][frames // 2]}


def _every_frame(index: VideoIndex) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Number and picture of every frame; for one too damaged to be decoded the next good one, or the last."""
    number = 0
    frame: npt.NDArray[np.uint8] | None = None
    for time, frame in stream_frames(index.path, index):
        decoded = int(np.searchsorted(index.frame_times, time))
        for shown in range(number, decoded + 1):
            yield shown, frame
        number = decoded + 1
    if frame is None or index.frame_times[-1] - index.frame_times[number - 1] > _LONGEST_GAP:
        raise InputError(
            f"{index.path}: decoding ends after {number} of {len(index)} frames; the video is damaged or cut off"
        )
    for shown in range(number, len(index)):
        yield shown, frame

"""Cut the clips around key moments out of a video that is decoded once, holding only the frames still needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from actiondet.data.transforms import BoxedClip, Frames, WholeFrameTransform
from actiondet.datasets.key_frames import TOLERANCE_US
from actiondet.video import VideoIndex, clip_frames
from actiondet.video.sampling import nearest_frames
from actiondet.video.streaming import stream_unconverted
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
        clips: (3, T, h, w) uint8, one at each of the network's sizes.
        key_frame: (H, W, 3) uint8 RGB, as decoded.
        times: (T,) when its frames are shown, on the clock of `time`.
        between: times and frames, as decoded, at which the person detector looks since the key moment before.
    """

    time: int
    clips: tuple[Tensor, ...]
    key_frame: Frame
    times: IntArray
    between: tuple[tuple[int, Frame], ...] = ()


def looks_between(before: int, after: int, looks: int) -> list[int]:
    """The times strictly between two key moments that divide the way into `looks` equal steps."""
    return [before + (after - before) * step // looks for step in range(1, looks)]


def moment_times(index: VideoIndex, every: float) -> IntArray:
    """Times of the key moments in microseconds: 0, `every`, 2 `every`, ... seconds, up to the last frame."""
    return np.arange(0, int(index.frame_times[-1]) + 1, max(round(every * 1_000_000), 1), dtype=np.int64)


def stream_clips(
    index: VideoIndex,
    times: IntArray,
    *,
    frames: int,
    stride: int,
    clip_fps: float | None,
    short_sides: Sequence[int],
    looks: int = 1,
) -> Iterator[MomentClip]:
    """Yield the clip around each moment, in order, as soon as its last frame is decoded.

    Held at any time: the frames, at the network's sizes, from the start of the oldest unfinished clip on, and
    `looks` decoded frames for each unfinished clip. That is some two clips, however long the video is.

    Args:
        index: the video.
        times: (M,) rising, microseconds from the first frame.
        frames, stride, clip_fps: as in `clip_frames`.
        short_sides: of the clips of each moment, in pixels.
        looks: how often the person detector looks from one moment to the next, the moment itself counted.

    Raises:
        InputError: decoding ends more than a second before the last frame that the file promises.
    """
    windows = [
        clip_frames(index.frame_times, center_us=int(time), frames=frames, stride=stride, clip_fps=clip_fps)
        for time in times
    ]
    key_frames: dict[int, Frame] = {}
    keys = [int(window[frames // 2]) for window in windows]
    between = _looks(index, times.tolist(), keys, looks)
    wanted = {*keys, *(number for each in between for _, number in each)}
    every_frame = _noting(_every_frame(index), wanted, key_frames)
    for place, clips in _windows(every_frame, windows, short_sides=short_sides):
        key = keys[place]
        seen = tuple((time, key_frames[number]) for time, number in between[place])
        yield MomentClip(int(times[place]), clips, key_frames[key], index.frame_times[windows[place]], seen)
        for older in [number for number in key_frames if number < key]:
            del key_frames[older]


def _looks(index: VideoIndex, times: Sequence[int], keys: Sequence[int], looks: int) -> list[list[tuple[int, int]]]:
    """For each key moment time and frame of the looks since the one before; each frame is looked at once."""
    between: list[list[tuple[int, int]]] = [[] for _ in times]
    for place in range(1, len(times)):
        instants = np.array(looks_between(times[place - 1], times[place], looks), dtype=np.int64)
        last = keys[place - 1]
        for time, number in zip(instants.tolist(), nearest_frames(index.frame_times, instants).tolist(), strict=True):
            if last < number < keys[place]:
                between[place].append((time, number))
                last = number
    return between


def stream_windows(
    index: VideoIndex, windows: Sequence[IntArray], *, short_sides: Sequence[int]
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Yield number and clips of each window as soon as its last frame is decoded; every frame is resized once a size.

    Decoding ends with the last window. Held at any time: the frames, at the network's sizes, from the start of the
    oldest unfinished window on.

    Args:
        index: the video.
        windows: the (T,) frames of each clip, rising; neither first nor last frames may fall from clip to clip.
        short_sides: of the clips of each window, in pixels.

    Raises:
        InputError: as in `stream_clips`.
    """
    return _windows(_every_frame(index), windows, short_sides=short_sides)


def _windows(
    every_frame: Iterator[tuple[int, Callable[[], Frame]]], windows: Sequence[IntArray], *, short_sides: Sequence[int]
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Cut `windows` out of `every_frame`, converting only what they need.

    Yields:
        Number, and (3, T, h, w) uint8 for each of `short_sides`.
    """
    wanted = set(np.concatenate(windows).tolist()) if windows else set()
    small: dict[int, tuple[Tensor, ...]] = {}
    done = 0
    for number, frame in every_frame:
        if number in wanted:
            small[number] = resized_frame(frame(), short_sides)
        while done < len(windows) and windows[done][-1] <= number:
            yield done, joined_frames([small[n] for n in windows[done].tolist()])
            done += 1
            if done < len(windows):
                for older in [n for n in small if n < windows[done][0]]:
                    del small[older]
        if done == len(windows):
            break


def resized_frame(frame: Frame, short_sides: Sequence[int]) -> tuple[Tensor, ...]:
    """(3, 1, h, w) uint8 at each of these short sides."""
    return resized_frames(frame[np.newaxis], short_sides)[0]


def resized_frames(frames: Frames, short_sides: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Of each of (T, H, W, 3) frames what `resized_frame` gives."""
    whole = BoxedClip.of(frames, _NO_BOXES)
    clips = [WholeFrameTransform(short_side=side)(whole).tensors()[0] for side in short_sides]
    return list(zip(*(torch.split(clip, 1, dim=1) for clip in clips), strict=True))


def joined_frames(frames: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """T frames, each at some sizes, as clips (3, T, h, w) of these sizes."""
    return tuple(torch.cat(of_size, 1) for of_size in zip(*frames, strict=True))


def _noting(
    every_frame: Iterator[tuple[int, Callable[[], Frame]]], wanted: set[int], noted: dict[int, Frame]
) -> Iterator[tuple[int, Callable[[], Frame]]]:
    """Pass the frames on and put those `wanted` into `noted`."""
    for number, frame in every_frame:
        if number in wanted:
            noted[number] = frame()
        yield number, frame


def _every_frame(index: VideoIndex) -> Iterator[tuple[int, Callable[[], Frame]]]:
    """Number and picture of every frame; for one too damaged to be decoded the next good one, or the last."""
    number = 0
    frame: Callable[[], Frame] | None = None
    for time, convert in stream_unconverted(index):
        frame = functools.cache(convert)
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

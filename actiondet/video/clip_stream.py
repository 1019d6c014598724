"""Cut the clips around key moments out of a video that is decoded once, holding only the frames still needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from actiondet.video.index import VideoIndex
from actiondet.video.sampling import nearest_frames
from actiondet.video.streaming import stream_unconverted
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError
from evaluation.records import IntArray

TOLERANCE_US = 1_000_000
"""How far before or beyond its video a key frame may lie: annotations are rounded, and real files end early."""
Frame = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""
Clip = npt.NDArray[np.uint8]
"""(T, h, w, 3) RGB."""
Resize = Callable[[Frame], tuple[Frame, ...]]
"""A frame as decoded to the same at each of the network's sizes."""
Small = TypeVar("Small")


@dataclass(frozen=True, eq=False)
class MomentClip:
    """One key moment, ready for person detector and network.

    Attributes:
        time: microseconds from the video's first frame.
        clips: (T, h, w, 3) uint8 RGB, one at each of the network's sizes.
        key_frame: (H, W, 3) uint8 RGB, as decoded.
        times: (T,) when its frames are shown, on the clock of `time`.
        between: times and frames, as decoded, at which the person detector looks since the key moment before.
    """

    time: int
    clips: tuple[Clip, ...]
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
    index: VideoIndex, times: IntArray, window: ClipWindow, *, resize: Resize, looks: int = 1
) -> Iterator[MomentClip]:
    """Yield the clip around each moment, in order, as soon as its last frame is decoded.

    Held at any time: the frames, at the network's sizes, from the start of the oldest unfinished clip on, and
    `looks` decoded frames for each unfinished clip. That is some two clips, however long the video is.

    Args:
        index: the video.
        times: (M,) rising, microseconds from the first frame.
        window: which frames make a clip.
        resize: brings a frame to the network's sizes.
        looks: how often the person detector looks from one moment to the next, the moment itself counted.

    Raises:
        InputError: decoding ends more than a second before the last frame that the file promises.
    """
    windows = [window.choose(index.frame_times, time) for time in times.tolist()]
    key_frames: dict[int, Frame] = {}
    keys = [int(each[window.frames // 2]) for each in windows]
    between = _looks(index, times.tolist(), keys, looks)
    wanted = {*keys, *(number for each in between for _, number in each)}
    every_frame = _noting(_every_frame(index), wanted, key_frames)
    for place, small in _windows(every_frame, windows, resize=resize):
        key = keys[place]
        seen = tuple((time, key_frames[number]) for time, number in between[place])
        yield MomentClip(
            int(times[place]), joined_frames(small), key_frames[key], index.frame_times[windows[place]], seen
        )
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
    index: VideoIndex, windows: Sequence[IntArray], *, resize: Callable[[Frame], Small]
) -> Iterator[tuple[int, list[Small]]]:
    """Yield number and frames of each window as soon as its last frame is decoded; every frame is resized once.

    Decoding ends with the last window. Held at any time: the frames, at the network's sizes, from the start of the
    oldest unfinished window on.

    Args:
        index: the video.
        windows: the (T,) frames of each clip, rising; neither first nor last frames may fall from clip to clip.
        resize: what is kept of a frame.

    Raises:
        InputError: as in `stream_clips`.
    """
    return _windows(_every_frame(index), windows, resize=resize)


def _windows(
    every_frame: Iterator[tuple[int, Callable[[], Frame]]],
    windows: Sequence[IntArray],
    *,
    resize: Callable[[Frame], Small],
) -> Iterator[tuple[int, list[Small]]]:
    """Cut `windows` out of `every_frame`, converting only what they need."""
    wanted = set(np.concatenate(windows).tolist()) if windows else set()
    small: dict[int, Small] = {}
    done = 0
    for number, frame in every_frame:
        if number in wanted:
            small[number] = resize(frame())
        while done < len(windows) and windows[done][-1] <= number:
            yield done, [small[n] for n in windows[done].tolist()]
            done += 1
            if done < len(windows):
                for older in [n for n in small if n < windows[done][0]]:
                    del small[older]
        if done == len(windows):
            break


def joined_frames(frames: Sequence[tuple[Frame, ...]]) -> tuple[Clip, ...]:
    """T frames, each at some sizes, as clips (T, h, w, 3) of these sizes."""
    return tuple(np.stack(of_size) for of_size in zip(*frames, strict=True))


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

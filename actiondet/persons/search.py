"""Search a video for persons: decoded once, with a few frames in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice

import numpy as np

from actiondet.persons.base import Frame, PersonDetector
from actiondet.persons.key_frames import SearchedMoments
from actiondet.persons.videos import SearchedVideo
from actiondet.video import VideoIndex, index_video
from actiondet.video.clip_stream import TOLERANCE_US
from actiondet.video.streaming import stream_unconverted
from evaluation.errors import InputError
from evaluation.records import FrameKey, IntArray, PersonBoxes


def search_video(
    video: SearchedVideo, detector: PersonDetector, moments: SearchedMoments, *, batch: int = 8
) -> list[PersonBoxes]:
    """Find the persons at the moments of one video.

    Args:
        video: what is searched; the records carry its written name.
        detector: finds them.
        moments: says when.
        batch: frames that are looked at together; as many are held in memory.

    Returns:
        one record a moment, in order; moments where nobody is found are there, too.

    Raises:
        InputError: the video cannot be read up to its last moment, or a moment lies outside of it.
    """
    index = index_video(video.path)
    frames, times = moments.of_video(video.name, index)
    keys = [FrameKey(video.written, moment) for moment in times.tolist()]
    boxes, scores, ends = array("f"), array("f"), array("q")
    with closing(frames_in_turn(index, frames)) as pictures:
        while some := list(islice(pictures, batch)):
            # Only numbers are kept while frames come and go: small objects between them would keep the memory of many
            # a frame from being used again.
            for found in detector.detect(some, keys[len(ends) : len(ends) + len(some)]):
                boxes.frombytes(found.boxes.astype(np.float32, copy=False).tobytes())
                scores.frombytes(found.scores.astype(np.float32, copy=False).tobytes())
                ends.append(len(scores))
    all_boxes, all_scores = np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(scores, dtype=np.float32)
    return [
        PersonBoxes(key, all_boxes[start:end], all_scores[start:end])
        for key, start, end in zip(keys, [0, *ends[:-1]], ends, strict=True)
    ]


def frames_in_turn(index: VideoIndex, frames: IntArray) -> Generator[Frame, None, None]:
    """Yield the pictures of some frames; for one too damaged to be decoded the next good one, or the last.

    Args:
        index: the video.
        frames: (M,) numbers of frames, not falling; a number may be there twice.

    Raises:
        InputError: decoding ends more than a second before a frame that is asked for.
    """
    times = index.frame_times[frames].tolist()
    place, time = 0, 0
    picture: Callable[[], Frame] | None = None
    if not times:
        return
    for time, picture in stream_unconverted(index):
        while times[place] <= time:
            yield picture()
            place += 1
            if place == len(times):
                return
    if picture is None or times[-1] - time > TOLERANCE_US:
        raise InputError(
            f"{index.path}: decoding ends after {time / 1e6:.1f} of {index.frame_times[-1] / 1e6:.1f} s; the video is "
            "damaged or cut off"
        )
    for _ in times[place:]:
        yield picture()

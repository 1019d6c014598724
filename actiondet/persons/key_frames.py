"""At which moments of a video persons are searched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from actiondet.datasets.key_frames import SECOND_US, start_of
from actiondet.persons.videos import SearchedVideo
from actiondet.video import VideoIndex, nearest_frames
from actiondet.video.clip_stream import TOLERANCE_US
from actiondet.video.names import without_suffix
from evaluation.errors import InputError, some
from evaluation.formats.ava import read_ava_csv
from evaluation.moments import annotated_moments
from evaluation.records import IntArray


@dataclass(frozen=True, eq=False)
class SearchedMoments:
    """A rule that says which moments of a video are searched.

    A moment is written as box files have it: microseconds, or a million times the frame number from 1.

    Attributes:
        every: microseconds from one moment to the next; None takes every frame.
        listed: the moments of each video, by its bare name; None takes them by `every`.
        start: time of a file's first frame, in microseconds, on the clock of the moments; not for frame numbers.
        frame_numbers: moments are frames.
        kinetics_clips: files called `<id>_<start>_<end>` begin at their own second.
    """

    every: int | None
    listed: Mapping[str, IntArray] | None
    start: int
    frame_numbers: bool
    kinetics_clips: bool = False

    def split(self, videos: Sequence[SearchedVideo]) -> tuple[list[SearchedVideo], list[str]]:
        """Return the videos that have moments, and the listed names without a video.

        Raises:
            InputError: no video has moments.
        """
        if self.listed is None:
            return list(videos), []
        names = {video.name for video in videos}
        wanted = [video for video in videos if video.name in self.listed]
        absent = sorted(set(self.listed) - names)
        if not wanted:
            raise InputError(
                f"none of the listed videos is there: listed are {some(absent)}, there are {some(sorted(names))}"
            )
        return wanted, absent

    def of_video(self, name: str, index: VideoIndex) -> tuple[IntArray, IntArray]:
        """Return the (M,) frames to look at, not falling, and the (M,) moments that they stand for.

        Raises:
            InputError: a listed moment lies outside of the video.
        """
        if self.listed is not None:
            moments = self.listed[name]
            return self._frames_at(moments, name, index), moments
        instants = index.frame_times
        if self.every is not None:
            instants = np.arange(0, int(index.frame_times[-1]) + 1, self.every, dtype=np.int64)
        frames = nearest_frames(index.frame_times, instants)
        if self.frame_numbers:
            frames = np.unique(frames)
            return frames, (frames + 1) * SECOND_US
        return frames, self._start_of(name) + instants

    def _start_of(self, name: str) -> int:
        return start_of(name, usual=self.start, kinetics_clips=self.kinetics_clips)

    def _frames_at(self, moments: IntArray, name: str, index: VideoIndex) -> IntArray:
        start = self._start_of(name)
        instants = moments - start
        if self.frame_numbers:
            frames = moments // SECOND_US - 1
            outside = (frames < 0) | (frames >= len(index)) | (moments % SECOND_US != 0)
            extent, clock = f"its frames are 1 to {len(index)}", ""
        else:
            frames = nearest_frames(index.frame_times, instants)
            outside = (instants < -TOLERANCE_US) | (instants > index.frame_times[-1] + TOLERANCE_US)
            last = (start + int(index.frame_times[-1])) / SECOND_US
            extent = f"its file lasts from {start / SECOND_US:g} to {last:g} s on that clock"
            clock = " (is --start right?)"
        if outside.any():
            first = int(moments[outside][0]) / SECOND_US
            raise InputError(f"{index.path}: the key frame {first:g} of '{name}' is not in it, {extent}{clock}")
        return frames


def parse_moments(text: str, *, start: float, frame_numbers: bool, kinetics_clips: bool = False) -> SearchedMoments:
    """Read a rule: "1s" or "0.5s" (regular), "all" (every frame), or the path of an AVA-style CSV file.

    Args:
        text: what the user wrote.
        start: seconds; with frame_numbers and kinetics_clips as in SearchedMoments.

    Raises:
        InputError: none of these, a CSV that cannot be read, or a start where moments are frames.
    """
    if frame_numbers and (start or kinetics_clips):
        option = "--start" if start else "--kinetics-clips"
        raise InputError(f"{option}: timestamps of this form are frame numbers, which begin with 1; leave it out")
    rule = SearchedMoments(None, None, round(start * SECOND_US), frame_numbers, kinetics_clips)
    if text == "all":
        return rule
    regular = re.fullmatch(r"([0-9]*\.?[0-9]+)s", text)
    if regular is not None:
        every = round(float(regular[1]) * SECOND_US)
        if every < 1:
            raise InputError(f"--moments {text}: expected a time above 0")
        return replace(rule, every=every)
    if not Path(text).is_file():
        raise InputError(f"--moments {text}: expected seconds such as 1s or 0.5s, all, or an AVA-style CSV file")
    return replace(rule, listed=_read_listed(text))


def _read_listed(path: str) -> dict[str, IntArray]:
    found: dict[str, list[int]] = {}
    for key in annotated_moments(read_ava_csv(path)):
        found.setdefault(without_suffix(key.video), []).append(key.moment)
    return {name: np.unique(np.array(moments, dtype=np.int64)) for name, moments in found.items()}

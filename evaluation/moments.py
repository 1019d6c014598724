"""Moments of videos as integers: one code per (video, moment), so that millions of rows compare quickly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evaluation.errors import InputError
from evaluation.records import DetectionRows, FrameKey, IntArray, TruthRows


class MomentCodes:
    """Numbers moments consistently: video by video in the order of `videos`, within a video by rising moment.

    Args:
        videos: names of all videos.
        first: the least moment that will be numbered.
        last: the largest.

    Raises:
        InputError: they are too many for 64 bits.
    """

    def __init__(self, videos: Iterable[str], first: int, last: int) -> None:
        self._video = {name: code for code, name in enumerate(dict.fromkeys(videos))}
        self._first = first
        self._span = last - first + 1
        if len(self._video) * self._span >= 2**62:
            raise InputError(
                f"the timestamps of {len(self._video)} videos span {self._span} units, more than can be numbered; "
                "are the times in seconds?"
            )

    @classmethod
    def of(cls, tables: Iterable[TruthRows | DetectionRows], keys: Iterable[FrameKey]) -> MomentCodes:
        """Codes for the rows of some tables, and for some keys."""
        tables, keys = list(tables), list(keys)
        names = [*(str(name) for table in tables for name in table.video.categories), *(key.video for key in keys)]
        moments = [table.moment for table in tables if len(table)]
        moments.append(np.array([key.moment for key in keys], dtype=np.int64))
        first = min((int(part.min()) for part in moments if len(part)), default=0)
        return cls(names, first, max((int(part.max()) for part in moments if len(part)), default=0))

    @property
    def videos(self) -> tuple[str, ...]:
        """The names, in the order of their numbers."""
        return tuple(self._video)

    def of_moments(self, video: IntArray, moment: IntArray) -> IntArray:
        """Return the (N,) codes of moments; `video` has places in `videos`."""
        return video * self._span + moment - self._first

    def of_rows(self, table: TruthRows | DetectionRows) -> IntArray:
        """Return the (N,) codes of a table's rows."""
        names = [str(name) for name in table.video.categories]
        offset = np.array([self._video[name] * self._span - self._first for name in names], dtype=np.int64)
        if len(table) == 0:
            return np.empty(0, dtype=np.int64)
        return offset[table.video.codes] + table.moment

    def of_keys(self, keys: Iterable[FrameKey]) -> IntArray:
        """Return the codes of some keys."""
        codes = [self._video[key.video] * self._span + key.moment - self._first for key in keys]
        return np.array(codes, dtype=np.int64)

    def video_of(self, codes: IntArray) -> IntArray:
        """Return the (N,) places in `videos` of some codes."""
        return codes // self._span


def numbered_in_order(codes: IntArray) -> tuple[IntArray, IntArray]:
    """Return (N,) numbers from 0 on, in the order in which codes first appear, and the code of every number.

    Files hold the rows of a moment side by side, mostly, so only the first row of every run is looked up.
    """
    if len(codes) == 0:
        return codes, codes
    heads = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    distinct, first, place = np.unique(codes[heads], return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.empty_like(order)
    numbers[order] = np.arange(len(order))
    return np.repeat(numbers[place], np.diff(heads, append=len(codes))), distinct[order]


def places_of(codes: IntArray, among: IntArray) -> IntArray:
    """Return the (N,) place of every code in `among`, whose codes are all different; -1 where it is not there."""
    if len(among) == 0:
        return np.full(len(codes), -1)
    order = np.argsort(among, kind="stable")
    place = order[np.minimum(np.searchsorted(among, codes, sorter=order), len(order) - 1)]
    return np.where(among[place] == codes, place, -1)


def annotated_moments(truth: TruthRows, *, without: Iterable[FrameKey] = ()) -> list[FrameKey]:
    """Return every moment that the truth names, including those where nobody is, sorted.

    Args:
        truth: annotated boxes.
        without: moments to leave out (the excluded ones).
    """
    _, rows = np.unique(MomentCodes.of([truth], []).of_rows(truth), return_index=True)
    keys = {
        FrameKey(video, moment) for video, moment in zip(truth.video[rows], truth.moment[rows].tolist(), strict=True)
    }
    return sorted((keys | set(truth.empty_moments)) - set(without))

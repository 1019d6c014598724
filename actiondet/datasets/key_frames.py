"""Key frames in time: when their videos begin, and how far beyond the video's end they may lie."""

from __future__ import annotations

from actiondet.config.data_sets import AvaConfig, AvaKineticsConfig
from evaluation.formats.ava_kinetics import kinetics_clip

SECOND_US = 1_000_000
"""Microseconds in a second."""


def start_us(data: AvaConfig, video: str) -> int:
    """When `video` begins, in microseconds on the clock of the annotations."""
    return start_of(video, usual=round(data.start * SECOND_US), kinetics_clips=isinstance(data, AvaKineticsConfig))


def start_of(video: str, *, usual: int, kinetics_clips: bool) -> int:
    """When `video` begins: at `usual`, but a Kinetics clip `<id>_<start>_<end>` at its own second; microseconds."""
    clip = kinetics_clip(video.rpartition("/")[2]) if kinetics_clips else None
    return usual if clip is None else clip[1] * SECOND_US

"""What is known of a video, whatever its frames come from."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from actiondet.video.streaming import ShownFrame


class DescribedVideo(Protocol):
    """Facts about a video; a VideoIndex has them, too."""

    @property
    def path(self) -> str:
        """File, or another name."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""

    @property
    def duration_us(self) -> int:
        """How long it is shown, in microseconds."""

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height."""


class PlayedVideo(DescribedVideo, Protocol):
    """Its frames and its sound, too."""

    @property
    def sound(self) -> str | None:
        """The video file whose sound a drawn video takes over; None where there is none."""

    @property
    def first_shown(self) -> float:
        """Seconds on the file's own clock at which its first frame is shown."""

    def frames(self) -> Iterator[ShownFrame]:
        """Every frame, from the beginning at each call."""

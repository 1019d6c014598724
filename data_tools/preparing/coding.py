"""How the videos of a prepared data set are coded: for reading clips from anywhere in them."""

from __future__ import annotations

from dataclasses import dataclass

GOP = 16
"""Frames from one keyframe to the next. What lies before a wanted frame has to be decoded, too."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What the command line says of it.

    Attributes:
        gop: frames from one keyframe to the next, at most.
        recode: videos that could be linked as they are, are re-encoded, too.
    """

    gop: int = GOP
    recode: bool = False

    @property
    def order(self) -> str:
        """What differs from the usual coding; empty if nothing does."""
        return ("" if self.gop == GOP else f", a keyframe every {self.gop}") + (", coded anew" if self.recode else "")


USUAL = Coding()

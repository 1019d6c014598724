"""Words written into pictures."""

from __future__ import annotations

import os
from functools import cached_property

import cv2
import matplotlib
import numpy as np
from PIL import Image as Canvas
from PIL import ImageDraw, ImageFont

from actiondet.video.pixels import Image

_STROKES = cv2.FONT_HERSHEY_SIMPLEX
_STROKES_HEIGHT = 21  # of OpenCV's capital letters at scale 1, in pixels
_BLACK = (0, 0, 0)


class Lettering:
    """Writes lines of words with a black edge, so that they can be read on any ground.

    OpenCV's strokes know ASCII alone; other words are written in the letters of a font.

    Args:
        height: of capital letters, in pixels.
        font: a TrueType or OpenType file, then used for all words; None takes `usual_font()` where strokes will not do.
    """

    def __init__(self, height: float, font: str | None = None) -> None:
        self._height, self._font = height, font
        self._scale = height / _STROKES_HEIGHT

    def width(self, words: str) -> int:
        """How wide a line is, in pixels."""
        if self._are_strokes(words):
            return int(cv2.getTextSize(words, _STROKES, self._scale, 3)[0][0])
        return round(self._letters.getlength(words)) + 2

    def write(self, picture: Image, words: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
        """Write a line into `picture`; `place` is its left end and the ground that its letters stand on."""
        if self._are_strokes(words):
            for thickness, ink in ((3, _BLACK), (1, color)):
                cv2.putText(picture, words, place, _STROKES, self._scale, ink, thickness, cv2.LINE_AA)
            return
        canvas = Canvas.fromarray(picture)
        ImageDraw.Draw(canvas).text(
            place, words, fill=color, font=self._letters, anchor="ls", stroke_width=1, stroke_fill=_BLACK
        )
        picture[:] = np.asarray(canvas)

    def _are_strokes(self, words: str) -> bool:
        return self._font is None and words.isascii()

    @cached_property
    def _letters(self) -> ImageFont.FreeTypeFont:
        size = self._height / 0.7  # a font's size spans from the highest letter to below the lowest
        return ImageFont.truetype(self._font or usual_font(), size)


def usual_font() -> str:
    """The file of a font that matplotlib brings: accented Latin, Greek, Cyrillic, Arabic letters, but no Chinese."""
    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")

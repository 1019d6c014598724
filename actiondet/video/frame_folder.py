"""Videos kept as a folder of numbered pictures."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from actiondet.video.base import VideoReader
from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.pixels import Image
from evaluation.errors import InputError

# The place of the number in a template: {} {:05d} {:05} %05d %d
_FIELD = re.compile(r"\{(?::0?([0-9]*)d?)?\}|%(?:0([0-9]+))?d")


class FrameFolder(VideoReader):
    """Reads a video that lies in a folder as one numbered picture per frame.

    The folder is listed once, when the reader is made. JPEG, PNG and whatever else OpenCV reads; pictures with an
    EXIF orientation are turned as it says. Can be pickled and forked freely: nothing stays open.

    Args:
        folder: where the pictures are.
        template: file name of a frame, with one field for its number ("img_{:05d}.jpg", "{}.png", "%06d.jpg") and,
            where the names repeat the folder's, "{video}" ("{video}_{:06d}.jpg").
        first: number of the first frame in the file names, usually 0 or 1.
        fps: frames a second; frame i is shown at i / fps.

    Raises:
        InputError: no such folder, no picture of that name, one missing in between, or pictures before `first`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        template: str = "img_{:05d}.jpg",
        first: int = 1,
        fps: Fraction | float = 30,
    ) -> None:
        self._folder = Path(folder)
        fields = list(_FIELD.finditer(template))
        if len(fields) != 1:
            raise InputError(f"{template}: expected a file name with one field for the number, like img_{{:05d}}.jpg")
        self._before = template[: fields[0].start()].replace("{video}", self._folder.name)
        self._after = template[fields[0].end() :].replace("{video}", self._folder.name)
        self._digits = int(fields[0][1] or fields[0][2] or 1)
        self._first = first
        rate = Fraction(fps).limit_denominator(1001)
        if rate <= 0:
            raise InputError(f"{folder}: fps is {fps}, expected frames a second")
        count = self._count()
        height, width, _ = self._picture(0).shape
        super().__init__(
            VideoIndex(
                path=os.fspath(folder),
                width=width,
                height=height,
                rate=rate,
                rotation=0,
                mirrored=False,
                frame_times=np.array([round(number * 1_000_000 / rate) for number in range(count)], dtype=np.int64),
                has_audio=False,
                decord_unsafe="it is a folder of pictures",
                packets=None,
            )
        )

    def _read_rising(self, numbers: IntArray) -> Image:
        images = np.empty((len(numbers), self.index.height, self.index.width, 3), dtype=np.uint8)
        for image, number in zip(images, numbers.tolist(), strict=True):
            picture = self._picture(number)
            if picture.shape != image.shape:
                raise InputError(
                    f"{self.file(number)}: is {picture.shape[1]}x{picture.shape[0]}, "
                    f"the first frame of its folder is {self.index.width}x{self.index.height}"
                )
            image[:] = picture
        return images

    def file(self, number: int) -> Path:
        """The picture of frame `number`, counted from 0."""
        return self._folder / self._name(number)

    def _name(self, number: int) -> str:
        return f"{self._before}{self._first + number:0{self._digits}d}{self._after}"

    def _picture(self, number: int) -> Image:
        file = self.file(number)
        try:  # not cv2.imread: it takes no name that is not UTF-8
            picture = cv2.imdecode(np.fromfile(os.fspath(file), np.uint8), cv2.IMREAD_COLOR)
        except FileNotFoundError:
            raise InputError(f"{file}: no such file") from None
        except (IsADirectoryError, cv2.error):  # an empty file, or more pixels than OpenCV takes
            picture = None
        if picture is None:
            raise InputError(f"{file}: is not a picture that can be read")
        return cast("Image", cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def _count(self) -> int:
        """How many frames there are, from `first` on without a gap."""
        if not self._folder.is_dir():
            raise InputError(f"{self._folder}: no such folder of frames")
        names = os.listdir(self._folder)
        pattern = re.compile(f"{re.escape(self._before)}([0-9]+){re.escape(self._after)}")
        written = (match[1] for match in map(pattern.fullmatch, names) if match)
        numbers = sorted(int(digits) for digits in written if f"{int(digits):0{self._digits}d}" == digits)
        if not numbers:
            some = ", ".join(sorted(names)[:3]) or "nothing"
            raise InputError(f"{self._folder}: no file is named like {self._name(0)}; it holds {some}")
        if numbers[0] < self._first:
            raise InputError(
                f"{self._folder}: has {self._name(numbers[0] - self._first)}, a number before the first frame's "
                f"({self._first}); set the number of the first frame to {numbers[0]}"
            )
        for place, number in enumerate(numbers):
            if number != self._first + place:
                last = self._name(numbers[-1] - self._first)
                raise InputError(f"{self._folder / self._name(place)}: is missing; the folder goes on to {last}")
        return len(numbers)

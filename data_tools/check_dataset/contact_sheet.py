"""A picture of key moments with their boxes and labels: a look shows more than a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from actiondet.config.data_sets import FrameFolderConfig
from actiondet.datasets.thumbnails import narrowed
from actiondet.video import nearest_frames, open_video
from actiondet.video.lettering import Lettering
from actiondet.video.picture_sheet import write_picture_sheet
from actiondet.video.pixels import Image
from evaluation.errors import InputError
from evaluation.records import IntArray

_WIDTH, _COLUMNS = 400, 3
_LETTER_HEIGHT = 8
_COLORS = ((80, 200, 255), (120, 255, 120), (255, 160, 80), (220, 120, 255), (80, 255, 255))

ChooseFrame = Callable[[IntArray], int]
"""Which frame of a video is shown, given when each is (microseconds)."""

MarkedBox = tuple[tuple[float, ...], tuple[str, ...]]
"""A unit box and the names of its labels."""


@dataclass(frozen=True)
class Tile:
    """One picture of the sheet.

    Attributes:
        video: file or folder.
        frame: which frame.
        caption: written below.
        boxes: unit boxes, each with the names of its labels.
        title: names of what the whole picture shows.
    """

    video: Path
    frame: ChooseFrame
    caption: str
    boxes: tuple[MarkedBox, ...] = ()
    title: str = ""


def middle_frame(times: IntArray) -> int:
    """The frame in the middle of a video."""
    return len(times) // 2


def nearest_to(instant_us: int) -> ChooseFrame:
    """The frame that is shown at an instant, in microseconds."""

    def choose(times: IntArray) -> int:
        return int(nearest_frames(times, np.array([instant_us]))[0])

    return choose


def write_contact_sheet(
    path: Path, tiles: Sequence[Tile], pictures: FrameFolderConfig | None, *, font: str | None = None
) -> int:
    """Draw the tiles that can be read, with the letters of `font` if there is one; return how many were drawn."""
    drawn = []
    for tile in tiles:
        with suppress(InputError):  # the checks have reported it, if it matters
            drawn.append(draw_tile(tile, pictures, font))
    if not drawn:
        return 0
    write_picture_sheet(path, drawn, _COLUMNS)
    return len(drawn)


def draw_tile(tile: Tile, layout: FrameFolderConfig | None, font: str | None) -> Image:
    """The frame of a tile with its boxes, names and caption, in RGB.

    Raises:
        InputError: the video cannot be read.
    """
    lettering = Lettering(_LETTER_HEIGHT, font)
    with open_video(tile.video, reader="pyav", pictures=layout) as reader:
        frame = reader.read([tile.frame(reader.index.frame_times)])[0]
    picture = narrowed(frame, _WIDTH)
    size = np.array([picture.shape[1], picture.shape[0]] * 2)
    written: list[tuple[int, int, int]] = []
    for number, (box, names) in enumerate(tile.boxes):
        x1, y1, x2, y2 = (np.array(box) * size).round().astype(int).tolist()
        color = _COLORS[number % len(_COLORS)]
        cv2.rectangle(picture, (x1, y1), (x2, y2), color, 2)
        for line, name in enumerate(names):
            place = _free_place(lettering.width(name), x1 + 2, y1 + 12 + 12 * line, picture.shape[1], written)
            lettering.write(picture, name, place, color)
    lettering.write(picture, tile.title, (4, 14), _COLORS[0])
    lettering.write(picture, tile.caption, (4, picture.shape[0] - 6), (255, 255, 255))
    return picture


def _free_place(long: int, x: int, y: int, width: int, written: list[tuple[int, int, int]]) -> tuple[int, int]:
    """A place for a name in the picture, and off those `written` already: lower, if need be; it is added to them."""
    x = max(2, min(x, width - long - 2))
    while any(abs(y - other) < 12 and x < end and begin < x + long for begin, end, other in written):
        y += 1
    written.append((x, x + long, y))
    return x, y

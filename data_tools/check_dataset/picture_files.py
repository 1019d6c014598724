"""The pictures of a folder of frames: all of one size, and none cut off; known from their first and last bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

Size = tuple[int, int]
"""Width and height in pixels, as stored."""

_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
# Some cameras pad their files; no more than this is searched for the end.
_TAIL = 4096


def picture_fault(files: Iterable[Path]) -> str | None:
    """The first picture that is cut off, unreadable, or of another size than the first one; None: all are sound.

    Decoders fill a JPEG that is cut off with gray and say nothing. Only the headers and the last bytes are read, so a
    folder of 27,000 pictures takes seconds.
    """
    usual: Size | None = None
    first: Path | None = None
    for file in files:
        try:
            size = _size(file)
        except (OSError, ValueError) as fault:
            return f"{file.name}: {fault}"
        if usual is None:
            usual, first = size, file
        elif size != usual and first is not None:
            return f"{file.name} is {size[0]}x{size[1]}, {first.name} is {usual[0]}x{usual[1]}"
    return None


def _size(file: Path) -> Size:
    """Width and height of a whole picture.

    Raises:
        ValueError: it is cut off, or not a picture.
    """
    try:
        with Image.open(file) as picture:
            width, height = picture.size
            kind = picture.format or ""
    except UnidentifiedImageError:
        raise ValueError("not a picture that can be read") from None
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL))
        if _ENDS.get(kind, b"") not in stream.read():
            raise ValueError(f"the end of the {kind} is missing")
    return width, height

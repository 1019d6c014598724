"""The pictures of a folder of frames: all of one size, and none cut off; known from their first and last bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2

Size = tuple[int, int]
"""Width and height in pixels, as stored."""

# A JPEG's frame headers (SOF): baseline, progressive and their kin; DHT, JPG and DAC share the range.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
# Some cameras pad their files; no more than this is searched for the end.
_TAIL = 4096


def picture_fault(files: Iterable[Path]) -> str | None:
    """The first picture that is cut off, unreadable, or of another size than the first one; None: all are sound.

    Decoders fill a JPEG that is cut off with gray and say nothing. Only the headers and the last bytes are read, so a
    folder of 27,000 pictures takes a second.
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
    with file.open("rb") as stream:
        start = stream.read(26)
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - _TAIL))
        tail = stream.read()
        if start.startswith(b"\xff\xd8"):
            if _JPEG_END not in tail:
                raise ValueError("the end of the JPEG is missing")
            stream.seek(2)
            while len(marker := stream.read(4)) == 4 and marker[0] == 0xFF:
                if marker[1] in _FRAME_HEADERS:
                    header = stream.read(5)
                    return int.from_bytes(header[3:5], "big"), int.from_bytes(header[1:3], "big")
                stream.seek(int.from_bytes(marker[2:4], "big") - 2, 1)
            raise ValueError("the JPEG has no frame header")
    if start.startswith(b"\x89PNG\r\n"):
        if _PNG_END not in tail:
            raise ValueError("the end of the PNG is missing")
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    decoded = cv2.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        raise ValueError("not a picture that can be read")
    return decoded.shape[1], decoded.shape[0]

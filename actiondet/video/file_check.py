"""What is known of a video file without decoding it: that it is there, and that all of it is there.

Half a video decodes without complaint up to the cut, so a clip near the end would silently repeat an earlier
frame. mp4/mov, AVI and Matroska/WebM say how long they are; a file shorter than it says is refused. MPEG-TS and
bare streams say nothing: they are read as far as they go.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from evaluation.errors import InputError

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")


def check_file(path: str) -> None:
    """Raise an InputError that names `path` unless it is a file that is as long as its header says."""
    file_path = Path(path)
    if not file_path.exists():
        raise InputError(f"{path}: no such file")
    if file_path.is_dir():
        raise InputError(f"{path}: is a folder, expected a video file")
    size = file_path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: is empty (0 bytes), expected a video")
    with file_path.open("rb") as file:
        promised = _promised_size(file, size, path)
    if promised > size:
        raise InputError(f"{path}: is cut off: its header promises {promised} bytes, it has {size}; copy it again")


def _promised_size(file: BinaryIO, size: int, path: str) -> int:
    """The length in bytes by the file's own header; `size` if it has none."""
    head = file.read(12)
    file.seek(0)
    if head[4:8] in _MP4_BOXES:
        promised, kinds = _end_of_boxes(file, size)
        if promised <= size and b"moov" not in kinds:
            raise InputError(f"{path}: has no table of contents (moov box): it was not recorded or copied to its end")
        return promised
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _end_of_riff(file, size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _end_of_ebml(file, size)
    return size


def _end_of_boxes(file: BinaryIO, size: int) -> tuple[int, set[bytes]]:
    """Where the last box of an mp4/mov file ends by its own word, and which boxes there are (ISO 14496-12, 4.2)."""
    offset = 0
    kinds: set[bytes] = set()
    while offset + 8 <= size:
        file.seek(offset)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            long_length = file.read(8)
            if len(long_length) < 8:
                return offset + 16, kinds
            (length,), header = struct.unpack(">Q", long_length), 16
        elif length == 0:  # "to the end of the file"
            length = size - offset
        if length < header or not kind.isalnum():
            break  # what follows is padding, not a box
        kinds.add(kind)
        offset += length
    return offset, kinds


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Where the last RIFF chunk of an AVI file ends by its own word; long files are a chain of them (OpenDML)."""
    offset = 0
    while offset + 12 <= size:
        file.seek(offset)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length == 0:
            break
        offset += 8 + length + length % 2
    # Some writers count the 8 bytes of the header twice; that little is never a frame.
    return offset if offset > size + 16 else min(offset, size)


def _end_of_ebml(file: BinaryIO, size: int) -> int:
    """Where the Segment of a Matroska or WebM file ends by its own word (RFC 8794); `size` if it does not say."""

    def number(*, keep_marker: bool) -> int | None:
        first = file.read(1)
        if not first or first[0] == 0:
            return None
        length = 9 - first[0].bit_length()
        raw = first + file.read(length - 1)
        if keep_marker:
            return int.from_bytes(raw, "big")
        value = int.from_bytes(raw, "big") & ((1 << (7 * length)) - 1)
        return None if value == (1 << (7 * length)) - 1 else value  # all ones: length unknown (a live stream)

    while (element := number(keep_marker=True)) is not None:
        length = number(keep_marker=False)
        if length is None:
            break
        end = file.tell() + length
        if element == 0x18538067:
            return end
        file.seek(end)
    return size

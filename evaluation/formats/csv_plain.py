"""Plain rows of an AVA-style CSV file: without quotes or missing values, all of 7 or all of 8 columns."""

from __future__ import annotations

from codecs import BOM_UTF8

import numpy as np
import numpy.typing as npt

from evaluation.formats.csv_numbers import MARGIN, ByteArray, padded, read_numbers, windows
from evaluation.records import FloatArray, IntArray

_ODD = (b'"', b"\r", b"\0")
"""What readers of CSV files take differently."""
_OF_NUMBERS = b"0123456789.+-eE"
_AT_ONCE = 1 << 15
"""So many numbers at once stay in the processor's caches."""


def read_plain(block: bytes) -> tuple[npt.NDArray[np.object_], list[FloatArray]] | None:
    """Read the names of column 1 and the numbers of columns 2 to 8, the very floats that float() gives.

    Args:
        block: ends with a line's end.

    Returns:
        (N,) names and seven times (N,) numbers; NaN in place of column 8 where there is none. None where some row is
        not plain.
    """
    width = block.count(b",", 0, block.index(b"\n")) + 1
    if width not in (7, 8) or block.startswith(BOM_UTF8) or any(odd in block for odd in _ODD):
        return None
    bytes_ = padded(block)
    separators = np.flatnonzero((bytes_ == ord(",")) | (bytes_ == ord("\n")))
    rows = block.count(b"\n")
    if len(separators) != rows * width:
        return None
    ends = np.ascontiguousarray(separators.reshape(rows, width).T)
    if (bytes_[ends[-1]] != ord("\n")).any():
        return None
    begins = np.concatenate([[MARGIN], ends[-1, :-1] + 1])
    names = _names(block, bytes_, begins, ends[0])
    if names is None:
        return None
    numbers = _numbers(block, bytes_, (ends[:-1] + 1).ravel(), ends[1:].ravel())
    if numbers is None:
        return None
    columns = list(numbers.reshape(width - 1, rows))
    if width == 7:
        columns.append(np.full(rows, np.nan))
    return names, columns


def _names(block: bytes, bytes_: ByteArray, starts: IntArray, ends: IntArray) -> npt.NDArray[np.object_] | None:
    """The texts between some places; None where one is empty or not in UTF-8. Neighbors are mostly the same."""
    lengths = ends - starts
    if lengths.min() < 1:
        return None
    words = windows(bytes_, 8)
    first, last = words[starts].view(np.uint64), words[ends - 8].view(np.uint64)  # all of a name of 8 to 16 bytes
    new = np.ones(len(starts), dtype=np.bool_)
    new[1:] = (lengths[1:] != lengths[:-1]) | (first[1:] != first[:-1]) | (last[1:] != last[:-1])
    new |= (lengths < 8) | (lengths > 16)
    heads = np.flatnonzero(new)
    places = zip((starts[heads] - MARGIN).tolist(), (ends[heads] - MARGIN).tolist(), strict=True)
    try:
        names = [block[start:end].decode() for start, end in places]
    except UnicodeDecodeError:
        return None
    return np.repeat(np.array(names, dtype=object), np.diff(heads, append=len(starts)))


def _numbers(block: bytes, bytes_: ByteArray, starts: IntArray, ends: IntArray) -> FloatArray | None:
    """The numbers between some places; None where one is none."""
    values, sound = np.empty(len(starts)), np.empty(len(starts), dtype=np.bool_)
    for first in range(0, len(starts), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        values[some], sound[some] = read_numbers(bytes_, starts[some], ends[some])
    for row in np.flatnonzero(~sound).tolist():
        text = block[starts[row] - MARGIN : ends[row] - MARGIN]
        if text.translate(None, _OF_NUMBERS):  # float() takes spaces, underscores, nan and inf, too
            return None
        try:
            values[row] = float(text)
        except ValueError:
            return None
    return values

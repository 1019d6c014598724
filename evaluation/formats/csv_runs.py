"""Runs of rows in an AVA-style CSV file that differ in label and score alone: all that is said of one box.

A detector writes its scores of 60 or 80 actions for every box. Of such a run the first row, the head, is read whole; of
the others label and score are read here, for all rows of a block at once.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.formats.csv_numbers import (
    MARGIN,
    ByteArray,
    bytes_after,
    highest_byte,
    padded,
    read_numbers,
    windows,
    words_before,
)
from evaluation.records import FloatArray, IntArray

_WIDEST = MARGIN
_NEWLINE = ord("\n")


class CsvRuns(NamedTuple):
    """The N rows of a block.

    Attributes:
        heads: text of the H heads, a line each.
        head: (H,) their rows, rising, from 0.
        labels: (N,) column 7; of heads it says nothing.
        scores: (N,) column 8; of heads it says nothing.
    """

    heads: bytes
    head: IntArray
    labels: IntArray
    scores: FloatArray


def find_runs(block: bytes) -> CsvRuns | None:
    """Find the runs of a block of whole lines.

    A row continues the one before it if both end in a label of one or two digits and a score that `read_numbers` reads,
    and what comes before these is the same in every byte. That it has six columns is for the reader of the heads to
    find out.

    Args:
        block: ends with a line's end.

    Returns:
        None where most rows are heads, and where there is what must be seen whole: quotes, a byte-order mark at the
        beginning, lines of less than seven bytes.
    """
    if b'"' in block or block.startswith(BOM_UTF8):
        return None
    bytes_ = padded(block)
    ends = _line_ends(bytes_)
    if ends is None:
        return None
    starts = np.concatenate([[MARGIN], ends[:-1] + 1])
    lengths = _score_lengths(bytes_, ends)
    scores, simple = read_numbers(bytes_, ends - lengths, ends)
    comma = ends - lengths - 1
    pairs = windows(bytes_, 4)[comma - 4].view("<u2").reshape(-1, 2)
    labels = _LABELS[pairs[:, 1]]
    long = labels >= 100
    simple &= (labels >= 0) & (~long | (pairs[:, 0] >> 8 == ord(",")))
    labels[long] -= 100
    lengths = comma - 2 - long - starts
    simple &= lengths >= 8

    same = simple[1:] & simple[:-1] & (lengths[1:] == lengths[:-1])
    least, most = int(lengths[simple].min(initial=_WIDEST)), int(lengths[simple].max(initial=0))
    width = 1 << (least.bit_length() - 1)
    starts[~simple] = 0
    texts = windows(bytes_, width)
    for place in range(0, most, width):
        at = starts + (place if place <= least - width else np.clip(lengths - width, 0, place))
        same &= _equal_to_next(texts[at])
    head = np.flatnonzero(np.concatenate([[True], ~same]))
    if 2 * len(head) > len(ends):
        return None
    first = np.concatenate([[0], ends[:-1] + 1 - MARGIN])[head].tolist()
    last = (ends[head] + 1 - MARGIN).tolist()
    return CsvRuns(
        heads=b"".join([block[start:stop] for start, stop in zip(first, last, strict=True)]),
        head=head,
        labels=labels.astype(np.int64),
        scores=scores,
    )


def _score_lengths(bytes_: ByteArray, ends: IntArray) -> IntArray:
    """Return how many bytes come after the last comma before each end; 0 where it is too far away."""
    first = bytes_[MARGIN : ends[0]].tobytes().rpartition(b",")[2]
    for words in range(min(len(first) // 8 + 1, 3), 4):
        lengths = bytes_after(words_before(bytes_, ends, words), ",")
        far = lengths >= 8 * words
        if 8 * np.count_nonzero(far) < len(far):
            break
    lengths[far] = 0
    return lengths


def _equal_to_next(texts: npt.NDArray[np.void]) -> BoolArray:
    """Return (N - 1,) whether each of N texts of 8, 16, 32 or 64 bytes is the next one."""
    words = texts.itemsize // 8
    rows = texts.view(np.uint64).reshape(-1, words)
    equal: BoolArray = (rows[1:] == rows[:-1]).view(f"u{words}").ravel() == int.from_bytes(b"\1" * words, "little")
    return equal


def _line_ends(bytes_: ByteArray) -> IntArray | None:
    """Return the places of all line feeds, rising; None where two are less than eight bytes apart or there is none."""
    words = (bytes_ == _NEWLINE).view(np.uint64)
    found = np.flatnonzero(words != 0)
    ones = words[found]
    if len(found) == 0 or bool((ones & (ones - np.uint64(1))).any()):
        return None
    return found * 8 + highest_byte(ones)


def _label_table() -> npt.NDArray[np.int16]:
    """Return what two bytes before a comma say: ",7" is 7, "12" is 112, anything else is -1."""
    table = np.full(1 << 16, -1, dtype=np.int16)
    for number in range(100):
        table[int.from_bytes(f"{number:02d}".encode(), "little")] = 100 + number
    for digit in range(10):
        table[int.from_bytes(f",{digit}".encode(), "little")] = digit
    return table


_LABELS = _label_table()

"""Runs of rows in an AVA-style CSV file that differ in label and score alone: all that is said of one box.

A detector writes its scores of 60 or 80 actions for every box. Of such a run the first row, the head, is left to a
full parser; of the others label and score are read here, for all rows of a block at once, eight bytes as one integer.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.records import FloatArray, IntArray

_Words = npt.NDArray[np.uint64]

_WIDEST = 64
_MARGIN = _WIDEST
"""Bytes around a block, so that as many can be read before and after every place in it."""
_NEWLINE = ord("\n")
_COMMA_ZERO = int.from_bytes(b",0", "little")


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

    A row continues the one before it if both end in a label of one or two digits and a score between 0 and 1 of one to
    seven decimals, and what comes before these is the same in every byte. That it has six columns is for the parser
    of the heads to find out. Scores are exact: the quotient of two integers that float64 holds is what float() gives.

    Args:
        block: ends with a line's end.

    Returns:
        None where most rows are heads, and where there is what the parser must see whole: quotes, a byte-order mark at
        the beginning, lines of less than seven bytes.
    """
    if b'"' in block or block.startswith(BOM_UTF8):
        return None
    padding = -len(block) % 8
    bytes_ = np.frombuffer(b"".join((bytes(_MARGIN), block, bytes(_MARGIN + padding))), dtype=np.uint8)
    ends = _line_ends(bytes_)
    if ends is None:
        return None
    starts = np.concatenate([[_MARGIN], ends[:-1] + 1])
    windows = _windows(bytes_, 8)

    # "...,12,0.0193": the last point, the digits after it, a comma and a zero before it, the label before these.
    tail = windows[ends - 8].view(np.uint64)
    decimals = 7 - _last_place(tail, ".")
    simple = (decimals >= 1) & (decimals <= 7)
    decimals[~simple] = 1
    numerators, sound = _integers(tail, decimals)
    simple &= sound
    comma = ends - decimals - 3
    comma[~simple] = _MARGIN
    pairs = windows[comma - 6].view("<u2").reshape(-1, 4)
    simple &= pairs[:, 3] == _COMMA_ZERO
    labels = _LABELS[pairs[:, 2]]
    long = labels >= 100
    simple &= (labels >= 0) & (~long | (pairs[:, 1] >> 8 == ord(",")))
    labels[long] -= 100
    lengths = comma - 2 - long - starts
    simple &= lengths >= 8

    same = simple[1:] & simple[:-1] & (lengths[1:] == lengths[:-1])
    least, most = int(lengths[simple].min(initial=_WIDEST)), int(lengths[simple].max(initial=0))
    width = 1 << (least.bit_length() - 1)
    starts[~simple] = 0
    windows = _windows(bytes_, width)
    for place in range(0, most, width):
        at = starts + (place if place <= least - width else np.clip(lengths - width, 0, place))
        same &= _equal_to_next(windows[at])
    head = np.flatnonzero(np.concatenate([[True], ~same]))
    if 2 * len(head) > len(ends):
        return None
    first = np.concatenate([[0], ends[:-1] + 1 - _MARGIN])[head].tolist()
    last = (ends[head] + 1 - _MARGIN).tolist()
    return CsvRuns(
        heads=b"".join([block[start:stop] for start, stop in zip(first, last, strict=True)]),
        head=head,
        labels=labels.astype(np.int64),
        scores=numerators / _POWERS[decimals],
    )


def _windows(bytes_: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.void]:
    """Return the `width` bytes from each place on, without a copy."""
    windows: npt.NDArray[np.void] = np.ndarray(len(bytes_) - width + 1, dtype=f"V{width}", buffer=bytes_, strides=(1,))
    return windows


def _equal_to_next(windows: npt.NDArray[np.void]) -> BoolArray:
    """Return (N - 1,) whether each of N windows of 8, 16, 32 or 64 bytes is the next one."""
    words = windows.itemsize // 8
    texts = windows.view(np.uint64).reshape(-1, words)
    equal: BoolArray = (texts[1:] == texts[:-1]).view(f"u{words}").ravel() == int.from_bytes(b"\1" * words, "little")
    return equal


def _line_ends(bytes_: npt.NDArray[np.uint8]) -> IntArray | None:
    """Return the places of all line feeds, rising; None where two are less than eight bytes apart or there is none."""
    words = (bytes_ == _NEWLINE).view(np.uint64)
    found = np.flatnonzero(words != 0)
    ones = words[found]
    if len(found) == 0 or bool((ones & (ones - np.uint64(1))).any()):
        return None
    return found * 8 + _highest_byte(ones)


def _highest_byte(words: _Words) -> IntArray:
    """Return the place, from 0, of the highest byte that is not 0, from the exponent of the word as a float.

    Of words in whose bytes at most one bit is set, the same in all; a word of 0 gives a negative place.
    """
    return (words.astype(np.float64).view(np.int64) >> 52) - 1023 >> 3


def _last_place(words: _Words, letter: str) -> IntArray:
    """Return the place in each word, from 0, of the last byte that is `letter`; negative where none is."""
    other = words ^ _repeated(ord(letter))
    low = _repeated(0x7F)
    equal: _Words = np.invert(((other & low) + low) | other | low)  # 0x80 in bytes that are, 0 in others
    return _highest_byte(equal)


def _integers(words: _Words, digits: IntArray) -> tuple[_Words, BoolArray]:
    """Return the integers that the last `digits` bytes of words write, and which are digits indeed."""
    shift = (64 - 8 * digits).astype(np.uint64)
    values = ((words ^ _repeated(ord("0"))) >> shift) << shift
    sound: BoolArray = ((values + _repeated(0x76)) | values) & _repeated(0x80) == 0
    # Eight digits to four pairs, to one number: D. Lemire, "Quickly parsing eight digits", 2022.
    pairs = values * np.uint64(10) + (values >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    high = (pairs & mask) * np.uint64(100 + (1_000_000 << 32))
    low = ((pairs >> np.uint64(16)) & mask) * np.uint64(1 + (10_000 << 32))
    return (high + low) >> np.uint64(32), sound


def _repeated(byte: int) -> np.uint64:
    """A word of eight equal bytes."""
    word: np.uint64 = np.uint64(byte * 0x0101010101010101)
    return word


def _label_table() -> npt.NDArray[np.int16]:
    """Return what two bytes before a comma say: ",7" is 7, "12" is 112, anything else is -1."""
    table = np.full(1 << 16, -1, dtype=np.int16)
    for number in range(100):
        table[int.from_bytes(f"{number:02d}".encode(), "little")] = 100 + number
    for digit in range(10):
        table[int.from_bytes(f",{digit}".encode(), "little")] = digit
    return table


_LABELS = _label_table()
_POWERS = np.array([10**power for power in range(9)], dtype=np.float64)

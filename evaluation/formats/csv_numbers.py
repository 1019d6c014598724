"""Numbers in the bytes of a file, for a whole column at once: eight bytes as one integer, results as of float()."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from evaluation.boxes import BoolArray
from evaluation.records import FloatArray, IntArray

ByteArray = npt.NDArray[np.uint8]
WordArray = npt.NDArray[np.uint64]

MARGIN = 64
"""Bytes around a text, so that as many can be read before and after every place in it."""
_WIDEST = 24
"""The most bytes of a number that are read here; repr() writes up to 24 of a float between 0 and 1."""


def padded(text: bytes) -> ByteArray:
    """The bytes of a text with a margin around it, a multiple of eight."""
    return np.frombuffer(b"".join((bytes(MARGIN), text, bytes(MARGIN - len(text) % 8))), dtype=np.uint8)


def windows(bytes_: ByteArray, width: int) -> npt.NDArray[np.void]:
    """Return the `width` bytes from each place on, without a copy."""
    result: npt.NDArray[np.void] = np.ndarray(len(bytes_) - width + 1, dtype=f"V{width}", buffer=bytes_, strides=(1,))
    return result


def words_before(bytes_: ByteArray, ends: IntArray, count: int) -> list[WordArray]:
    """Return the words of eight bytes before some places: first the last ones, then those before them."""
    texts = windows(bytes_, 8 * count)[ends - 8 * count].view(np.uint64).reshape(-1, count)
    return list(texts.T[::-1])


def repeated(letter: str) -> np.uint64:
    """A word of eight equal bytes."""
    word: np.uint64 = np.uint64(ord(letter) * 0x0101010101010101)
    return word


def highest_byte(words: WordArray) -> IntArray:
    """Return the place, from 0, of the highest byte that is not 0, from the exponent of the word as a float.

    Of words in whose bytes at most one bit is set, the same in all; a word of 0 gives a negative place.
    """
    return (words.astype(np.float64).view(np.int64) >> 52) - 1023 >> 3


def bytes_after(words: list[WordArray], letter: str) -> IntArray:
    """Return how many bytes come after the last one that is `letter`; more than there are where none is."""
    low = repeated("\x7f")
    result: IntArray | None = None
    for number, word in enumerate(words):
        other = word ^ repeated(letter)
        equal: WordArray = np.invert(((other & low) + low) | other | low)  # 0x80 in bytes that are, 0 in others
        after = 8 * number + 7 - highest_byte(equal)
        result = after if result is None else np.minimum(result, after)
    assert result is not None
    return result


def read_numbers(bytes_: ByteArray, starts: IntArray, ends: IntArray) -> tuple[FloatArray, BoolArray]:
    """Read (N,) numbers such as 0902, 0.0193, 0.10102756321430206 or 8.302e-05.

    Args:
        bytes_: `padded` text.
        starts: (N,) the place of each number's first byte.
        ends: (N,) the place after its last byte.

    Returns:
        (N,) the very floats that float() gives; and (N,) which they are. The others have a sign, another exponent or
        too many digits, or are not numbers.
    """
    values, sound = _read(bytes_, starts, ends, None)
    left = np.flatnonzero(~sound & (ends - starts >= 5))
    if len(left):
        # Of numbers such as 8.302e-05 what comes before the exponent is divided by so much more.
        last = words_before(bytes_, ends[left], 1)[0]
        powers, of_power = _integers(last, np.full(len(left), 2))
        scientific = of_power & ((last >> np.uint64(32)).astype(np.uint16) == int.from_bytes(b"e-", "little"))
        left = left[scientific]
        values[left], sound[left] = _read(bytes_, starts[left], ends[left] - 4, powers[scientific])
    return values, sound


def _read(
    bytes_: ByteArray, starts: IntArray, ends: IntArray, powers: WordArray | None
) -> tuple[FloatArray, BoolArray]:
    """`read_numbers` without exponents, each divided by ten to one of `powers`."""
    lengths = ends - starts
    sound: BoolArray = (lengths >= 1) & (lengths <= _WIDEST)
    longest = int(lengths.max(initial=1, where=sound))
    words = words_before(bytes_, ends, -(-longest // 8))
    decimals = bytes_after(words, ".")
    whole = lengths - decimals - 1  # digits before the point
    pointless = whole < 0
    if pointless.any():
        decimals = np.where(pointless, 0, decimals)
        whole = np.where(pointless, lengths, whole)
    sound &= (whole >= 1) & (whole <= 8) & (whole + decimals <= _WIDEST)
    numerators, of_decimals = _long_integers(words, np.where(sound, decimals, 0))
    before, of_whole = _integers(words_before(bytes_, ends - decimals - ~pointless, 1)[0], np.where(sound, whole, 0))
    sound &= of_decimals & of_whole & ((whole + decimals <= 18) | (before == 0))
    decimals = np.where(sound, decimals, 0)
    numerators += before * _POWERS[np.minimum(decimals, 18)]
    exponents = decimals if powers is None else decimals + powers.astype(np.int64)
    if int(numerators.max(initial=0)) <= 2**53 and int(exponents.max(initial=0)) <= _LARGEST_EXACT:
        return numerators / _TENS[exponents], sound
    values, certain = _quotients(numerators, exponents)
    return values, sound & certain


def _integers(words: WordArray, digits: IntArray) -> tuple[WordArray, BoolArray]:
    """Return the integers that the last `digits` bytes of words write, and which are digits indeed."""
    shift = (64 - 8 * digits).astype(np.uint64)  # numpy shifts by 64, too
    values = ((words ^ repeated("0")) >> shift) << shift
    sound: BoolArray = ((values + repeated("\x76")) | values) & repeated("\x80") == 0
    # Eight digits to four pairs, to one number: D. Lemire, "Quickly parsing eight digits", 2022.
    pairs = values * np.uint64(10) + (values >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    high = (pairs & mask) * np.uint64(100 + (1_000_000 << 32))
    low = ((pairs >> np.uint64(16)) & mask) * np.uint64(1 + (10_000 << 32))
    return (high + low) >> np.uint64(32), sound


def _long_integers(words: list[WordArray], digits: IntArray) -> tuple[WordArray, BoolArray]:
    """`_integers` of several words, up to 10**18."""
    total, sound = _integers(words[0], np.minimum(digits, 8))
    for number, word in enumerate(words[1:], start=1):
        part, of_part = _integers(word, np.clip(digits - 8 * number, 0, 8))
        if number == 2:
            of_part &= part < 100
        total += part * _POWERS[8 * number]
        sound &= of_part
    return total, sound


def _quotients(numerators: WordArray, exponents: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return numerators, up to 2**63, divided by powers of ten, rounded as float() does; and where that is certain.

    A first quotient is corrected by its remainder. Both are kept as sums of two floats, whose products and sums are
    exact: T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
    """
    top = numerators.astype(np.float64)
    rest = (numerators - top.astype(np.uint64)).view(np.int64).astype(np.float64)
    tens = _TENS[exponents]
    first = top / tens
    product = first * tens
    scaled = first * _SPLIT
    high = scaled - (scaled - first)
    low = first - high
    tens_high, tens_low = _TENS_HIGH[exponents], _TENS_LOW[exponents]
    lost = ((high * tens_high - product) + high * tens_low + low * tens_high) + low * tens_low
    correction = (((top - product) - lost) + rest - first * _TENS_REST[exponents]) / tens
    values = first + correction
    # What rounding left out, a little enlarged, must not change the result: otherwise it may lie on the other side.
    left_out = correction - (values - first)
    return values, values + left_out * (1 + 2.0**-40) == values


_LARGEST_EXACT = 22
"""Up to here float64 holds every power of ten."""
_SPLIT = 2.0**27 + 1
_POWERS = np.array([10**power for power in range(19)], dtype=np.uint64)
_TENS = np.array([float(10**power) for power in range(_WIDEST + 100)])
"""Powers of ten; the exponent of a number has two digits."""
_TENS_REST = np.array([float(Fraction(10**power) - Fraction(float(10**power))) for power in range(len(_TENS))])
_TENS_HIGH = _TENS * _SPLIT - (_TENS * _SPLIT - _TENS)
_TENS_LOW = _TENS - _TENS_HIGH

"""Numbers of a column read at once are the very floats that float() gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.formats.csv_numbers import MARGIN, padded, read_numbers
from evaluation.records import FloatArray

COUNT = 3000


def read(texts: Sequence[str]) -> tuple[FloatArray, np.ndarray]:
    """Read texts that lie side by side, with commas between them."""
    lengths = np.array([len(text) for text in texts])
    ends = MARGIN + np.cumsum(lengths + 1) - 1
    return read_numbers(padded(",".join(texts).encode() + b"\n"), ends - lengths, ends)


def texts_of(kind: str) -> list[str]:
    """Numbers as files have them."""
    generator = np.random.default_rng(7)
    unit = generator.random(COUNT)
    if kind == "fixed":
        return [f"{value:.{digits}f}" for value, digits in zip(unit, generator.integers(0, 16, COUNT), strict=True)]
    if kind == "single":
        return [repr(float(value)) for value in unit.astype(np.float32)]
    if kind == "double":
        return [repr(value) for value in unit.tolist()]
    if kind == "tiny":
        return [repr(value) for value in (unit * 10.0 ** generator.integers(-60, -4, COUNT)).tolist() if value > 0]
    if kind == "large":
        return [repr(round(value, 4)) for value in (unit * 10_000_000).tolist()]
    return [f"{number:0{width}d}" for number, width in zip(generator.integers(0, 9999, COUNT), [1, 4] * COUNT)]  # noqa: B905


@pytest.mark.parametrize("kind", ["fixed", "single", "double", "tiny", "large", "whole"])
def test_usual_numbers_are_read_exactly(kind: str) -> None:
    texts = texts_of(kind)
    values, sound = read(texts)
    assert values[sound].tolist() == [float(text) for text, certain in zip(texts, sound, strict=True) if certain]
    # repr() writes 1e-05 for few, which has no point; and some have more than 18 digits before the zeros.
    assert np.mean(sound) > 0.99


def test_numbers_halfway_between_two_floats_are_exact_or_left_alone() -> None:
    whole = np.random.default_rng(8).integers(2**52, 2**53, 500).tolist()
    texts = [f"0.{number:018d}" for number in whole]
    texts += [f"{(2 * number + 1) / 2**54:.54f}"[:24] for number in whole]
    texts += [f"{number % 90_000_000}.{5 * 10**8:09d}" for number in whole]
    values, sound = read(texts)
    assert values[sound].tolist() == [float(text) for text, certain in zip(texts, sound, strict=True) if certain]
    assert sound[:500].all()


@pytest.mark.parametrize(
    "text",
    ["", "-0.5", "+1", ".5", ".", "1.2.3", "e-05", "1e05", "1e+05", "1E-05", "1_0", " 1", "1 ", "nan", "inf", "0x1",
     "a", "0.1234567890123456789", "123456789", "0.12345678901234567890123", "1e-5"],
)  # fmt: skip
def test_what_is_no_plain_number_is_left_alone(text: str) -> None:
    assert read(["0.5", text, "0.25"])[1].tolist() == [True, False, True]

"""What rows of annotations and results may hold: one rule and one wording for files, arrays and tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError, shown
from evaluation.video_names import composed

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.boxes import BoolArray
    from evaluation.records import FloatArray, IntArray

LARGEST_UNIT_COORDINATE = 3.0
"""Unit boxes may reach a little beyond the frame; boxes in pixels exceed this at once."""
LARGEST_TIME = 9e12
"""Seconds whose microseconds fit into 64 bits; a time in microseconds already exceeds this."""
LARGEST_ID = 2**31 - 1
"""The largest label, frame or place of a video."""
LARGEST_PERSON = 2**53
"""Up to here float64 holds every integer."""

NOT_SECONDS = "is not a number of seconds"
PIXELS = "looks like pixels; expected unit boxes, fractions of the frame (divide x by its width and y by its height)"
NOT_AN_ID = f"is not an action id; expected an integer from 0 to {LARGEST_ID}"
NOT_FINITE = "is not a finite number"
INVERTED = "is inside out; expected x1 <= x2 and y1 <= y2"
NOT_A_PERSON = f"is not a person id; expected an integer up to {LARGEST_PERSON}"
SIDES = ("x1", "y1", "x2", "y2")


def moments_of(seconds: FloatArray) -> IntArray:
    """Return the (N,) exact moments, in microseconds, of times in seconds.

    The official key is the time with six decimals; float64 holds every such time exactly enough.
    """
    scaled = seconds * 1e6
    moments: IntArray = np.rint(scaled).astype(np.int64)
    # Times with more than six decimals are rounded the way "%.6f" rounds them: on the exact binary value.
    for index in np.flatnonzero(np.abs(scaled - moments) > 0.01):
        moments[index] = int(f"{seconds[index]:.6f}".replace(".", ""))
    return moments


def bad_coordinates(coordinates: FloatArray) -> bool:
    """Whether any is missing, not finite or far outside the frame."""
    # A NaN is the least and the largest of its array, and no comparison with it is true.
    least, largest = coordinates.min(initial=0), coordinates.max(initial=0)
    return not (least >= -LARGEST_UNIT_COORDINATE and largest <= LARGEST_UNIT_COORDINATE)


def bad_scores(scores: FloatArray) -> bool:
    """Whether any is missing or not finite."""
    return not (np.isfinite(scores.min(initial=0)) and np.isfinite(scores.max(initial=0)))


def is_inverted(boxes: FloatArray) -> BoolArray:
    """(N,) whether x1 > x2 or y1 > y2."""
    inverted: BoolArray = (boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3])
    return inverted


def is_person(persons: FloatArray) -> BoolArray:
    """(N,) whether each is a whole number that names a person."""
    whole: BoolArray = (persons == np.rint(persons)) & (np.abs(persons) <= LARGEST_PERSON)
    return whole


def refuse(wrong: npt.NDArray[np.bool_], complaint: Callable[[int], str]) -> None:
    """Raise an InputError that names the first row that is `wrong`, if there is one."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"row {row}: {complaint(row)}")


def check_unit_boxes(boxes: FloatArray) -> None:
    """Refuse (N, 4) boxes that are not finite or in pixels.

    Raises:
        InputError: naming the first such row, from 0.
    """
    for side, values in zip(SIDES, boxes.T, strict=True):
        if bad_coordinates(values):
            row = int(np.argmax(~(np.abs(values) <= LARGEST_UNIT_COORDINATE)))
            value = values[row]
            what = f"{side} = {value:g} {PIXELS}" if np.isfinite(value) else f"{side} {value} {NOT_FINITE}"
            raise InputError(f"row {row}: {what}")


def check_scores(scores: FloatArray) -> None:
    """Refuse (N,) scores that are not finite.

    Raises:
        InputError: naming the first such row, from 0.
    """
    if bad_scores(scores):
        refuse(~np.isfinite(scores), lambda row: f"score {scores[row]} {NOT_FINITE}")


def check_uninverted(boxes: FloatArray) -> None:
    """Refuse (N, 4) boxes with x1 > x2 or y1 > y2.

    Raises:
        InputError: naming the first such row, from 0.
    """
    refuse(is_inverted(boxes), lambda row: f"box {', '.join(f'{side:g}' for side in boxes[row])} {INVERTED}")


def check_pixels(boxes: FloatArray, where: str | os.PathLike[str]) -> None:
    """Refuse (N, 4) boxes that are all within 0 and 1: unit boxes where the layout has pixels.

    Raises:
        InputError: naming `where` they come from.
    """
    if len(boxes) and boxes[0].max() <= 1.0 and np.abs(boxes).max() <= 1.0:
        raise InputError(
            f"{where}: all boxes lie within 0 and 1; this layout has pixels, so multiply by width and height"
        )


def box_column(boxes: Any) -> FloatArray:
    """(N, 4) float64 boxes of an array, a tensor on the CPU, or nested lists.

    Raises:
        InputError: they are not N times 4 numbers.
    """
    array = _numbers(boxes, "boxes")
    array = array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"boxes have shape {array.shape}; expected (N, 4): x1, y1, x2, y2")
    return array


def number_column(values: Any, name: str, rows: int) -> FloatArray:
    """(rows,) float64 of an array or list; one number stands for all rows.

    Raises:
        InputError: other values, or another number of them.
    """
    array = _numbers(values, name)
    if array.ndim == 0:
        return np.full(rows, array[()])
    if array.shape != (rows,):
        raise InputError(f"{name} has shape {array.shape}; expected ({rows},), a value for each box")
    return array


def id_column(values: Any, name: str, rows: int, *, complaint: str = NOT_AN_ID, least: int = 0) -> IntArray:
    """(rows,) int64 of whole numbers from `least` to `LARGEST_ID`; one number stands for all rows.

    Raises:
        InputError: naming the first row, from 0, that is not such a number; or another number of rows.
    """
    numbers = number_column(values, name, rows)
    wrong = ~((numbers >= least) & (numbers <= LARGEST_ID) & (numbers == np.floor(numbers)))
    refuse(wrong, lambda row: f"{name} {numbers[row]:g} {complaint}")
    return numbers.astype(np.int64)


def moment_column(time: Any, rows: int) -> IntArray:
    """(rows,) microseconds of times in seconds; one time stands for all rows.

    Raises:
        InputError: naming the first row, from 0, whose time is not a number of seconds.
    """
    seconds = number_column(time, "time", rows)
    refuse(~(np.abs(seconds) <= LARGEST_TIME), lambda row: f"time {seconds[row]} {NOT_SECONDS}")
    return moments_of(seconds)


def name_codes(video: Any, rows: int) -> tuple[IntArray, tuple[str, ...]]:
    """(rows,) places of names, and the names, in composed Unicode; one name stands for all rows.

    Raises:
        InputError: naming the first row, from 0, without a name; or another number of rows.
    """
    if isinstance(video, str):
        return np.zeros(rows, dtype=np.int64), (composed(video),)
    column = getattr(video, "array", video)  # of a Series
    if hasattr(column, "codes") and hasattr(column, "categories"):  # a NameColumn, or a pandas Categorical
        codes, given = np.asarray(column.codes), column.categories.tolist()
    else:
        import pandas as pd  # scoring from files does without it, and starts in half the time

        codes, distinct = pd.factorize(np.asarray(video, dtype=object))
        given = list(distinct)
    if codes.shape != (rows,):
        raise InputError(f"video has shape {codes.shape}; expected ({rows},), a name for each box")
    sound = np.array([isinstance(name, str) and name != "" for name in given] + [False])  # the last: no name
    refuse(
        ~sound[codes], lambda row: f"video {shown(given[codes[row]])} is not a name" if codes[row] >= 0 else "no video"
    )
    place: dict[str, int] = {}
    for name in given:
        place.setdefault(composed(str(name)), len(place))
    places = np.array([place[composed(str(name))] for name in given], dtype=np.int64)
    return places[codes] if rows else np.zeros(0, dtype=np.int64), tuple(place)


def joined_names(parts: Sequence[tuple[npt.NDArray[np.integer], Sequence[str]]]) -> tuple[IntArray, tuple[str, ...]]:
    """Codes and names of several columns of names, one after the other."""
    place: dict[str, int] = {}
    codes = [np.zeros(0, dtype=np.int64)]
    for part, names in parts:
        places = np.array([place.setdefault(str(name), len(place)) for name in names], dtype=np.int64)
        codes.append(places[part] if len(part) else codes[0])
    return np.concatenate(codes), tuple(place)


def table_columns(frame: pd.DataFrame, *, needed: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """The columns of a pandas table by name.

    Raises:
        InputError: a column that is missing.
    """
    if missing := [name for name in needed if name not in frame]:
        raise InputError(
            f"the table has no column {', '.join(map(repr, missing))}; expected {', '.join([*needed, *optional])}, "
            f"found {', '.join(map(str, frame))}"
        )
    return {name: frame[name] for name in (*needed, *optional) if name in frame}


def frame_boxes(columns: Mapping[str, Any]) -> FloatArray:
    """(N, 4) float64 from the columns x1, y1, x2, y2 of a table."""
    return np.stack([_numbers(columns[side], side) for side in SIDES], axis=1)


def _numbers(values: Any, name: str) -> FloatArray:
    try:
        array: FloatArray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds something that is not a number; expected an array of numbers") from None
    return array

"""AVA-style CSV files (no header, up to 8 columns) as columns, and the line of the first fault."""

from __future__ import annotations

import csv
import math
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray

NUMBERS = ["time", "x1", "y1", "x2", "y2", "label", "last"]
_NAMES = ["video", *NUMBERS]

# Unit boxes may reach a little beyond the frame; boxes in pixels exceed this at once.
LARGEST_UNIT_COORDINATE = 3.0

# Scores and coordinates must be the very floats that Python's float() gives. From 3.1 on that is what pandas
# does by itself, and asking for it is deprecated.
_EXACT: dict[str, Any] = (
    {} if tuple(int(part) for part in pd.__version__.split(".")[:2]) >= (3, 1) else {"float_precision": "round_trip"}
)

RowCheck = Callable[[list[str]], str | None]


def read_columns(path: str | os.PathLike[str], check: RowCheck) -> pd.DataFrame:
    """Read the 8 columns video (categorical), time, x1, y1, x2, y2, label, last (float64); absent is NaN.

    Args:
        path: the file.
        check: says what is wrong with one row's fields, or None; used to find the line after a failure.

    Raises:
        InputError: naming file and line, when a row cannot be read at all. OSError: no such file.
    """
    if os.path.getsize(path) == 0:
        empty: dict[str, Any] = {name: np.empty(0) for name in NUMBERS}
        table: pd.DataFrame = pd.DataFrame({"video": pd.Categorical([]), **empty})
        return table
    types: dict[Any, Any] = {"video": "category", **dict.fromkeys(NUMBERS, "float64")}
    with warnings.catch_warnings():
        # More columns than names is only a warning of pandas.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(
                path,
                header=None,
                names=_NAMES,
                index_col=False,
                dtype=types,
                keep_default_na=False,
                na_values={name: [""] for name in _NAMES},
                low_memory=True,
                **_EXACT,
            )
        except (ValueError, pd.errors.ParserWarning) as fault:  # parser, decoding and conversion errors are ValueErrors
            raise first_fault(path, check, str(fault)) from None
    return table


def first_fault(path: str | os.PathLike[str], check: RowCheck, otherwise: str) -> InputError:
    """Return the error for the first line of `path` to which `check` objects.

    Args:
        path: the file.
        check: as in `read_columns`.
        otherwise: what to say if no line is at fault.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            for row in reader:
                if row and (complaint := check(row)):
                    return InputError(f"{path}, line {reader.line_num}: {complaint}{_separator_hint(row)}")
    except (UnicodeDecodeError, csv.Error):
        return InputError(f"{path}: not a text file; expected comma-separated rows")
    return InputError(f"{path}: {otherwise}")


def _separator_hint(row: list[str]) -> str:
    if len(row) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs"), (" ", "spaces"), ("|", "bars")):
            if row[0].count(separator) >= 1:
                return f" (this file seems to be separated by {name}: replace them by commas)"
    return ""


def check_key(row: list[str]) -> str | None:
    """Say what is wrong with the first two fields of a row."""
    if row[0] == "":
        return "no video name in column 1"
    if not is_finite(row[1]):
        header = " (a header line? AVA files have none: delete it)" if row[1].strip().isidentifier() else ""
        return f'time "{row[1]}" in column 2 is not a number of seconds{header}'
    return None


def check_box_and_label(row: list[str]) -> str | None:
    """Say what is wrong with fields 3 to 7 of a row."""
    for column, name in zip(range(2, 6), ("x1", "y1", "x2", "y2"), strict=True):
        text = row[column]
        if not is_finite(text):
            return f'{name} "{text}" in column {column + 1} is not a number'
        if abs(float(text)) > LARGEST_UNIT_COORDINATE:
            return (
                f"{name} = {text} in column {column + 1} looks like pixels; expected unit boxes, fractions of the "
                "frame (divide x by its width and y by its height)"
            )
    if not re.fullmatch(r"\s*\+?\d+(\.0*)?\s*", row[6]):
        return f'label "{row[6]}" in column 7 is not an action id; expected a non-negative integer'
    return None


def is_finite(text: str) -> bool:
    """Whether `text` is a number that is neither infinite nor NaN."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def boxes_of(table: pd.DataFrame) -> FloatArray:
    """Return the (N, 4) float64 boxes of a table, row by row in memory."""
    return np.ascontiguousarray(table[["x1", "y1", "x2", "y2"]].to_numpy(dtype=np.float64))


def bad_boxes(boxes: FloatArray) -> bool:
    """Whether any coordinate is missing, not finite or far outside the frame."""
    # Comparisons with NaN are False, so one reduction finds all three.
    return not bool(np.all(np.abs(boxes) <= LARGEST_UNIT_COORDINATE))


def bad_labels(labels: FloatArray) -> bool:
    """Whether any label is missing, negative or not an integer."""
    return not bool(np.all((labels >= 0) & (labels < 2**31) & (labels == np.rint(labels))))


def bad_keys(table: pd.DataFrame) -> BoolArray:
    """Return (N,) bool: rows without a video name or a finite time."""
    codes = np.asarray(table["video"].cat.codes)
    result: BoolArray = (codes < 0) | ~np.isfinite(table["time"].to_numpy(dtype=np.float64))
    return result


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


def times_of(moments: IntArray) -> list[str]:
    """Return how AVA writes moments (microseconds): "0902" for whole seconds, otherwise up to six decimals."""
    unique, inverse = np.unique(moments, return_inverse=True)
    texts = [time_of(int(moment)) for moment in unique]
    return [texts[index] for index in inverse]


def time_of(moment: int) -> str:
    """Return how AVA writes one moment (microseconds)."""
    seconds, rest = divmod(moment, 1_000_000)
    return f"{seconds:04d}" + (f".{rest:06d}".rstrip("0") if rest else "")

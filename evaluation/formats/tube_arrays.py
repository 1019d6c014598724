"""Join the arrays of a tube file into checked columns: what every tube layout needs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from evaluation.errors import InputError
from evaluation.records import FloatArray
from evaluation.row_values import LARGEST_ID
from evaluation.tube_set import TubeSet

Entry = tuple[str, int, float, Any]
"""Video, label, score and the array of one tube, as read."""


def label_id(label: int | np.integer[Any]) -> int:
    """A label as a plain integer.

    Raises:
        ValueError: it is negative or too large to index anything.
    """
    if not 0 <= label <= LARGEST_ID:
        raise ValueError(f"label {label} is not an id; expected 0 to {LARGEST_ID}")
    return int(label)


def tube_set(entries: Iterable[Entry], *, scored: bool, path: str | os.PathLike[str]) -> TubeSet:
    """Join the arrays of a file into columns and check every number.

    Args:
        entries: video, label, score and (T, 5) array of every tube; (T, 6) when `scored`: the last column is
            the score of the box.
        scored: whether the arrays end in a column of box scores.
        path: the file, for messages.

    Raises:
        InputError: naming the first tube that is not an array of that shape, has a number that is not finite,
            or frames that are not consecutive whole numbers; or boxes that are not in pixels.
    """
    entries = list(entries)
    columns = 6 if scored else 5
    arrays = [_tube_array(entry, columns, path) for entry in entries]
    kept = [array.dtype == np.float32 for array in arrays]
    table = np.concatenate([*arrays, np.zeros((0, columns), np.float32)], dtype=np.float32 if all(kept) else np.float64)
    return TubeSet.from_table(
        table,
        offsets=np.cumsum([0, *map(len, arrays)], dtype=np.int64),
        videos=[entry[0] for entry in entries],
        labels=np.array([entry[1] for entry in entries], dtype=np.int64),
        scores=np.array([entry[2] for entry in entries], dtype=np.float64),
        where=path,
    )


def _tube_array(entry: Entry, columns: int, path: str | os.PathLike[str]) -> FloatArray:
    try:
        array = np.asarray(entry[3])
    except ValueError:
        raise InputError(f"{path}: {_which(entry)} has rows of several lengths; expected (T, {columns})") from None
    if array.ndim != 2 or array.shape[1] != columns or len(array) == 0 or array.dtype.kind not in "fiu":
        names = "frame, x1, y1, x2, y2" + (", score" if columns == 6 else "")
        raise InputError(
            f"{path}: {_which(entry)} is {array.dtype} of shape {array.shape}; expected (T, {columns}): {names}"
        )
    return array


def _which(entry: Entry) -> str:
    return f"a tube of label {entry[1]} in video {entry[0]}"

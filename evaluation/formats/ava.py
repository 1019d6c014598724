"""AVA's CSV files: truth, results and excluded moments, in every dialect the field writes.

Truth    video,time,x1,y1,x2,y2,action[,person]   a row of two columns says: annotated, nobody there
Results  video,time,x1,y1,x2,y2,action[,score]
Excluded video,time

The files have no header; boxes are unit boxes; times are seconds, padded with zeros, with decimals, or neither.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

import numpy as np

from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats import csv_columns as columns
from evaluation.formats.action_list import ActionList, read_action_list, write_action_list
from evaluation.records import DetectionRows, FrameKey, TruthRows
from evaluation.row_values import INVERTED, LARGEST_PERSON, NOT_FINITE, is_inverted, is_person

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ActionList",
    "read_action_list",
    "read_ava_csv",
    "read_ava_results",
    "read_excluded",
    "write_action_list",
    "write_ava_csv",
    "write_ava_results",
    "write_excluded",
]


def read_ava_csv(path: str | os.PathLike[str]) -> TruthRows:
    """Read annotated boxes.

    Column 8, where present, is the person's identity ("3" and "1.0000" are both read).

    Raises:
        InputError: an empty file, or the first row that is not an annotation, with its line. OSError: no such file.

    Example:
        >>> from evaluation import read_ava_csv
        >>> read_ava_csv("truth.csv")
        TruthRows(3 rows, 2 videos)
    """
    table = columns.read_columns(path, _truth_fault)
    if len(table.moment) == 0:
        raise InputError(f"{path}: the truth file is empty; expected rows video,time,x1,y1,x2,y2,action,person")
    rows = ~table.empty
    boxes, labels, persons = table.boxes[rows], table.labels[rows], table.last[rows]
    persons = np.where(np.isnan(persons), -1.0, persons)
    if np.any(labels < 0) or is_inverted(boxes).any() or not is_person(persons).all():
        raise columns.first_fault(path, _truth_fault, "some row is not an annotation")
    names = table.video.categories
    empty = [
        FrameKey(str(names[table.video.codes[index]]), int(table.moment[index])) for index in np.flatnonzero(~rows)
    ]
    return TruthRows(
        video=table.video[rows],
        moment=table.moment[rows],
        boxes=boxes,
        labels=labels,
        persons=persons.astype(np.int64),
        empty_moments=tuple(empty),
    )


def read_ava_results(path: str | os.PathLike[str]) -> DetectionRows:
    """Read scored boxes, keeping the order of the file; an empty file gives no rows.

    Rows without a score count 1.0, as in the official tool, and cause one warning. Rows of two columns
    (a moment without detections) hold nothing and are passed over.

    Raises:
        InputError: the first row that is not a detection, with its line. OSError: no such file.

    Example:
        >>> from evaluation import read_ava_results
        >>> read_ava_results("detections.csv")
        DetectionRows(4 rows, 2 videos)
    """
    table = columns.read_columns(path, _result_fault)
    video, moment, boxes, labels, scores = table.video, table.moment, table.boxes, table.labels, table.last
    if table.empty.any():  # the usual file has none, and is not copied
        rows = ~table.empty
        video, moment, boxes, labels, scores = video[rows], moment[rows], boxes[rows], labels[rows], scores[rows]
    unscored = np.isnan(scores)
    if labels.min(initial=0) < 0 or bool(np.isinf(scores).any()):
        raise columns.first_fault(path, _result_fault, "some row is not a detection")
    if unscored.any():
        scores = np.where(unscored, 1.0, scores)
        warnings.warn(f"{path}: {unscored.sum()} rows have no score in column 8 and count 1.0", stacklevel=2)
    return DetectionRows(video=video, moment=moment, boxes=boxes, labels=labels, scores=scores)


def write_ava_csv(path: str | os.PathLike[str], truth: TruthRows) -> None:
    """Write annotated boxes; numbers are written so that they read back the same.

    Example:
        >>> from evaluation import read_ava_csv, write_ava_csv
        >>> write_ava_csv("a.csv", read_ava_csv("truth.csv").select(videos=["a"]))
        >>> read_ava_csv("a.csv")
        TruthRows(2 rows, 1 videos)
    """
    table = _table(truth)
    if len(truth) == 0 or truth.persons.max() >= 0:
        table["person"] = truth.persons
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table.to_csv(file, header=False, index=False, lineterminator="\n")
        _write_keys(file, truth.empty_moments)


def write_ava_results(path: str | os.PathLike[str], rows: DetectionRows) -> None:
    """Write scored boxes; numbers are written so that they read back the same.

    Example:
        >>> from evaluation import read_ava_results, write_ava_results
        >>> write_ava_results("best.csv", read_ava_results("detections.csv").select(min_score=0.5))
        >>> read_ava_results("best.csv")
        DetectionRows(3 rows, 2 videos)
    """
    table = _table(rows)
    table["score"] = rows.scores
    with atomic_path(path) as temporary:
        table.to_csv(temporary, header=False, index=False, lineterminator="\n")


def read_excluded(path: str | os.PathLike[str]) -> frozenset[FrameKey]:
    """Read the moments that do not count; an empty file excludes none.

    Raises:
        InputError: a row that is not video,time. OSError: no such file.

    Example:
        >>> from evaluation import read_excluded
        >>> read_excluded("excluded.csv")
        frozenset({FrameKey(video='b', moment=903000000)})
    """
    table = columns.read_columns(path, _excluded_fault)
    if not table.empty.all():
        raise columns.first_fault(path, _excluded_fault, "some row is not video,time")
    return frozenset(
        FrameKey(str(video), moment) for video, moment in zip(table.video, table.moment.tolist(), strict=True)
    )


def write_excluded(path: str | os.PathLike[str], keys: Iterable[FrameKey]) -> None:
    """Write the moments that do not count, sorted.

    Example:
        >>> from evaluation import read_excluded, write_excluded
        >>> write_excluded("none.csv", [])
        >>> read_excluded("none.csv")
        frozenset()
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write_keys(file, sorted(keys))


def _write_keys(file: TextIO, keys: Iterable[FrameKey]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows((key.video, columns.time_of(key.moment)) for key in keys)


def _table(rows: TruthRows | DetectionRows) -> pd.DataFrame:
    import pandas as pd  # reading does without it, and starts in half the time

    times = pd.Categorical(columns.times_of(rows.moment))
    table: pd.DataFrame = pd.DataFrame({"video": rows.video.to_pandas(), "time": times})
    table[["x1", "y1", "x2", "y2"]] = rows.boxes
    table["label"] = rows.labels
    return table


def _truth_fault(row: list[str]) -> str | None:
    if len(row) not in (2, 7, 8):
        return f"{len(row)} columns; expected video,time,x1,y1,x2,y2,action[,person], or video,time where nobody is"
    if complaint := columns.check_key(row):
        return complaint
    if len(row) == 2:
        return None
    if complaint := columns.check_box_and_label(row):
        return complaint
    x1, y1, x2, y2 = (float(text) for text in row[2:6])
    if x1 > x2 or y1 > y2:
        return f"box {','.join(row[2:6])} {INVERTED}"
    if len(row) == 8 and not (columns.is_finite(row[7]) and float(row[7]).is_integer()):
        return f'person "{row[7]}" in column 8 is not an integer (is this a file of detections?)'
    if len(row) == 8 and abs(float(row[7])) > LARGEST_PERSON:
        return f'person "{row[7]}" in column 8 is too large; expected an id up to {LARGEST_PERSON}'
    return None


def _result_fault(row: list[str]) -> str | None:
    if len(row) not in (2, 7, 8):
        return f"{len(row)} columns; expected video,time,x1,y1,x2,y2,action,score"
    if complaint := columns.check_key(row):
        return complaint
    if len(row) == 2:
        return None
    if complaint := columns.check_box_and_label(row):
        return complaint
    if len(row) == 8 and not columns.is_finite(row[7]):
        return f'score "{row[7]}" in column 8 {NOT_FINITE}'
    return None


def _excluded_fault(row: list[str]) -> str | None:
    if len(row) != 2:
        return f"{len(row)} columns; expected video,time"
    return columns.check_key(row)

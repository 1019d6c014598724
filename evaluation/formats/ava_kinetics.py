"""The Kinetics part of AVA-Kinetics: kinetics_train_v1.0.csv and kinetics_val_v1.0.csv.

Rows are `youtube_id,time,x1,y1,x2,y2,action`, the time in seconds of the whole video; one row a person and action.
Rows without a box say that nobody is there; boxes without an action were not annotated, and are left out.
"""

from __future__ import annotations

import os
import re

import numpy as np

from evaluation.errors import InputError
from evaluation.formats import csv_columns as columns
from evaluation.records import FrameKey, TruthRows
from evaluation.row_values import INVERTED, is_inverted


def read_kinetics_boxes(path: str | os.PathLike[str]) -> TruthRows:
    """Read the annotated boxes; the videos are whole ones, by their ids, and nobody has an identity.

    Raises:
        InputError: no boxes, or the first row that is not an annotation, with its line. OSError: no such file.

    Example:
        >>> from evaluation import read_kinetics_boxes
        >>> read_kinetics_boxes("kinetics.csv")
        TruthRows(1 rows, 1 videos)
    """
    table = columns.read_columns(path, _fault)
    rows = ~table.empty & (table.labels > 0)
    if not rows.any():
        raise InputError(f"{path}: holds no annotated boxes; expected rows youtube_id,time,x1,y1,x2,y2,action")
    boxes = table.boxes[rows]
    if is_inverted(boxes).any() or not np.isnan(table.last).all():
        raise columns.first_fault(path, _fault, "some row is not an annotation")
    names = table.video.categories
    empty = [
        FrameKey(str(names[table.video.codes[index]]), int(table.moment[index]))
        for index in np.flatnonzero(table.empty)
    ]
    return TruthRows(
        video=table.video[rows].remove_unused_categories(),
        moment=table.moment[rows],
        boxes=boxes,
        labels=table.labels[rows],
        persons=np.full(len(boxes), -1, dtype=np.int64),
        empty_moments=tuple(empty),
    )


def kinetics_clip(video: str) -> tuple[str, int] | None:
    """Id and first second of a Kinetics clip `<id>_<start>_<end>`; None for AVA's videos, whose ids have 11 letters."""
    found = re.fullmatch(r"(.+)_(\d+)_(\d+)", video) if len(video) != 11 else None
    return (found[1], int(found[2])) if found else None


def _fault(row: list[str]) -> str | None:
    if complaint := columns.check_key(row):
        return complaint
    filled = [text for text in row[2:] if text.strip()]
    if len(filled) in (0, 4):
        return None
    if len(filled) != 5 or len(row) != 7:
        return f"{len(row)} columns; expected youtube_id,time,x1,y1,x2,y2,action"
    if complaint := columns.check_box_and_label(row):
        return complaint
    x1, y1, x2, y2 = (float(text) for text in row[2:6])
    if x1 > x2 or y1 > y2:
        return f"box {','.join(row[2:6])} {INVERTED}"
    return None

"""Boxes of detected persons: dense-proposal pickles and PySlowFast's predicted-box CSV files."""

from __future__ import annotations

import csv
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import InputError, shown
from evaluation.files import atomic_path, load_pickle
from evaluation.formats import csv_columns as columns
from evaluation.records import FloatArray, FrameKey, PersonBoxes
from evaluation.row_values import bad_coordinates, moments_of
from evaluation.video_names import composed


def read_proposals(path: str | os.PathLike[str]) -> dict[FrameKey, PersonBoxes]:
    """Read person boxes, every moment once.

    A `.csv` file is PySlowFast's dialect: video,time,x1,y1,x2,y2,[action],score, one row per box and action
    (the action may be missing); rows of one box are one person with its highest score. Anything else is
    a pickle {"video,0902": (P, 5) or (P, 4)} of unit boxes with scores; without scores they are 1.

    Raises:
        InputError: what is not such a file, with the line or the key at fault. OSError: no such file.

    Example:
        >>> from evaluation import read_proposals
        >>> read_proposals("persons.pkl")
        {FrameKey(video='a', moment=902000000): PersonBoxes(a@902000000, 2 persons)}
    """
    return _read_csv(path) if Path(path).suffix == ".csv" else _read_pickle(path)


def write_proposals(path: str | os.PathLike[str], persons: Iterable[PersonBoxes]) -> None:
    """Write person boxes; the suffix `.csv` chooses PySlowFast's dialect, anything else the pickle.

    Moments other than whole seconds are written with decimals, which only readers like ours accept.

    Example:
        >>> from evaluation import read_proposals, write_proposals
        >>> write_proposals("persons.csv", read_proposals("persons.pkl").values())
        >>> len(read_proposals("persons.csv"))
        1
    """
    with atomic_path(path) as temporary:
        if Path(path).suffix == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")  # a video's name may hold a comma
                for found in persons:
                    time = columns.time_of(found.key.moment)
                    for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
                        writer.writerow([found.key.video, time, *box, "", score])
        else:
            content = {_text_key(found.key): np.column_stack([found.boxes, found.scores]) for found in persons}
            with temporary.open("wb") as stream:
                pickle.dump(content, stream, protocol=4)


def _read_csv(path: str | os.PathLike[str]) -> dict[FrameKey, PersonBoxes]:
    table = columns.read_columns(path, _fault)
    if not np.isfinite(table.last).all():
        raise columns.first_fault(path, _fault, "some row is not a person box")
    frame = pd.DataFrame({"video": table.video.codes, "moment": table.moment, "score": table.last})
    frame[["x1", "y1", "x2", "y2"]] = table.boxes
    same_box = ["video", "moment", "x1", "y1", "x2", "y2"]
    frame = frame.groupby(same_box, sort=False, as_index=False)["score"].max()
    boxes, scores = frame[["x1", "y1", "x2", "y2"]].to_numpy(), frame["score"].to_numpy()
    names = [str(name) for name in table.video.categories]
    groups = frame.groupby(["video", "moment"], sort=False).indices
    return {
        (key := FrameKey(names[video], int(moment))): _person_boxes(key, boxes[index], scores[index])
        for (video, moment), index in groups.items()
    }


def _fault(row: list[str]) -> str | None:
    if len(row) != 8:
        return f"{len(row)} columns; expected video,time,x1,y1,x2,y2,action (may be empty),score"
    label = row[6] if row[6].strip() else "0"
    if complaint := columns.check_key(row) or columns.check_box_and_label([*row[:6], label]):
        return complaint
    return None if columns.is_finite(row[7]) else f'score "{row[7]}" in column 8 is not a finite number'


def _read_pickle(path: str | os.PathLike[str]) -> dict[FrameKey, PersonBoxes]:
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise InputError(
            f'{path}: holds a {type(content).__name__}; expected person boxes, a dict of "video,0902" to (P, 5) arrays'
        )
    keys = _frame_keys(path, content)
    joined = _joined(list(content.values()))
    if joined is None:
        return {key: _checked(path, key, text, rows) for key, (text, rows) in zip(keys, content.items(), strict=True)}
    boxes, scores, ends = joined
    starts = [0, *ends[:-1]]
    return {
        key: PersonBoxes(key, boxes[start:end], scores[start:end])
        for key, start, end in zip(keys, starts, ends, strict=True)
    }


def _joined(entries: list[object]) -> tuple[FloatArray, FloatArray, list[int]] | None:
    """Return boxes and scores of all entries and the end of each, or None where some need a closer look.

    A set has hundreds of thousands of moments with a few boxes each: looked at one by one, they take ten times as long.
    """
    arrays = [entry for entry in entries if isinstance(entry, np.ndarray) and entry.ndim == 2 and entry.shape[1] == 5]
    if len(arrays) < len(entries) or not arrays or any(array.dtype.kind != "f" for array in arrays):
        return None
    rows = np.concatenate(arrays)
    if bad_coordinates(rows[:, :4]) or not np.isfinite(rows[:, 4]).all():
        return None
    boxes, scores = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
    return boxes, scores, np.cumsum([len(array) for array in arrays]).tolist()


def _frame_keys(path: str | os.PathLike[str], texts: Iterable[object]) -> dict[FrameKey, None]:
    """Return the keys of a pickle, in its order."""
    keys: dict[FrameKey, None] = {}
    moments: dict[str, int | None] = {}  # by the text of the time: all videos have the same few hundred
    for text in texts:
        video, _, time = text.rpartition(",") if isinstance(text, str) else ("", "", "")
        if time not in moments:
            moments[time] = _moment(time)
        moment = moments[time]
        if not video or moment is None:
            raise InputError(f'{path}: key {shown(text)} is not "video,seconds" such as "1j20qq1JyX4,0902"')
        key = FrameKey(composed(video), moment)
        if key in keys:
            raise InputError(
                f"{path}: key {shown(text)} names a timestamp that is already there; expected each timestamp once"
            )
        keys[key] = None
    return keys


def _checked(path: str | os.PathLike[str], key: FrameKey, text: str, rows: Any) -> PersonBoxes:
    """Return the persons of one entry of a pickle, or an InputError that names it."""
    try:
        if np.iscomplexobj(rows):  # of which numpy would drop a part, with a warning
            raise TypeError("complex")
        array = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{path}: {shown(text)} holds no numbers; expected a (P, 5) array of x1, y1, x2, y2, score"
        ) from None
    if array.size == 0:
        array = array.reshape(0, 5)
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise InputError(f"{path}: {shown(text)} has shape {array.shape}; expected (P, 5): x1, y1, x2, y2, score")
    boxes, scores = array[:, :4], array[:, 4] if array.shape[1] == 5 else np.ones(len(array))
    if bad_coordinates(boxes) or not np.isfinite(scores).all():
        raise InputError(
            f"{path}: {shown(text)} has boxes that are not finite or look like pixels; expected unit boxes, fractions "
            "of the frame (divide x by its width and y by its height)"
        )
    return _person_boxes(key, boxes, scores)


def _person_boxes(key: FrameKey, boxes: FloatArray, scores: FloatArray) -> PersonBoxes:
    return PersonBoxes(key=key, boxes=boxes.astype(np.float32), scores=scores.astype(np.float32))


def _text_key(key: FrameKey) -> str:
    return f"{key.video},{columns.time_of(key.moment)}"


def _moment(time: str) -> int | None:
    return int(moments_of(np.array([float(time)]))[0]) if columns.is_time(time) else None

"""MultiSports pickles: truth, frame detections and video detections (tubes), all in pixels.

Truth has the ACT layout (evaluation.formats.act_tubes). Frame detections are (N, 8): place of the video in
test_videos[0], frame from 1, label from 0, score, x1, y1, x2, y2; the official script wants an array, the
official README says a list of such rows, and both are read. Video detections are
{label: [(video, score, (T, 6) frame, x1, y1, x2, y2, box score)]}.
"""

from __future__ import annotations

import os
import pickle
import pickletools
from typing import Any

import numpy as np

from evaluation.errors import InputError, shown
from evaluation.files import atomic_path, load_pickle, local_file
from evaluation.formats.act_tubes import read_act_tubes
from evaluation.formats.tube_arrays import Entry, label_id, tube_set
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet

UNSCORED = (
    "aerobic kick jump",
    "aerobic off axis jump",
    "aerobic butterfly jump",
    "aerobic balance turn",
    "basketball save",
    "basketball jump ball",
)
"""The six of the 66 labels that the official script leaves out."""


def read_multisports(path: str | os.PathLike[str], *, split: int = 1) -> TubeTruth:
    """Read multisports_GT.pkl; other data sets in the ACT layout, too, as no other has the six unscored names.

    Args:
        path: the pickle.
        split: which train/test split, from 1; MultiSports has one.

    Raises:
        InputError: not this layout, a missing key, a damaged tube.

    Example:
        >>> from evaluation import read_multisports
        >>> read_multisports("GT.pkl")
        TubeTruth(2 labels, 0 train videos, 1 test videos, 2 tubes)
    """
    return read_act_tubes(path, split=split, unscored=UNSCORED)


def write_multisports(path: str | os.PathLike[str], truth: TubeTruth) -> None:
    """Write `truth` in the official layout: float32 (T, 5) arrays, one split.

    Example:
        >>> from evaluation import read_multisports, write_multisports
        >>> write_multisports("copy.pkl", read_multisports("GT.pkl"))
        >>> read_multisports("copy.pkl").labels
        ('run', 'jump')
    """
    gttubes: dict[str, dict[int, list[Any]]] = {video: {} for video in (*truth.train_videos, *truth.test_videos)}
    for video, label, _, table in _tables(truth.tubes, box_scores=False):
        gttubes.setdefault(video, {}).setdefault(label, []).append(table)
    content = {
        "labels": list(truth.labels),
        "train_videos": [list(truth.train_videos)],
        "test_videos": [list(truth.test_videos)],
        "nframes": dict(truth.frame_counts),
        "resolution": dict(truth.sizes),
        "gttubes": gttubes,
    }
    _dump(path, content)


def read_frame_detections(path: str | os.PathLike[str], truth: TubeTruth) -> FrameDetections:
    """Read frame detections, an array or a list of rows. Rows of unknown videos are kept: they count as false.

    Raises:
        InputError: not (N, 8) numbers, a number that is not finite, a frame or label that is not whole, boxes
            that are not in pixels.

    Example:
        >>> from evaluation import read_frame_detections, read_multisports
        >>> read_frame_detections("boxes.pkl", read_multisports("GT.pkl"))
        FrameDetections(4 rows, 1 videos)
    """
    content = load_pickle(path)
    layout = "expected an (N, 8) array: place of the video, frame, label, score, x1, y1, x2, y2"
    try:
        table = _table(content)
        table = table.reshape(-1, 8) if table.size == 0 else table
    except ValueError:
        raise InputError(f"{path}: its rows differ in length; {layout}") from None
    if table.ndim != 2 or table.shape[1] != 8 or table.dtype.kind not in "fiu":
        hint = "; this looks like video detections" if isinstance(content, dict) else ""
        raise InputError(f"{path}: found {table.dtype} of shape {table.shape}; {layout}{hint}")
    return FrameDetections.from_table(
        table if table.dtype == np.float32 else table.astype(np.float64, copy=False),
        videos=truth.test_videos,
        where=path,
    )


def holds_tubes(path: str | os.PathLike[str]) -> bool:
    """Whether a pickle holds video detections, which are a dictionary, and not frame detections; it is not loaded.

    Raises:
        InputError: no such file, or not a pickle.
    """
    try:
        with local_file(path).open("rb") as file:
            for opcode, _, _ in pickletools.genops(file):
                if opcode.name not in ("PROTO", "FRAME"):
                    # Python's older pickler begins a dictionary with a mark, or with its memo.
                    return opcode.name in ("EMPTY_DICT", "DICT", "MARK")
    except (ValueError, EOFError):
        pass
    raise InputError(f"{path}: not a readable pickle file")


def _table(content: Any) -> Any:
    """An array of what a pickle holds.

    Raises:
        ValueError: rows that differ in length.
    """
    if not isinstance(content, (np.ndarray, list, tuple)):
        return np.empty((1,), dtype=object)
    return np.asarray(content)


def write_frame_detections(path: str | os.PathLike[str], detections: FrameDetections) -> None:
    """Write frame detections as the official (N, 8) array.

    Example:
        >>> from evaluation import read_frame_detections, read_multisports, write_frame_detections
        >>> truth = read_multisports("GT.pkl")
        >>> write_frame_detections("best.pkl", read_frame_detections("boxes.pkl", truth).part(0, 2))
        >>> read_frame_detections("best.pkl", truth)
        FrameDetections(2 rows, 1 videos)
    """
    columns = (detections.video, detections.moments, detections.labels, detections.scores)
    table = np.empty((len(detections), 8), dtype=detections.boxes.dtype)
    for place, column in enumerate(columns):
        table[:, place] = column
    table[:, 4:] = detections.boxes
    _dump(path, table)


def read_video_detections(path: str | os.PathLike[str]) -> TubeSet:
    """Read tubes; a label without an entry has none.

    Raises:
        InputError: not this layout, or a damaged tube.

    Example:
        >>> from evaluation import read_video_detections
        >>> read_video_detections("tubes.pkl")
        TubeSet(2 tubes, 4 boxes, 1 videos)
    """
    by_label = load_pickle(path)
    layout = "expected {label: [(video, score, (T, 6) array), ...]}"
    if not isinstance(by_label, dict):
        hint = "; this looks like frame detections" if isinstance(by_label, np.ndarray) else ""
        raise InputError(f"{path}: found a {type(by_label).__name__}; {layout}{hint}")
    entries: list[Entry] = []
    for label, tubes in by_label.items():
        if not isinstance(label, (int, np.integer)) or not isinstance(tubes, (list, tuple)):
            raise InputError(f"{path}: the entry {shown(label)} holds a {type(tubes).__name__}; {layout}")
        for place, tube in enumerate(tubes):
            if not _is_tube(tube):
                raise InputError(f"{path}: tube {place} of label {label} is not (video, score, array); {layout}")
            try:
                entries.append((tube[0], label_id(label), float(tube[1]), tube[2]))
            except OverflowError:
                raise InputError(f"{path}: tube {place} of label {label} has a score beyond all floats") from None
            except ValueError as fault:
                raise InputError(f"{path}: {fault}") from None
    return tube_set(entries, scored=True, path=path)


def write_video_detections(path: str | os.PathLike[str], tubes: TubeSet, truth: TubeTruth) -> None:
    """Write tubes in the official layout: float32, every label of `truth` present.

    Example:
        >>> from evaluation import read_multisports, read_video_detections, write_video_detections
        >>> truth = read_multisports("GT.pkl")
        >>> best = read_video_detections("tubes.pkl").select(min_score=0.5)
        >>> write_video_detections("best_tubes.pkl", best, truth)
        >>> read_video_detections("best_tubes.pkl")
        TubeSet(1 tubes, 2 boxes, 1 videos)
    """
    by_label: dict[int, list[Any]] = {label: [] for label in range(len(truth.labels))}
    for video, label, score, table in _tables(tubes, box_scores=True):
        by_label.setdefault(label, []).append((video, score, table))
    _dump(path, by_label)


def _is_tube(tube: Any) -> bool:
    return (
        isinstance(tube, (list, tuple))
        and len(tube) == 3
        and isinstance(tube[0], str)
        and isinstance(tube[1], (int, float, np.number))
    )


def _tables(tubes: TubeSet, *, box_scores: bool) -> list[tuple[str, int, float, Any]]:
    columns = [tubes.moments[:, None], tubes.boxes] + ([tubes.box_scores[:, None]] if box_scores else [])
    table = np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")
    parts = [table[start:end] for start, end in zip(tubes.offsets[:-1], tubes.offsets[1:], strict=True)]
    names = [tubes.videos[place] for place in tubes.video.tolist()]
    return list(zip(names, tubes.labels.tolist(), tubes.scores.tolist(), parts, strict=True))


def _dump(path: str | os.PathLike[str], content: Any) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # Protocol 4 is the newest that python 3.7, which the official tools were written for, still reads.
        pickle.dump(content, file, protocol=4)

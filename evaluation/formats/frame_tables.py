"""MultiSports as MMAction2 prepares it (CSV truth), and person boxes of frames in both dialects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.errors import InputError
from evaluation.formats.ava import read_ava_csv
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey, PersonBoxes
from evaluation.row_values import LARGEST_ID
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet, frame_numbers

_SUFFIX = re.compile(r"\.(mp4|mkv|avi|mov|m4v|webm)$", re.IGNORECASE)
_PER_FRAME = 1_000_000
"""The readers of AVA's files, which have the same columns, take a frame number for seconds."""


def read_tube_csv(path: str | os.PathLike[str], *, labels: int) -> TubeTruth:
    """Read truth as rows video.mp4, frame from 1, unit box, label from 0, tube (within video and label).

    Such a file names no labels and no sizes: labels are called "action 0" and so on, and frames are 1 x 1 pixels
    large, so that the boxes stay as they are. All videos are both training and test videos, in the order of the file.
    A tube that skips a frame becomes two.

    Args:
        path: the file, for instance multisports_val.csv.
        labels: how many labels there are.

    Raises:
        InputError: not such a file, a label that is too large, a frame that is not a whole number.

    Example:
        >>> from evaluation import read_tube_csv
        >>> read_tube_csv("tubes.csv", labels=1)
        TubeTruth(1 labels, 1 train videos, 1 test videos, 1 tubes)
    """
    rows = read_ava_csv(path)
    low, high = rows.moment.min(initial=_PER_FRAME), rows.moment.max(initial=_PER_FRAME)
    if (rows.moment % _PER_FRAME).any() or low < _PER_FRAME or high > LARGEST_ID * _PER_FRAME:
        raise InputError(f"{path}: column 2 is not a frame number everywhere; expected 1, 2, 3 and so on")
    if rows.labels.max(initial=0) >= labels:
        raise InputError(f"{path}: has label {rows.labels.max()}; expected 0 to {labels - 1} (model.num_actions)")
    codes, video = np.unique(rows.video.codes, return_inverse=True)
    # In the order of the file, as far as it has one.
    appearance = np.argsort(np.unique(rows.video.codes, return_index=True)[1], kind="stable")
    names = [_bare(str(rows.video.categories[codes[place]])) for place in appearance]
    video, moments = np.argsort(appearance)[video], rows.moment // _PER_FRAME
    order = np.lexsort((moments, rows.persons, rows.labels, video))
    sorted_columns = [column[order] for column in (video, rows.labels, rows.persons, moments)]
    steps = [np.diff(column) for column in sorted_columns]
    begins = np.flatnonzero(np.r_[True, (steps[0] != 0) | (steps[1] != 0) | (steps[2] != 0) | (steps[3] != 1)])
    begins = begins[: len(order)]
    tubes = TubeSet(
        videos=tuple(names),
        video=sorted_columns[0][begins],
        labels=sorted_columns[1][begins],
        scores=np.ones(len(begins)),
        offsets=np.append(begins, len(order)).astype(np.int64),
        moments=frame_numbers(sorted_columns[3]),
        boxes=rows.boxes[order],
        box_scores=np.ones(len(order)),
    )
    last = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(last, video, moments)
    return TubeTruth(
        labels=tuple(f"action {label}" for label in range(labels)),
        unscored=frozenset(),
        train_videos=tuple(names),
        test_videos=tuple(names),
        frame_counts=dict(zip(names, last.tolist(), strict=True)),
        sizes=dict.fromkeys(names, (1, 1)),
        tubes=tubes,
    )


@dataclass(frozen=True, eq=False, repr=False)
class FramePersons:
    """Person boxes of the frames of some videos.

    Attributes:
        found: by video and frame number, from 1; boxes end at the border of the frame.
        unknown_videos: names in the file that are none of the videos, whose boxes are left out.
        cut: how many boxes reached beyond the frame.
        no_frames: keys of frames that the video does not have, which are left out.
    """

    found: dict[FrameKey, PersonBoxes]
    unknown_videos: tuple[str, ...]
    cut: int
    no_frames: tuple[FrameKey, ...]


def read_frame_persons(
    path: str | os.PathLike[str], videos: Sequence[str], frame_counts: Mapping[str, int] | None = None
) -> FramePersons:
    """Read person boxes with keys "video,frame": a pickle (or CSV) as `read_proposals` has it.

    A key may name a video as `videos` does ("aerobic/v_1_c001"), with a suffix (MMAction2: "aerobic/v_1_c001.mp4"), or
    by its last part alone, where that is the name of one video only ("v_1_c001"). Frames count from 1, up to the
    `frame_counts` of the videos where they are known.

    Raises:
        InputError: not such a file, or boxes of none of the videos.

    Example:
        >>> from evaluation import read_frame_persons
        >>> read_frame_persons("frame_persons.pkl", ["v"]).found
        {FrameKey(video='v', moment=1): PersonBoxes(v@1, 1 persons)}
    """
    known = _names_of(videos)
    found: dict[FrameKey, PersonBoxes] = {}
    unknown: dict[str, None] = {}
    cut, no_frames = 0, []
    for key, persons in read_proposals(path).items():
        video = known.get(_bare(key.video))
        if video is None or key.moment % _PER_FRAME:
            unknown[key.video] = None
            continue
        frame = FrameKey(video, key.moment // _PER_FRAME)
        if frame.moment < 1 or (frame_counts and frame.moment > frame_counts[video]):
            no_frames.append(frame)
            continue
        inside = np.clip(persons.boxes, 0, 1)
        cut += int((inside != persons.boxes).any(axis=1).sum())
        found[frame] = PersonBoxes(frame, inside, persons.scores)
    if no_frames and not found:
        name, number = no_frames[0]
        raise InputError(
            f"{path}: has boxes only of frames that do not exist, such as {number} of '{name}'; expected the "
            "numbers of its frames, from 1"
        )
    if not found:
        example = f"such as '{next(iter(unknown))}'" if unknown else "and is empty"
        raise InputError(
            f"{path}: has boxes for none of the {len(videos)} videos, {example}; are these the proposals of this part?"
        )
    return FramePersons(found, tuple(unknown), cut, tuple(no_frames))


def _names_of(videos: Iterable[str]) -> dict[str, str]:
    """The video that each way to name it means."""
    short: dict[str, list[str]] = {}
    for video in videos:
        short.setdefault(video.rpartition("/")[2], []).append(video)
    return {name: which[0] for name, which in short.items() if len(which) == 1} | {video: video for video in videos}


def _bare(name: str) -> str:
    return _SUFFIX.sub("", name)

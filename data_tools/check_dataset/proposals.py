"""Person boxes against the truth: keys, coordinates, scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from actiondet.datasets.key_frames import SECOND_US
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.recall import check_recall
from data_tools.check_dataset.rows import BOX
from evaluation.boxes import BORDER, leaves_frame
from evaluation.errors import InputError, some
from evaluation.files import load_pickle
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey, PersonBoxes

Found = TypeVar("Found")


def read_or_report(path: str, read: Callable[[str], Found], expected: str, report: Report) -> Found | None:
    """What `read` finds in a file of person boxes; None, and a finding, where it cannot be read."""
    if not Path(path).is_file():
        report.error("file-missing", path, "the file does not exist", "make it by tools/detect_persons.py, or set null")
        return None
    try:
        return read(path)
    except (InputError, OSError) as fault:
        pixels = "pixels" in str(fault)
        report.error(
            "proposals-in-pixels" if pixels else "proposals-unreadable",
            path,
            str(fault),
            "divide x by the frame's width and y by its height" if pixels else f"expected {expected}",
        )
        return None


def read_persons(path: str, report: Report) -> dict[FrameKey, PersonBoxes] | None:
    """Read person boxes, or report why they cannot be read."""
    found = read_or_report(path, read_proposals, "a dense-proposal pkl or CSV", report)
    if found is None:
        return None
    if not any(len(persons) for persons in found.values()):
        report.error("proposals-empty", path, "the file holds no box", "make it by tools/detect_persons.py")
        return None
    if path.endswith(".pkl"):
        _check_key_dialect(path, report)
    return found


def _check_key_dialect(path: str, report: Report) -> None:
    content = load_pickle(path)
    odd = [key for key in content if not re.search(r",\d{4,}$", key) or re.search(r",0\d{4,}$", key)]
    if odd and not all("." in key.rpartition(",")[2] for key in odd):
        report.warn(
            "proposal-keys",
            path,
            f"keys such as '{odd[0]}' are not padded as 'video,0902' ({len(odd)} keys)",
            "read here all the same; other toolkits find no box under such a key",
        )
    narrow = [key for key, rows in content.items() if np.ndim(rows) == 2 and np.shape(rows)[1] == 4]
    if narrow:
        report.warn(
            "proposals-without-scores",
            path,
            f"'{narrow[0]}' has 4 columns ({len(narrow)} keys): every box counts 1.0",
            "write the detector's score as column 5, or data.person_threshold cannot work",
        )


def _spoken(key: FrameKey, per_unit: int) -> str:
    return f"{key.video},{key.moment / per_unit:g}"


def check_persons(
    path: str, found: dict[FrameKey, PersonBoxes], threshold: float, report: Report, *, per_unit: int = SECOND_US
) -> None:
    """Check coordinates and scores; messages divide moments by `per_unit`."""
    every = [persons for persons in found.values() if len(persons)]
    boxes = np.concatenate([persons.boxes for persons in every]).astype(np.float64)
    scores = np.concatenate([persons.scores for persons in every])
    owners = np.repeat(np.arange(len(every)), [len(persons) for persons in every])

    def where(wrong: npt.NDArray[np.bool_]) -> str:
        return f"{path}, '{_spoken(every[owners[int(wrong.argmax())]].key, per_unit)}'"

    inverted = (boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3])
    outside = leaves_frame(boxes)
    flat = np.asarray((boxes[:, :2] == boxes[:, 2:]).any(axis=1)) & ~inverted
    if inverted.any():
        sizes = (boxes[:, :2] + boxes[:, 2:] <= 1 + BORDER).all(axis=1).mean() > 0.95 and inverted.sum() > 1
        report.error(
            "proposals-xywh" if sizes else "proposals-inverted",
            where(inverted),
            f"{int(inverted.sum())} boxes are {'corner and size' if sizes else 'inside out'}",
            "expected x1,y1,x2,y2",
        )
    if outside.any():
        report.error("proposals-outside", where(outside), f"{int(outside.sum())} boxes leave the frame", "clip to 0..1")
    if flat.any():
        report.warn("proposals-without-area", where(flat), f"{int(flat.sum())} boxes have no area", "delete them")
    again = pd.DataFrame(boxes).assign(moment=owners).duplicated().to_numpy()
    if again.any():
        report.warn(
            "proposals-twice",
            where(again),
            f"{int(again.sum())} boxes occur twice at their key frame",
            "delete the copies: each is scored as a person of its own",
        )
    strange = (scores < 0) | (scores > 1)
    if strange.any():
        report.error(
            "proposal-scores",
            where(strange),
            f"{int(strange.sum())} scores are not in 0..1 ({scores[strange][0]:g})",
            "write probabilities: data.person_threshold is held against them",
        )
    elif (scores < threshold).all():
        report.error(
            "scores-under-threshold",
            path,
            f"every score (largest {scores.max():.3f}) is under data.person_threshold {threshold:g}",
            f"lower data.person_threshold below {scores.max():.3f}",
        )
    elif (kept := float((scores >= threshold).mean())) < 0.02:
        report.warn(
            "scores-mostly-under-threshold",
            path,
            f"{kept:.1%} of the boxes reach data.person_threshold {threshold:g}",
            "lower data.person_threshold",
        )
    if len(scores) > 20 and np.unique(scores).size == 1:
        report.warn(
            "proposal-scores-constant", path, f"every score is {scores[0]:g}", "are these scores of a detector?"
        )


def check_against_truth(
    split: str,
    path: str,
    table: pd.DataFrame,
    found: dict[FrameKey, PersonBoxes],
    excluded: Collection[FrameKey],
    threshold: float,
    report: Report,
    *,
    match_iou: float,
    per_unit: int = SECOND_US,
    tracks: bool = False,
) -> None:
    """Check that boxes and truth speak of the same moments, and how many true persons are found.

    Messages divide moments by `per_unit`: microseconds become seconds, frame numbers stay what they are. With
    `tracks` persons are followed from box to box, so that boxes between the moments of the truth are of use.
    """
    people = table[table["label"] >= 0].drop_duplicates(["video", "moment", *BOX])
    moments = {
        FrameKey(video, int(moment)): rows
        for (video, moment), rows in people.groupby(["video", "moment"], sort=False).indices.items()
    }
    moments = {key: rows for key, rows in moments.items() if key not in excluded}
    lacking = [key for key in moments if key not in found or not len(found[key])]
    if moments and len(lacking) == len(moments):
        report.error(
            "proposals-for-none",
            path,
            f"no key frame of the truth has a box {_why_none(list(moments), list(found), per_unit)}",
            "give the boxes of this split; names and seconds must be those of the truth",
        )
        return
    videos = {key.video for key in found}
    bare = sorted({key.video for key in lacking} - videos)
    if bare:
        report.error(
            "video-without-proposals", path, f"no boxes for the videos {some(bare)}", "run the person detector on them"
        )
    elif len(lacking) > 0.1 * len(moments):
        key = lacking[0]
        report.error(
            "truth-without-proposals",
            path,
            f"{len(lacking)} of {len(moments)} key frames with persons have no box: '{_spoken(key, per_unit)}'",
            "run the person detector on them: their persons can never be found",
        )
    elif lacking:
        report.facts.append((split, "key frames with persons, without proposals", str(len(lacking))))
    named = set(zip(table["video"], table["moment"], strict=True))
    idle = [key for key in found if tuple(key) not in named and key not in excluded]
    strangers = sorted(videos - set(table["video"]))
    if strangers or (len(idle) > 0.5 * len(found) and not tracks):
        report.warn(
            "proposals-without-truth",
            path,
            f"{len(idle)} of {len(found)} key frames are not in the truth"
            + (f" (videos {some(strangers)})" if strangers else f", e.g. '{_spoken(idle[0], per_unit)}'"),
            "are these the boxes of this split? key frames without persons belong into the truth as rows video,time",
        )
    check_recall(split, path, people[BOX].to_numpy(dtype=np.float64), moments, found, threshold, match_iou, report)


def _why_none(wanted: list[FrameKey], found: list[FrameKey], per_unit: int) -> str:
    """Guess why two sets of keys share nothing."""
    example = f"(truth '{_spoken(wanted[0], per_unit)}', boxes '{_spoken(found[0], per_unit)}')"
    ours, theirs = {key.video for key in wanted}, {key.video for key in found}
    if ours & theirs:
        return f"{example}: the videos agree, the key frames do not"
    if {Path(name).stem.lower() for name in ours} & {Path(name).stem.lower() for name in theirs}:
        return f"{example}: the names differ by suffix, folder or case"
    return f"{example}: the videos are others"

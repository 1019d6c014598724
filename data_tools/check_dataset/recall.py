"""How many of the true persons the proposals find, and whether they would find more if they were read otherwise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.readings import READINGS
from evaluation.boxes import paired_iou
from evaluation.errors import some
from evaluation.ragged import row_ranges
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

_SOUND_RECALL = 0.8
# Above it, boxes are read as they should be.
_CLEAR_RECALL = 0.95
_HOPELESS_RECALL = 0.3
_FEW_MATCHES = 0.05
# Boxes of another moment fit better: by so much of IoU in all, or in one video, and by so many standard errors.
_GAIN, _GAIN_OF_VIDEO, _SURE = 0.02, 0.1, 6.0
# ... or boxes that are read in another way.
_GAIN_OF_READING = 0.1
_LIKELY = ("corner and size", "centre and size", "y before x", "mirrored left to right", "upside down")
_FEWEST = 10


def best_iou(truth: FloatArray, moments: dict[FrameKey, IntArray], boxes: dict[FrameKey, FloatArray]) -> FloatArray:
    """The IoU of every true person with its best box, moment by moment."""
    mine = [boxes.get(key, np.empty((0, 4))) for key in moments]
    people, found = np.array([len(rows) for rows in moments.values()]), np.array([len(theirs) for theirs in mine])
    if people.sum() == 0 or found.sum() == 0:
        return np.zeros(int(people.sum()))
    # Every person beside every box of its moment, person by person: 10 million pairs on AVA, no loop over moments.
    pairs = np.repeat(found, people)
    right = row_ranges(np.repeat(np.cumsum(found) - found, people), pairs)
    left = np.repeat(np.concatenate(list(moments.values())), pairs)
    overlaps = np.nan_to_num(paired_iou(truth[left], np.concatenate(mine)[right].astype(np.float64)))
    best = np.zeros(len(pairs))
    paired = pairs > 0
    best[paired] = np.maximum.reduceat(overlaps, (np.cumsum(pairs) - pairs)[paired])
    return best


def check_recall(
    part: str,
    path: str,
    truth: FloatArray,
    moments: dict[FrameKey, IntArray],
    found: dict[FrameKey, PersonBoxes],
    threshold: float,
    match_iou: float,
    report: Report,
) -> None:
    """Report the recall of the proposals that count, and what it says of the two files.

    Args:
        part: "train" or "val".
        path: the proposals' file.
        truth: (P, 4) boxes of the true persons.
        moments: rows of `truth` at each moment.
        found: the proposals.
        threshold: of their scores.
        match_iou: from which on a proposal trains with the labels of a person.
        report: takes what is found.
    """
    kept = {
        key: persons.boxes[persons.scores >= min(threshold, persons.scores.max(initial=0))]
        for key, persons in found.items()
    }
    best = best_iou(truth, moments, kept)
    recall = float((best >= 0.5).mean()) if len(best) else 0.0
    for iou in (0.5, 0.9):
        value = float((best >= iou).mean()) if len(best) else 0.0
        report.facts.append((part, f"recall of the proposals at IoU {iou}", f"{value:.1%}"))
    if _check_moments(path, truth, moments, kept, best, report):
        return
    meaning = _meant(truth, moments, kept, best) if len(best) and recall < _CLEAR_RECALL else ""
    if len(best) and (recall < _HOPELESS_RECALL or meaning):
        report.error(
            "proposal-recall",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5{meaning}",
            "boxes and truth are not of the same frames, or written in another way; the recall bounds the mAP",
        )
    elif len(best) and recall < _SOUND_RECALL:
        report.warn(
            "proposal-recall",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5",
            "the recall bounds the mAP: lower data.person_threshold, or take a better person detector",
        )
    if len(best) and part == "train" and recall >= _HOPELESS_RECALL and (best >= match_iou).mean() < _FEW_MATCHES:
        report.warn(
            "match-iou",
            path,
            f"only {(best >= match_iou).mean():.1%} of the true persons have a box at data.match_iou {match_iou:g}",
            "hardly any proposal trains; lower data.match_iou",
        )
    if len(best) > 20 and part == "val" and (best > 0.9999).all():
        report.warn(
            "proposals-are-truth",
            path,
            "every true person has exactly its own box",
            "boxes of the truth make the mAP look better than that of a detector",
        )


def _check_moments(
    path: str,
    truth: FloatArray,
    moments: dict[FrameKey, IntArray],
    boxes: dict[FrameKey, FloatArray],
    best: FloatArray,
    report: Report,
) -> bool:
    """Find truth that belongs to the boxes of the moment before or after, in all videos or in some."""
    keys = list(moments)
    steps = [b.moment - a.moment for a, b in pairwise(sorted(keys)) if a.video == b.video]
    if not steps:
        return False
    step = int(np.median(steps))
    videos = np.repeat([key.video for key in keys], [len(rows) for rows in moments.values()])
    for name, shift in (("next", step), ("previous", -step)):
        shifted = {FrameKey(key.video, key.moment + shift): rows for key, rows in moments.items()}
        there = np.repeat([key in boxes for key in shifted], [len(rows) for rows in moments.values()])
        if not there.any():
            continue
        gain = (best_iou(truth, shifted, boxes) - best)[there]
        of_video = {str(video): gain[videos[there] == video] for video in np.unique(videos[there])}
        wrong = [video for video, ours in of_video.items() if _is_gain(ours, _GAIN_OF_VIDEO)]
        if _is_gain(gain, _GAIN) or wrong:
            where = "" if _is_gain(gain, _GAIN) else f" of {some(wrong)}"
            report.error(
                "moments-shifted",
                path,
                f"the persons{where} fit the boxes of the {name} moment better than those of their own",
                "boxes, or truth, stand one moment off: which of them is right?",
            )
            return True
    return False


def _is_gain(gain: FloatArray, least: float) -> bool:
    error = float(gain.std()) / np.sqrt(len(gain)) if len(gain) else 0.0
    return len(gain) >= _FEWEST and float(gain.mean()) > max(least, _SURE * error)


def _meant(
    truth: FloatArray, moments: dict[FrameKey, IntArray], boxes: dict[FrameKey, FloatArray], best: FloatArray
) -> str:
    """Say which other reading of the boxes would make them fit."""
    recall = float((best >= 0.5).mean())
    for name in _LIKELY:
        read = READINGS[name]
        for what, ours, theirs in (
            ("the proposals'", truth, {key: read(value) for key, value in boxes.items()}),
            ("the truth's", read(truth), boxes),
        ):
            fit = best_iou(ours, moments, theirs)
            if (fit >= 0.5).mean() > max(0.5, 2 * recall) or _is_gain(fit - best, _GAIN_OF_READING):
                return f"; read as {name}, {what} boxes would fit"
    return ""

"""How many of the true persons the proposals find, and whether they would find more if they were read otherwise."""

from __future__ import annotations

from data_tools.check_dataset.film_proposals import check_film_proposals, covered_part
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.matching import Matching, is_gain
from data_tools.check_dataset.readings import LIKELY, READINGS
from data_tools.check_dataset.shifted_boxes import check_shifts
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

_SOUND_RECALL = 0.8
# Above it, boxes are read as they should be.
_CLEAR_RECALL = 0.95
_HOPELESS_RECALL = 0.3
_FEW_MATCHES = 0.05
# Boxes that are read in another way fit better by so much of IoU.
_GAIN_OF_READING = 0.1


def check_recall(
    split: str,
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
        split: "train" or "val".
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
    matching = Matching(truth, moments, kept)
    best, recall = matching.best, matching.recall
    for iou in (0.5, 0.9):
        value = float((best >= iou).mean()) if len(best) else 0.0
        report.facts.append((split, f"recall of the proposals at IoU {iou}", f"{value:.1%}"))
    if len(best) == 0 or check_shifts(path, matching, report):
        return
    wrong = check_film_proposals(path, matching, report)
    part_of_persons = covered_part(matching) if recall < _HOPELESS_RECALL else ""
    meaning = _meant(matching) if recall < _CLEAR_RECALL and not part_of_persons and not wrong else ""
    if part_of_persons:
        report.error(
            "proposals-of-parts",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5: {part_of_persons}",
            "take a detector of whole persons, or draw the truth around the same part; the recall bounds the mAP",
        )
    elif recall < _HOPELESS_RECALL or meaning:
        report.error(
            "proposal-recall",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5{meaning}",
            "boxes and truth are not of the same frames, or written in another way; the recall bounds the mAP",
        )
    elif recall < _SOUND_RECALL:
        report.warn(
            "proposal-recall",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5",
            "the recall bounds the mAP: lower data.person_threshold, or take a better person detector",
        )
    if split == "train" and recall >= _HOPELESS_RECALL and (best >= match_iou).mean() < _FEW_MATCHES:
        report.warn(
            "match-iou",
            path,
            f"only {(best >= match_iou).mean():.1%} of the true persons have a box at data.match_iou {match_iou:g}",
            "hardly any proposal trains; lower data.match_iou",
        )
    if len(best) > 20 and split == "val" and (best > 0.9999).all():
        report.warn(
            "proposals-are-truth",
            path,
            "every true person has exactly its own box",
            "boxes of the truth make the mAP look better than that of a detector",
        )


def _meant(matching: Matching) -> str:
    """Say which other reading of the boxes would make them fit."""
    for name in LIKELY:
        for what, other in (
            ("the proposals'", matching.read_boxes(READINGS[name])),
            ("the truth's", matching.read_truth(READINGS[name])),
        ):
            better = is_gain(other.best - matching.best, _GAIN_OF_READING)
            if other.recall > max(0.5, 2 * matching.recall) or (other.recall > 0.5 and better):
                return f"; read as {name}, {what} boxes would fit"
    return ""

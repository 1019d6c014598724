"""How many of the true persons the proposals find, and whether they would find more if they were read otherwise."""

from __future__ import annotations

from itertools import islice, pairwise

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
# Moments by which boxes may be off, and as how many persons are enough to see it.
_SHIFTS, _ENOUGH = (1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60), 50_000
# A smaller share of the usual overlap is reported without an explanation; one must recover such a share of the loss.
_POOR_FILM, _SOUND_FILM = 0.5, 0.45
# Standard errors by which a video's overlap falls short, with and without an explanation: chance explains neither, and
# boxes that are right do not fit when they are read in another way.
_DOUBTED, _LOST = 2.5, 4.0
# Boxes of a part of a person lie in it with so much of their area, and cover less of it.
_WITHIN, _COVERS = 0.5, 0.6
_LIKELY = ("corner and size", "centre and size", "y before x", "mirrored left to right", "upside down")
_FEWEST, _FEW_VIDEOS = 10, 6


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
    wrong = check_recall_of_films(path, truth, moments, kept, best, report)
    parts = inside(truth, moments, kept) if recall < _HOPELESS_RECALL else ""
    meaning = (
        _meant(truth, moments, kept, best) if len(best) and recall < _CLEAR_RECALL and not parts and not wrong else ""
    )
    if len(best) and parts:
        report.error(
            "proposals-of-parts",
            path,
            f"only {recall:.1%} of the true persons have a box at IoU 0.5: {parts}",
            "take a detector of whole persons, or draw the truth around the same part; the recall bounds the mAP",
        )
    elif len(best) and (recall < _HOPELESS_RECALL or meaning):
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
    """Find truth that belongs to the boxes of moments before or after, in all videos or in some."""
    keys = list(moments)
    steps = [b.moment - a.moment for a, b in pairwise(sorted(keys)) if a.video == b.video]
    if not steps:
        return False
    step = int(np.median(steps))
    moments, best = _sampled(moments, best)
    videos = np.repeat([key.video for key in moments], [len(rows) for rows in moments.values()])
    found: tuple[float, int, list[str]] | None = None
    for shift in (sign * count for count in _SHIFTS for sign in (1, -1)):
        shifted = {FrameKey(key.video, key.moment + shift * step): rows for key, rows in moments.items()}
        there = np.repeat([key in boxes for key in shifted], [len(rows) for rows in moments.values()])
        if not there.any():
            continue
        gain = (best_iou(truth, shifted, boxes) - best)[there]
        of_video = {str(video): gain[videos[there] == video] for video in np.unique(videos[there])}
        wrong = [video for video, ours in of_video.items() if _is_gain(ours, _GAIN_OF_VIDEO)]
        everywhere = _is_gain(gain, _GAIN)
        if not everywhere and not wrong:
            continue
        score = float(gain.mean()) if everywhere else max(float(of_video[video].mean()) for video in wrong)
        if found is None or score > found[0]:
            found = (score, shift, [] if everywhere else wrong)
    if found is None:
        return False
    _, shift, wrong = found
    where = f" of {some(wrong)}" if wrong else ""
    which = (
        "next" if shift == 1 else "previous" if shift == -1 else f"{abs(shift)}th {'next' if shift > 0 else 'previous'}"
    )
    report.error(
        "moments-shifted",
        path,
        f"the persons{where} fit the boxes of the {which} moment better than those of their own",
        f"boxes, or truth, are {abs(shift)} {'moments' if abs(shift) > 1 else 'moment'} off: which of them is right?",
    )
    return True


def _sampled(moments: dict[FrameKey, IntArray], best: FloatArray) -> tuple[dict[FrameKey, IntArray], FloatArray]:
    """Every n-th moment and its persons, where there are far more than enough."""
    every = max(1, len(best) // _ENOUGH)
    kept = np.repeat(np.arange(len(moments)) % every == 0, [len(rows) for rows in moments.values()])
    return dict(islice(moments.items(), 0, None, every)), best[kept]


def _is_gain(gain: FloatArray, least: float) -> bool:
    error = float(gain.std()) / np.sqrt(len(gain)) if len(gain) else 0.0
    return len(gain) >= _FEWEST and float(gain.mean()) > max(least, _SURE * error)


def check_recall_of_films(
    path: str,
    truth: FloatArray,
    moments: dict[FrameKey, IntArray],
    boxes: dict[FrameKey, FloatArray],
    best: FloatArray,
    report: Report,
) -> bool:
    """Report videos whose boxes fit their truth far worse than those of the other videos, and say what would fit.

    Args:
        path: the proposals' file.
        truth: (P, 4) boxes of the true persons.
        moments: rows of `truth` at each moment.
        boxes: the proposals that count.
        best: (P,) the IoU of every true person with its best box, moment by moment.
        report: takes what is found.

    Returns:
        Whether any video was reported.
    """
    videos = np.repeat([key.video for key in moments], [len(rows) for rows in moments.values()])
    overlaps = {str(video): best[videos == video] for video in np.unique(videos)}
    if len(overlaps) < _FEW_VIDEOS:
        return False
    usual = float(np.median([ours.mean() for ours in overlaps.values()]))
    spread = float(np.median([ours.std() for ours in overlaps.values()]))
    reported = False
    for video, ours in overlaps.items():
        mean, count = float(ours.mean()), len(ours)
        loss = (usual - mean) / max(spread / np.sqrt(count), 1e-9)
        if count < _FEW_VIDEOS or mean > 0.9 * usual or loss < _DOUBTED:
            continue
        what = _why_poor(truth, video, moments, boxes, mean, usual)
        if not what and (mean > _POOR_FILM * usual or loss < _LOST):
            continue
        reported = True
        report.error(
            "proposals-of-film",
            f"{path}, '{video}'",
            f"{count} true persons overlap their best boxes by {mean:.2f} (IoU), usually {usual:.2f}"
            f"{': ' if what else ''}{what}",
            "run the person detector on this video again, and look whether it is the one that was annotated",
        )
    return reported


def _why_poor(
    truth: FloatArray,
    video: str,
    moments: dict[FrameKey, IntArray],
    boxes: dict[FrameKey, FloatArray],
    now: float,
    usual: float,
) -> str:
    """What would make the boxes of one video overlap by `usual` instead of `now`."""
    ours = {key: rows for key, rows in moments.items() if key.video == video}
    mine = {key: boxes[key] for key in boxes if key.video == video}

    def fit(people: FloatArray, rows: dict[FrameKey, IntArray], found: dict[FrameKey, FloatArray]) -> bool:
        best = best_iou(people, rows, found)
        return len(best) >= _FEW_VIDEOS and float(best.mean()) > now + _SOUND_FILM * (usual - now)

    for name in _LIKELY:
        read = READINGS[name]
        if fit(truth, ours, {key: read(value) for key, value in mine.items()}):
            return f"read as {name}, its proposals would fit"
        if fit(read(truth), ours, mine):
            return f"read as {name}, its true boxes would fit"
    for other in sorted({key.video for key in moments} - {video}):
        theirs = {key: rows for key, rows in moments.items() if key.video == other}
        if fit(truth, theirs, {key._replace(video=other): value for key, value in mine.items()}):
            return f"its proposals fit the persons of '{other}'"
    steps = np.diff(sorted(key.moment for key in ours))
    for shift in (sign * count for count in _SHIFTS for sign in (1, -1)) if len(steps) else ():
        step = shift * int(np.median(steps))
        shifted = {
            key: rows for moment, rows in ours.items() if (key := moment._replace(moment=moment.moment + step)) in mine
        }
        if fit(truth, shifted, mine):
            return f"its proposals are {abs(shift)} moment(s) {'late' if shift > 0 else 'early'}"
    return inside(truth, ours, mine)


def inside(truth: FloatArray, moments: dict[FrameKey, IntArray], boxes: dict[FrameKey, FloatArray]) -> str:
    """Say which part of the persons the boxes cover, where most persons have a box that lies within them."""
    places = []
    for key, rows in moments.items():
        found = boxes.get(key, np.empty((0, 4))).astype(np.float64)
        for left, top, right, bottom in truth[rows] if len(found) else ():
            wide = np.clip(np.minimum(found[:, 2], right) - np.maximum(found[:, 0], left), 0, None)
            high = np.clip(np.minimum(found[:, 3], bottom) - np.maximum(found[:, 1], top), 0, None)
            area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
            share = wide * high / np.maximum(area, 1e-9) * (area < _COVERS * (right - left) * (bottom - top))
            if share.max() >= _WITHIN:
                chosen = found[int(share.argmax())]
                places.append(((chosen[1] - top) / (bottom - top), (chosen[3] - top) / (bottom - top)))
    if len(places) < max(_FEWEST, 0.6 * sum(len(rows) for rows in moments.values())):
        return ""
    begin, end = np.median(places, axis=0)
    part = "heads" if end < 0.4 else "upper bodies" if end < 0.75 and begin < 0.2 else "parts of persons"
    return f"they are boxes of {part}, from {max(begin, 0):.0%} to {min(end, 1):.0%} of a person's height"


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
            reached = float((fit >= 0.5).mean())
            if reached > max(0.5, 2 * recall) or (reached > 0.5 and _is_gain(fit - best, _GAIN_OF_READING)):
                return f"; read as {name}, {what} boxes would fit"
    return ""

"""Each film by itself: do its proposals fit its persons as those of the other films do, or in another way?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.matching import Matching
from data_tools.check_dataset.readings import LIKELY, READINGS
from data_tools.check_dataset.shifted_boxes import SHIFTS
from evaluation.records import FrameKey, IntArray

_FEWEST, _FEW_VIDEOS = 10, 6
# A smaller share of the usual overlap is reported without an explanation; one must recover such a share of the loss.
_POOR, _RECOVERS = 0.5, 0.45
# Standard errors by which a video's overlap falls short, with and without an explanation: chance explains neither, and
# boxes that are right do not fit when they are read in another way.
_DOUBTED, _LOST = 2.5, 4.0
# Boxes of a part of a person lie in it with so much of their area, and cover less of it.
_WITHIN, _COVERS = 0.5, 0.6


def check_film_proposals(path: str, matching: Matching, report: Report) -> bool:
    """Report videos whose boxes fit their truth far worse than those of the other videos, and say what would fit.

    Args:
        path: the proposals' file.
        matching: the persons and the proposals that count.
        report: takes what is found.

    Returns:
        Whether any video was reported.
    """
    overlaps = pd.Series(matching.best).groupby(matching.per_person([key.video for key in matching.moments]))
    every = overlaps.agg(["mean", "std", "size"]).fillna(0.0)
    if len(every) < _FEW_VIDEOS:
        return False
    usual, spread = float(every["mean"].median()), float(every["std"].median())
    loss = (usual - every["mean"]) / np.maximum(spread / np.sqrt(every["size"]), 1e-9)
    doubted = every[(every["size"] >= _FEW_VIDEOS) & (every["mean"] < 0.9 * usual) & (loss > _DOUBTED)]
    reported = False
    for video, mean in doubted["mean"].items():
        what = _why_poor(str(video), matching, float(mean), usual)
        if not what and (mean > _POOR * usual or loss[video] < _LOST):
            continue
        reported = True
        report.error(
            "proposals-of-film",
            f"{path}, '{video}'",
            f"{int(every['size'][video])} true persons overlap their best boxes by {mean:.2f} (IoU), usually "
            f"{usual:.2f}{': ' if what else ''}{what}",
            "run the person detector on this video again, and look whether it is the one that was annotated",
        )
    return reported


def _why_poor(video: str, matching: Matching, now: float, usual: float) -> str:
    """What would make the boxes of one video overlap by `usual` instead of `now`."""
    boxes = {key: value for key, value in matching.boxes.items() if key.video == video}
    of_video: dict[str, dict[FrameKey, IntArray]] = {}
    for key, rows in matching.moments.items():
        of_video.setdefault(key.video, {})[key] = rows
    ours = Matching(matching.truth, of_video[video], boxes)

    def fits(other: Matching) -> bool:
        return len(other.best) >= _FEW_VIDEOS and float(other.best.mean()) > now + _RECOVERS * (usual - now)

    for name in LIKELY:
        if fits(ours.read_boxes(READINGS[name])):
            return f"read as {name}, its proposals would fit"
        if fits(ours.read_truth(READINGS[name])):
            return f"read as {name}, its true boxes would fit"
    for other, theirs in of_video.items():
        renamed = {key._replace(video=other): value for key, value in boxes.items()}
        if other != video and fits(Matching(matching.truth, theirs, renamed)):
            return f"its proposals fit the persons of '{other}'"
    steps = np.diff(sorted(key.moment for key in ours.moments))
    for shift in SHIFTS if len(steps) else ():
        shifted = ours.shifted(shift * int(np.median(steps)))
        known = {key: rows for key, rows in shifted.moments.items() if key in boxes}
        if fits(Matching(matching.truth, known, boxes)):
            return f"its proposals are {abs(shift)} key frame(s) {'late' if shift > 0 else 'early'}"
    return covered_part(ours)


def covered_part(matching: Matching) -> str:
    """Say which part of the persons the boxes cover, where most persons have a box that lies within them."""
    places = []
    for key, rows in matching.moments.items():
        found = matching.boxes.get(key, np.empty((0, 4))).astype(np.float64)
        for left, top, right, bottom in matching.truth[rows] if len(found) else ():
            wide = np.clip(np.minimum(found[:, 2], right) - np.maximum(found[:, 0], left), 0, None)
            high = np.clip(np.minimum(found[:, 3], bottom) - np.maximum(found[:, 1], top), 0, None)
            area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
            share = wide * high / np.maximum(area, 1e-9) * (area < _COVERS * (right - left) * (bottom - top))
            if share.max() >= _WITHIN:
                chosen = found[int(share.argmax())]
                places.append(((chosen[1] - top) / (bottom - top), (chosen[3] - top) / (bottom - top)))
    if len(places) < max(_FEWEST, 0.6 * len(matching.best)):
        return ""
    begin, end = np.median(places, axis=0)
    part = "heads" if end < 0.4 else "upper bodies" if end < 0.75 and begin < 0.2 else "parts of persons"
    return f"they are boxes of {part}, from {max(begin, 0):.0%} to {min(end, 1):.0%} of a person's height"

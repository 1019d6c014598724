"""Proposals, or truth, of other moments: boxes that are late or early by some of them."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.matching import Matching, is_gain
from evaluation.errors import some

SHIFTS = tuple(sign * count for count in (1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60) for sign in (1, -1))
"""Moments by which boxes may be off."""
# As many persons are enough to see it.
_ENOUGH = 50_000
# Boxes of another moment fit better: by so much of IoU in all, or in one video.
_GAIN, _GAIN_OF_VIDEO = 0.02, 0.1


def check_shifts(path: str, matching: Matching, report: Report) -> bool:
    """Find truth that belongs to the boxes of moments before or after, in all videos or in some.

    Args:
        path: the proposals' file.
        matching: the persons and the proposals that count.
        report: takes what is found.

    Returns:
        Whether anything was reported.
    """
    steps = [b.moment - a.moment for a, b in pairwise(sorted(matching.moments)) if a.video == b.video]
    if not steps:
        return False
    step = int(np.median(steps))
    every = max(1, len(matching.best) // _ENOUGH)
    matching = Matching(matching.truth, dict(islice(matching.moments.items(), 0, None, every)), matching.boxes)
    videos = matching.per_person([key.video for key in matching.moments])
    found: tuple[float, int, list[str]] | None = None
    for shift in SHIFTS:
        shifted = matching.shifted(shift * step)
        there = shifted.per_person([key in matching.boxes for key in shifted.moments]).astype(bool)
        if not there.any():
            continue
        gain = (shifted.best - matching.best)[there]
        of_video = pd.Series(gain).groupby(videos[there])
        wrong = [str(video) for video, ours in of_video if is_gain(ours.to_numpy(), _GAIN_OF_VIDEO)]
        everywhere = is_gain(gain, _GAIN)
        if not everywhere and not wrong:
            continue
        score = float(gain.mean() if everywhere else of_video.mean()[wrong].max())
        if found is None or score > found[0]:
            found = (score, shift, [] if everywhere else wrong)
    if found is None:
        return False
    _, shift, wrong = found
    where = f" of {some(wrong)}" if wrong else ""
    count, side = abs(shift), "next" if shift > 0 else "previous"
    report.error(
        "moments-shifted",
        path,
        f"the persons{where} fit the boxes of the {side if count == 1 else f'{count}th {side}'} key frame better than "
        "those of their own",
        f"boxes, or truth, are {count} key frame{'s' if count > 1 else ''} off: which of them is right?",
    )
    return True

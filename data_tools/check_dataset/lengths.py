"""Videos of another length than nearly all others, though they are annotated just as long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from data_tools.check_dataset.evidence import NAMES, FilmEvidence
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.readings import CLOCKS
from data_tools.check_dataset.videos import VideoFacts
from evaluation.errors import some

# So many videos show what is usual, and a video of so many moments whether it is in time.
_FEWEST, _MOMENTS = 4, 4


def check_lengths(
    path: str,
    table: pd.DataFrame,
    videos: Mapping[str, VideoFacts],
    evidence: Sequence[FilmEvidence],
    report: Report,
) -> None:
    """Find videos that were cut, or play at a wrong rate: a video that was recorded longer is annotated longer, too.

    What their pictures show has the last word: where the boxes fit better at their own times than at those of another
    speed, nothing is reported.

    Args:
        path: the truth, for messages.
        table: its rows, columns video and moment (microseconds).
        videos: what was seen of the videos.
        evidence: how well boxes and pictures fit.
        report: takes what is found.
    """
    moments = table.drop_duplicates(["video", "moment"]).groupby("video")["moment"]
    per_video, last = moments.size(), moments.max() / 1e6
    if len(per_video):
        report.facts.append((path, "key frames a video", f"{per_video.min()} to {per_video.max()}"))
    sound = {name: facts for name, facts in videos.items() if facts.fault is None and per_video.get(name, 0) >= 2}
    if len(sound) < _FEWEST:
        return
    usual = float(np.median([facts.seconds for facts in sound.values()]))
    typical = {name for name, facts in sound.items() if abs(facts.seconds - usual) <= 0.01 * usual}
    ends = float(last[list(typical)].median())
    in_time = {each.job.video for each in evidence if _is_in_time(each, sound, usual)}
    odd = [
        name
        for name, facts in sound.items()
        if name not in typical | in_time and abs(last[name] - ends) < abs(last[name] - ends - (facts.seconds - usual))
    ]
    rates = [name for name in odd if sound[name].frames in {sound[other].frames for other in typical}]
    if rates:
        report.warn(
            "wrong-rate",
            path,
            f"{some(rates)}: as many frames as other videos and annotated as long, but other seconds "
            f"({sound[rates[0]].seconds:.1f}, not {usual:.1f})",
            "was it cut at a wrong rate? nothing to do if it was recorded so",
        )
    rest = [name for name in odd if name not in rates]
    if rest and len(typical) >= 0.8 * len(sound):
        report.warn(
            "video-length",
            path,
            f"{some(rest)}: {sound[rest[0]].seconds:.1f} s long, {len(typical)} other videos {usual:.1f} s, and "
            "annotated as long as they are",
            "was it cut off, or does it play at another speed? nothing to do if it was recorded so",
        )


def _is_in_time(film: FilmEvidence, sound: Mapping[str, VideoFacts], usual: float) -> bool:
    """Whether the pictures of a video of unusual length fit its boxes best at their own times."""
    facts = sound.get(film.job.video)
    if facts is None:
        return False
    factor = facts.seconds / usual
    # The clock that fits the length, and that of a beginning that was cut off or added.
    clocks = [
        1 + place
        for place, name in enumerate(NAMES[1:])
        if name in CLOCKS
        and (
            (CLOCKS[name][1] == 0 and abs(CLOCKS[name][0] - factor) < 0.005)
            or (CLOCKS[name][0] == 1 and abs(CLOCKS[name][1] - (facts.seconds - usual)) <= 0.125)
        )
    ]
    gains = []
    for clock in clocks:
        both = film.fits[np.isfinite(film.fits[:, [0, clock]]).all(axis=1)][:, [0, clock]]
        if len(both) >= _MOMENTS:
            gains.append(float((both[:, 1] - both[:, 0]).mean()))
    return bool(gains) and max(gains) < 0

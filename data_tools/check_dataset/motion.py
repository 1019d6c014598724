"""Do people move where the boxes are? Finds times and boxes that fit each other, but not the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.config.data_sets import FrameFolderConfig
from data_tools.check_dataset.evidence import FilmEvidence, FilmJob, gather
from data_tools.check_dataset.film_motion import Better, check_films, compare
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.readings import CLOCKS, HEADS
from data_tools.check_dataset.rows import BOX
from data_tools.check_dataset.still_pictures import check_stills
from data_tools.check_dataset.videos import spread
from data_tools.workers import results_in_order

# Key moments that are looked at: of a video, and in all of those that have too few to be judged one by one.
_OF_VIDEO, _OF_SHORT, _SHORT = 12, 160, 5
# Another reading of a whole split must explain what happens so well, so much better, and so surely (standard errors).
_EXPLAINS, _BETTER, _SURE = 0.15, 1.25, 4.5
_FEWEST = 12


def check_motion(
    splits: Sequence[tuple[str, pd.DataFrame]],
    videos: Mapping[str, Path],
    pictures: FrameFolderConfig | None,
    processes: int,
    report: Report,
) -> list[FilmEvidence]:
    """Compare where something happens with the boxes, as they are and read in other ways; each split, and each video.

    Args:
        splits: file of the truth, for messages, and its boxes: columns video, x1 ... y2, label, and instant, when each
            is to be seen, in microseconds after the first frame of its video.
        videos: files or folders of those that can be read.
        pictures: layout of the folders; None: they are files.
        processes: videos that are read side by side.
        report: takes what is found.

    Returns:
        How well boxes and pictures fit, video by video.
    """
    jobs = [_choose(table, videos, pictures) for _, table in splits]
    every = [job for ours in jobs for job in ours]
    looked = results_in_order(gather, every, processes if len(every) > 3 else 1)
    evidence = iter(looked)
    of_splits = [[next(evidence) for _ in ours] for ours in jobs]
    for (path, _), ours in zip(splits, of_splits, strict=True):
        check_stills(path, ours, report)
        if not _check_split(path, ours, report):
            check_films(path, ours, looked, report)
    return looked


def _choose(table: pd.DataFrame, videos: Mapping[str, Path], pictures: FrameFolderConfig | None) -> list[FilmJob]:
    """Some moments of every video, spread over its length; where they are few, of some of the videos."""
    rows = table[(table["label"] >= 0) & table["video"].isin(list(videos))]
    moments = {str(name): np.unique(ours) for name, ours in rows.groupby("video", sort=False)["instant"]}
    short = {name: videos[name] for name, instants in moments.items() if len(instants) < _SHORT}
    left_out = short.keys() - spread(short, _OF_SHORT).keys()
    jobs = []
    for name, ours in rows[~rows["video"].isin(left_out)].groupby("video", sort=False):
        instants = moments[str(name)]
        chosen = instants[np.linspace(0, len(instants) - 1, min(len(instants), _OF_VIDEO)).astype(int)]
        boxes = [
            np.unique(ours.loc[ours["instant"] == instant, BOX].to_numpy(dtype=np.float64), axis=0)
            for instant in chosen
        ]
        jobs.append(FilmJob(str(name), videos[str(name)], pictures, chosen.astype(np.int64), boxes))
    return jobs


def _check_split(path: str, evidence: Sequence[FilmEvidence], report: Report) -> bool:
    """Report a whole split that fits its pictures only when it is read in another way."""
    if not evidence:
        return False
    found = _better_reading(evidence)
    if found is None:
        return False
    if found.name in CLOCKS:
        report.error(
            "motion-at-other-time",
            path,
            f"people move where the boxes are, but {found.name} in the videos: {found}",
            "correct the times, data.start or the rate at which the videos were cut",
        )
    elif found.name == HEADS:
        report.warn(
            "boxes-of-heads",
            path,
            f"people move below the boxes, as if these were of heads alone: {found}",
            "draw boxes around whole persons, or train and test with a person detector that finds heads, too",
        )
    else:
        report.error(
            "motion-elsewhere",
            path,
            f"people move where the boxes would be if they were read as {found.name}: {found}",
            "expected boxes x1,y1,x2,y2 as fractions of these very pictures",
        )
    return True


def _better_reading(evidence: Sequence[FilmEvidence]) -> Better | None:
    """The reading of all boxes that explains what happens far better than the boxes as they are."""
    compared = compare(np.concatenate([each.fits for each in evidence]), _FEWEST)
    believed = [
        one
        for one in compared
        if one is not None and one.fit > _EXPLAINS and one.fit > _BETTER * one.now and one.errors > _SURE
    ]
    return max(believed, key=lambda one: one.gain, default=None)

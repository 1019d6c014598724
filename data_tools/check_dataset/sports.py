"""MultiSports lays videos in a folder for each sport, and its labels begin with the sport: both must be the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data_tools.check_dataset.findings import Report
from evaluation.tube_dataset import TubeTruth


def check_sports(truths: Mapping[str, TubeTruth], paths: Mapping[str, str], report: Report) -> None:
    """Find tubes whose label is of another sport than their video, as where labels are shifted by one.

    Args:
        truths: of each split.
        paths: their files, for messages.
        report: takes what is found.
    """
    for split, truth in truths.items():
        tubes = truth.of_videos(truth.test_videos)
        folders = sorted({name.partition("/")[0] for name in truth.test_videos if "/" in name})
        # "aerobic push up" in aerobic_gymnastics/
        sports = [next((f for f in folders if f.startswith(label.partition(" ")[0])), "") for label in truth.labels]
        if len(folders) < 2 or "" in sports or set(sports) != set(folders):
            continue
        wanted = np.array(sports)[tubes.labels]
        actual = np.array([name.partition("/")[0] for name in tubes.videos])[tubes.video]
        wrong = np.flatnonzero(wanted != actual)
        if len(wrong):
            first = int(wrong[0])
            report.error(
                "label-of-other-sport",
                f"{paths[split]}, '{tubes.videos[int(tubes.video[first])]}'",
                f"has a tube labeled '{truth.labels[int(tubes.labels[first])]}' ({len(wrong)} of {len(wanted)} tubes "
                f"of {split} are of another sport than their video)",
                "are the labels numbered as their names are?",
            )

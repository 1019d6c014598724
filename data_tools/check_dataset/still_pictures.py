"""Key moments whose pictures show nothing, or stand still: a video that is black or frozen from some time on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_tools.check_dataset.evidence import FilmEvidence
from data_tools.check_dataset.findings import Report
from evaluation.boxes import iou_matrix
from evaluation.records import FloatArray

# Boxes that overlap less have moved.
_MOVED = 0.6


def check_stills(path: str, evidence: Sequence[FilmEvidence], report: Report) -> None:
    """Report videos with persons on pictures of one color, or who move while the picture does not.

    Args:
        path: the truth, for messages.
        evidence: of its videos.
        report: takes what is found.
    """
    for film in evidence:
        where, count = f"{path}, '{film.job.video}'", len(film.job.instants)
        if film.fault is not None:
            report.error("video-unreadable", where, film.fault, "copy or cut it again, or leave it out")
            continue
        blank = int(film.blank.sum())
        if blank >= 2:
            first = film.job.instants[int(film.blank.argmax())] / 1e6
            report.error(
                "film-blank",
                where,
                f"has persons at {count} key frames that were looked at, but at {blank} of them the picture has one "
                f"color (first {first:g} s after its beginning)",
                "copy or cut the video again, or leave these key frames out",
            )
        boxes = film.job.boxes
        stuck = [
            k for k in range(1, count) if film.again[k] and not film.blank[k] and _has_moved(boxes[k - 1], boxes[k])
        ]
        if len(stuck) >= 2:
            report.error(
                "film-frozen",
                where,
                f"the picture is the same at {len(stuck) + 1} key frames though the boxes move (first "
                f"{film.job.instants[stuck[0]] / 1e6:g} s after its beginning)",
                "copy or cut the video again: it stands still, or is shorter than its sound",
            )


def _has_moved(before: FloatArray, after: FloatArray) -> bool:
    """Whether a person is where nobody was."""
    overlaps = np.nan_to_num(iou_matrix(after, before))
    return bool(overlaps.max(axis=1).min() < _MOVED)

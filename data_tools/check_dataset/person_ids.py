"""Identities of persons, which tracks follow: the same person must have the same one at the next moment."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.rows import BOX
from evaluation.boxes import iou_matrix
from evaluation.errors import some
from evaluation.records import FloatArray, IntArray

# Links that a video and a whole split are judged by, and the agreement that ids drawn at random do not reach: a video
# has few links, so that it must be lower, and that of the others clearly higher.
_OF_VIDEO, _OF_PART = 12, 30
_NONE_OF_VIDEO, _NONE_OF_PART, _SOUND = 0.3, 0.45, 0.6
# What the place of a box counts beside its size: people may run past each other, or be of one size.
_WEIGHTS = (0.05, 0.5)
# Boxes of one person at two moments, where it hardly moves; and the share of them that keep their id.
_STAYS, _KEPT = 0.5, 0.3


def check_person_ids(path: str, table: pd.DataFrame, report: Report) -> None:
    """Find ids that change from moment to moment, in the whole split or in some videos; for `model.head.roi=track`.

    An id is held to be right where the likeliest assignment of a moment's boxes to those of the next one keeps it.
    Boxes are compared by height and by their feet, which change less than the place of people who run past each
    other; the place counts little or more, whichever suits the persons. Ids drawn at random are right at 1 of P
    persons; the agreement is what exceeds that, 0 for random ids and 1 for perfect ones (Cohen's kappa). It is
    reported below 0.45 for a split of 30 links, and below 0.3 for a video of 12 links, where that of the others
    exceeds 0.6. Of 67 sound toy films none is below 0.48; of those whose ids are drawn again nine of ten are below 0.3.

    Args:
        path: the truth, for messages.
        table: its boxes, columns video, moment, person (-1: unknown), x1 ... y2.
        report: takes what is found.
    """
    known = table[(table["person"] >= 0) & (table["label"] >= 0)].drop_duplicates(["video", "moment", "person"])
    links = {str(video): _links(ours) for video, ours in known.groupby("video", sort=False)}
    staying = np.concatenate([np.empty((0, 2)), *(found[1] for found in links.values())])
    if len(staying) >= _OF_PART and staying[:, 0].mean() < _KEPT:
        report.error(
            "person-ids-new",
            path,
            f"{len(staying)} boxes overlap a box of the next key frame by half, and {staying[:, 0].mean():.0%} keep "
            "their person id: ids are new at every key frame",
            "number persons, not boxes (column 8): model.head.roi=track follows these ids; or leave the column out",
        )
        return
    right = {video: found[0] for video, found in links.items()}
    every = np.concatenate([np.empty((0, 3)), *right.values()])
    if len(every) >= _OF_PART and _agreement(every) < _NONE_OF_PART:
        report.error(
            "person-ids-random",
            path,
            f"person ids agree with the boxes of the next key frame hardly better than chance "
            f"({_agreement(every):.2f}; 1 is perfect; {len(every)} links)",
            "give a person the same id at every key frame: model.head.roi=track follows them; or leave the column out",
        )
        return
    wrong = [
        video
        for video, ours in right.items()
        if len(ours) >= _OF_VIDEO
        and _agreement(ours) < _NONE_OF_VIDEO
        and _agreement(np.concatenate([np.empty((0, 3)), *(o for other, o in right.items() if other != video)]))
        > _SOUND
    ]
    if wrong:
        report.warn(
            "person-ids-random",
            path,
            f"person ids of {some(wrong)} agree with the boxes of the next key frame hardly better than chance",
            "give a person the same id at every key frame: model.head.roi=track follows them; or leave the column out",
        )


def _links(table: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Links of the persons of one video to the next moment.

    Returns:
        (L, 3) of every id that is at both moments, with others: does the likeliest assignment keep it, by each of the
        weights, and 1 / P.
        (M, 2) of every box that overlaps one of the next moment by half: does that have its id, and a zero.
    """
    moments = [(ours["person"].to_numpy(), ours[BOX].to_numpy(dtype=np.float64)) for _, ours in table.groupby("moment")]
    right, staying = [], []
    for (ids, boxes), (next_ids, next_boxes) in pairwise(moments):
        kept = [_assigned(ids, boxes, next_ids, next_boxes, weight) for weight in _WEIGHTS]
        overlap = np.nan_to_num(iou_matrix(boxes, next_boxes))
        for place, person in enumerate(ids.tolist()):
            if overlap[place].max() > _STAYS:
                staying.append((float(next_ids[overlap[place].argmax()] == person), 0.0))
            if len(next_ids) > 1 and person in next_ids and len(ids) > 1:
                right.append((*(float(place in each) for each in kept), 1 / len(next_ids)))
    return np.array(right).reshape(-1, 1 + len(_WEIGHTS)), np.array(staying).reshape(-1, 2)


def _assigned(ids: IntArray, boxes: FloatArray, next_ids: IntArray, next_boxes: FloatArray, weight: float) -> set[int]:
    """Places of the boxes whose id is that of the box assigned to them at the next moment."""
    rows, columns = linear_sum_assignment(_unlike(boxes, next_boxes, weight))
    return {int(row) for row, column in zip(rows, columns, strict=True) if ids[row] == next_ids[column]}


def _unlike(boxes: FloatArray, others: FloatArray, weight: float) -> FloatArray:
    """(N, M) how unlike two boxes are, in heights: their size, their feet, and by `weight` their place."""
    heights = (boxes[:, 3] - boxes[:, 1])[:, None]
    size = np.abs(np.log(heights / (others[:, 3] - others[:, 1])))
    feet = np.abs(boxes[:, 3, None] - others[:, 3]) / heights
    place = np.abs(boxes[:, 0, None] + boxes[:, 2, None] - others[:, 0] - others[:, 2]) / 2 / heights
    unlike: FloatArray = size + feet + weight * place
    return unlike


def _agreement(links: FloatArray) -> float:
    """How much better than chance, with the weight of places that suits the persons."""
    if len(links) == 0:
        return 1.0
    *right, chance = links.mean(axis=0).tolist()
    return float((max(right) - chance) / (1 - chance))

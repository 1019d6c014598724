"""Tubes of persons who are followed: each action of a person, over the key moments at which it is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, IntArray, Tube


class _Row(NamedTuple):
    """What a person does at a key moment: `place` is that of the moment, `row` that of the person in it."""

    person: int
    label: int
    place: int
    row: int
    score: float


def followed_tubes(
    found: Sequence[ActionDetections], identities: Sequence[IntArray], *, actions: ActionList, threshold: float
) -> list[Tube]:
    """Join what each person does at neighboring key moments.

    Args:
        found: the key moments of one video, rising.
        identities: (P,) numbers of the persons of each.
        actions: ids and names; columns without one are left out.
        threshold: a moment at which the action's score is lower ends the tube.

    Returns:
        Tubes with the number of their person, by person, label and time; the score is the mean over the moments.
    """
    rows = [
        _Row(int(identity), label, place, row, float(scores[column]))
        for place, (moment, numbers) in enumerate(zip(found, identities, strict=True))
        for row, (identity, scores) in enumerate(zip(numbers, moment.action_scores, strict=True))
        for label, column in zip(actions.ids, actions.columns.tolist(), strict=True)
        if scores[column] >= threshold
    ]
    runs: list[list[_Row]] = []
    for each in sorted(rows):
        if runs and runs[-1][-1][:3] == (each.person, each.label, each.place - 1):
            runs[-1].append(each)
        else:
            runs.append([each])
    return [_tube(run, found) for run in runs]


def _tube(run: Sequence[_Row], found: Sequence[ActionDetections]) -> Tube:
    scores = np.array([row.score for row in run])
    return Tube(
        video=found[run[0].place].key.video,
        label=run[0].label,
        score=float(scores.mean()),
        moments=np.array([found[row.place].key.moment for row in run], dtype=np.int64),
        boxes=np.stack([found[row.place].boxes[row.row] for row in run]),
        box_scores=scores,
        person=run[0].person,
    )

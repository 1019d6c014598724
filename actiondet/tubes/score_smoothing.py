"""What a person does, averaged over neighboring frames (numpy and scipy only)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from actiondet.tubes.tracking import track_persons
from evaluation.records import ActionDetections, PersonBoxes

MAX_GAP = 5
"""Moments that a person may be missed and still be the same one."""


def smooth_scores(detections: Sequence[ActionDetections], window: int) -> list[ActionDetections]:
    """Average the action scores of every person over the moments around.

    A network that looks at each frame separately errs separately; what a person does changes more slowly.

    Args:
        detections: of one video, moments rising; moments are frame numbers.
        window: frames, odd: a score becomes the mean of the scores that the same person has at most window // 2
            frames away.

    Returns:
        The same boxes with the averaged scores.
    """
    if window <= 1 or not detections:
        return list(detections)
    persons = [PersonBoxes(each.key, each.boxes, each.person_scores) for each in detections]
    identities = np.concatenate(track_persons(persons, max_gap=MAX_GAP))
    moments = np.repeat([each.key.moment for each in detections], [len(each) for each in detections])
    scores = np.concatenate([each.action_scores for each in detections])

    reach = window // 2
    # Person by person and, within, moment by moment on one axis; the gap keeps persons apart.
    place = identities * (int(moments.max(initial=0)) + reach + 1) + moments
    order = np.argsort(place, kind="stable")
    place = place[order]
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores[order], axis=0, dtype=np.float64)])
    begin, end = np.searchsorted(place, place - reach, "left"), np.searchsorted(place, place + reach, "right")
    means = np.empty_like(scores)
    means[order] = (sums[end] - sums[begin]) / (end - begin)[:, None]
    parts = np.split(means, np.cumsum([len(each) for each in detections])[:-1])
    return [replace(each, action_scores=part) for each, part in zip(detections, parts, strict=True)]

"""What was found in a video, as a JSON file for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actiondet.video.described import DescribedVideo
from evaluation.files import write_text
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FloatArray, IntArray


def write_detections_json(
    path: str | Path,
    described: DescribedVideo,
    detections: Sequence[ActionDetections],
    identities: Sequence[IntArray],
    *,
    actions: ActionList,
    threshold: float,
    start: int = 0,
    about: dict[str, str] | None = None,
) -> None:
    """Write the persons and actions of each key moment.

    `{"video": {path, width, height, rate, seconds}, "moments": [{"time": seconds in the file, "persons":
    [{"identity", "box": [x1, y1, x2, y2] as fractions of width and height, "score", "actions": [{"id", "name",
    "score"}, ...] best first}]}], ...}`. A person who is followed from moment to moment keeps the identity.

    Args:
        path: the file.
        described: the video.
        detections: one for each key moment, rising.
        identities: (P,) numbers of the persons of each.
        actions: ids and names; columns without one are left out.
        threshold: actions with a lower score are left out.
        start: microseconds on the clock of `detections` at which the file begins.
        about: what a reader should know, e.g. where the network comes from.
    """
    video = {
        "path": described.path,
        "width": described.width,
        "height": described.height,
        "rate": float(described.rate),
        "seconds": described.duration_us / 1e6,
    }
    head = json.dumps({"video": video, **(about or {}), "threshold": threshold}, ensure_ascii=False)
    moments = [
        {"time": (each.key.moment - start) / 1e6, "persons": _persons(each, numbers, actions, threshold)}
        for each, numbers in zip(detections, identities, strict=True)
    ]
    lines = ",\n".join(json.dumps(moment, ensure_ascii=False) for moment in moments)
    write_text(path, f'{head[:-1]}, "moments": [\n{lines}\n]}}\n')


def _persons(
    found: ActionDetections, identities: IntArray, actions: ActionList, threshold: float
) -> list[dict[str, Any]]:
    return [
        {
            "identity": int(identity),
            "box": [round(float(side), 6) for side in box],
            "score": round(float(score), 6),
            "actions": _named(scores, actions, threshold),
        }
        for identity, box, score, scores in zip(
            identities, found.boxes, found.person_scores, found.action_scores, strict=True
        )
    ]


def _named(scores: FloatArray, actions: ActionList, threshold: float) -> list[dict[str, Any]]:
    ids = np.asarray(actions.ids, dtype=np.int64)
    of_ids = scores[actions.columns]
    best = np.argsort(-of_ids, kind="stable")
    return [
        {"id": int(ids[place]), "name": actions.names[place], "score": round(float(of_ids[place]), 6)}
        for place in best[of_ids[best] >= threshold].tolist()
    ]

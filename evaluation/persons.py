"""How good person boxes are, apart from actions: COCO's AP and recall, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import InputError
from evaluation.moments import annotated_moments
from evaluation.records import FloatArray, FrameKey, PersonBoxes, TruthRows

# pycocotools sorts boxes into sizes by pixels; unit boxes are measured on a frame of this side, which changes no IoU.
_SIDE = 1000.0


@dataclass(frozen=True)
class PersonApResult:
    """Person-box AP, all in [0, 1].

    Attributes:
        ap: mean over IoU 0.50:0.95.
        ap50: at IoU 0.5.
        ap75: at IoU 0.75.
        recall: largest recall with 100 boxes per moment, mean over IoU 0.50:0.95.
        moments: number of moments scored.
        truths: number of annotated persons.
        detections: number of boxes at these moments.
    """

    ap: float
    ap50: float
    ap75: float
    recall: float
    moments: int
    truths: int
    detections: int

    def __str__(self) -> str:
        return (
            f"person AP {self.ap:.4f}   AP50 {self.ap50:.4f}   AP75 {self.ap75:.4f}   recall {self.recall:.4f}   "
            f"({self.truths} persons, {self.detections} boxes, {self.moments} moments)"
        )


def person_ap(
    truth: TruthRows, persons: Iterable[PersonBoxes], *, excluded: Collection[FrameKey] = frozenset()
) -> PersonApResult:
    """Score person boxes at the moments that the truth names.

    Rows of the truth with one box at one moment (a person who does several things) are one person.

    Args:
        truth: annotated boxes; labels do not matter.
        persons: detected persons; those of other moments do not count.
        excluded: moments that do not count.

    Raises:
        InputError: the truth names no moment.
    """
    keys = annotated_moments(truth, without=excluded)
    if not keys:
        raise InputError("the truth names no moment that counts; persons cannot be scored")
    image_of = {key: image for image, key in enumerate(keys, start=1)}
    annotations = _annotations(truth, image_of)
    found = [record for person in persons if (image := image_of.get(person.key)) for record in _records(person, image)]
    stats = _coco_stats(list(image_of.values()), annotations, found)
    return PersonApResult(
        ap=stats[0],
        ap50=stats[1],
        ap75=stats[2],
        recall=stats[8],
        moments=len(keys),
        truths=len(annotations),
        detections=len(found),
    )


def _annotations(truth: TruthRows, image_of: dict[FrameKey, int]) -> list[dict[str, object]]:
    names = [str(name) for name in truth.video.categories]
    frame = pd.DataFrame({"video": np.asarray(truth.video.codes), "moment": truth.moment})
    frame[["x1", "y1", "x2", "y2"]] = truth.boxes
    frame = frame.drop_duplicates()
    keys = [FrameKey(names[v], int(m)) for v, m in zip(frame["video"], frame["moment"], strict=True)]
    boxes = _coco_boxes(frame[["x1", "y1", "x2", "y2"]].to_numpy())
    rows = [(image_of[key], box) for key, box in zip(keys, boxes, strict=True) if key in image_of]
    return [
        {"id": number, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, box) in enumerate(rows, start=1)
    ]


def _records(person: PersonBoxes, image: int) -> list[dict[str, object]]:
    boxes = _coco_boxes(person.boxes.astype(np.float64))
    return [
        {"image_id": image, "category_id": 1, "bbox": box, "score": score}
        for box, score in zip(boxes, person.scores.tolist(), strict=True)
    ]


def _coco_boxes(unit_boxes: FloatArray) -> list[list[float]]:
    """Return x, y, width, height on the measuring frame."""
    corner, size = unit_boxes[:, :2], unit_boxes[:, 2:] - unit_boxes[:, :2]
    result: list[list[float]] = (np.concatenate([corner, size], axis=1) * _SIDE).tolist()
    return result


def _coco_stats(images: list[int], annotations: list[dict[str, object]], found: list[dict[str, object]]) -> list[float]:
    """Return the twelve numbers of pycocotools' summary."""
    from pycocotools import coco, cocoeval

    make_coco: Any = coco.COCO  # pycocotools has no types
    make_evaluator: Any = cocoeval.COCOeval

    if not annotations or not found:
        return [0.0] * 12  # pycocotools cannot load an empty list of results
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        truth = make_coco()
        truth.dataset = {
            "info": {},
            "images": [{"id": image} for image in images],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "person"}],
        }
        truth.createIndex()
        evaluator = make_evaluator(truth, truth.loadRes(found), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]

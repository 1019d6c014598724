"""How good person boxes are, apart from actions: COCO's AP and recall, by pycocotools."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.average_precision import PrecisionRecall, precision_recall
from evaluation.boxes import BoolArray, iou_matrix
from evaluation.errors import InputError
from evaluation.moments import annotated_moments
from evaluation.records import FloatArray, FrameKey, PersonBoxes, TruthRows
from evaluation.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# pycocotools sorts boxes into sizes by pixels; unit boxes are measured on a frame of this side, which changes no IoU.
_SIDE = 1000.0


IOUS = (0.5, 0.75, 0.9)
"""IoU thresholds at which AP and recall are reported."""


@dataclass(frozen=True, eq=False)
class PersonApResult(Result):
    """Person-box AP, all in [0, 1].

    What all results have is here, too: `mean_ap`, `per_class`, `curves`, `hits`, `to_json`, `to_csv` and `plot`, the
    curves. The one class is "person".

    Attributes:
        ap: mean over IoU 0.50:0.95.
        recall: largest recall with 100 boxes per moment, mean over IoU 0.50:0.95.
        ap_at: AP at each of `IOUS`.
        recall_at: likewise.
        largest_map: no scores of actions whatever give these boxes a larger frame-mAP at IoU 0.5.
        moments: number of moments scored.
        truths: number of annotated persons.
        detections: number of boxes at these moments.
        scores: (N,) of the boxes that pycocotools looked at, the best 100 of each moment, falling.
        hits: (3, N) whether each found a person, at each of `IOUS`.

    Example:
        >>> from evaluation import person_ap, read_ava_csv, read_proposals
        >>> persons = read_proposals("persons.pkl").values()
        >>> result = person_ap(read_ava_csv("truth.csv"), persons)
        >>> result.recall_at[0], result.truths
        (0.6666666666666666, 3)
        >>> len(result.curves)
        3
    """

    ap: float
    recall: float
    ap_at: tuple[float, ...]
    recall_at: tuple[float, ...]
    largest_map: float
    moments: int
    truths: int
    detections: int
    scores: FloatArray = field(repr=False)
    hits: BoolArray = field(repr=False)

    @property
    def mean_ap(self) -> float:
        """`ap`, the mean over IoU 0.50:0.95."""
        return self.ap

    @property
    def curves(self) -> tuple[PrecisionRecall, ...]:
        """Precision and recall at each of `IOUS`."""
        return tuple(PrecisionRecall(1, self.scores, *precision_recall(hits, self.truths)) for hits in self.hits)

    @property
    def columns(self) -> dict[str, Any]:
        """One row: id, name, ap, truths, detections, recall, and ap@... and recall@... of each of `IOUS`."""
        row: dict[str, Any] = {
            "id": 1,
            "name": "person",
            "ap": self.ap,
            "truths": self.truths,
            "detections": self.detections,
        }
        row["recall"] = self.recall
        for iou, ap, recall in self._rows():
            row[f"ap@{iou}"], row[f"recall@{iou}"] = ap, recall
        return {name: [value] for name, value in row.items()}

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes: mean_ap and the figures."""
        names = [field.name for field in fields(self) if field.name not in ("scores", "hits")]
        return {"mean_ap": self.mean_ap, **{name: getattr(self, name) for name in names}}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw precision and recall at each of `IOUS`; see `Result.plot`."""
        from evaluation.plots import Curve, draw_curves, picture  # matplotlib is loaded only for a picture

        curves = [
            Curve(curve.precision, curve.recall, f"IoU {iou:g}") for iou, curve in zip(IOUS, self.curves, strict=True)
        ]
        title = f"persons: AP {self.ap:.4f}, recall {self.recall:.4f}"
        return picture((6, 6), lambda on: draw_curves(on, curves, title=title), path, axes)

    def __str__(self) -> str:
        rows = [f"IoU {iou:<10g}{ap:>7.4f}{recall:>10.4f}" for iou, ap, recall in self._rows()]
        return "\n".join(
            [
                f"{self.truths} persons and {self.detections} boxes at {self.moments} timestamps",
                "                   AP    recall",
                f"IoU 0.5:0.95  {self.ap:>7.4f}{self.recall:>10.4f}",
                *rows,
                "recall at IoU 0.5 bounds the action mAP, as nobody who is not found can be scored: with these boxes",
                f"the frame-mAP at IoU 0.5 is at most {self.largest_map:.4f}",
            ]
        )

    def _rows(self) -> Iterator[tuple[float, float, float]]:
        return zip(IOUS, self.ap_at, self.recall_at, strict=True)


def person_ap(
    truth: TruthRows,
    persons: Iterable[PersonBoxes],
    *,
    excluded: Collection[FrameKey] = frozenset(),
    actions: Collection[int] | None = None,
) -> PersonApResult:
    """Score person boxes at the moments that the truth names.

    Rows of the truth with one box at one moment (a person who does several things) are one person.

    Args:
        truth: annotated boxes; labels matter for `largest_map` alone.
        persons: detected persons; those of other moments do not count.
        excluded: moments that do not count.
        actions: the labels that are scored; None takes all.

    Raises:
        InputError: the truth names no moment.

    Example:
        >>> from evaluation import person_ap, read_ava_csv, read_proposals
        >>> person_ap(read_ava_csv("truth.csv"), read_proposals("persons.pkl").values()).truths
        3
    """
    keys = annotated_moments(truth, without=excluded)
    if not keys:
        raise InputError("the truth names no timestamp that counts; persons cannot be scored")
    image_of = {key: image for image, key in enumerate(keys, start=1)}
    annotations = _annotations(truth, image_of)
    counted = [person for person in persons if person.key in image_of]
    found = [record for person in counted for record in _records(person, image_of[person.key])]
    figures = _coco_figures(list(image_of.values()), annotations, found)
    return PersonApResult(
        ap=figures.ap,
        recall=figures.recall,
        ap_at=figures.ap_at,
        recall_at=figures.recall_at,
        largest_map=_largest_map(truth, counted, image_of.keys(), actions),
        moments=len(keys),
        truths=len(annotations),
        detections=len(found),
        scores=figures.scores,
        hits=figures.hits,
    )


def _largest_map(
    truth: TruthRows, persons: Iterable[PersonBoxes], keys: Collection[FrameKey], actions: Collection[int] | None
) -> float:
    """Mean over the actions of the share of their rows that some box overlaps enough: no recall is larger."""
    names = [str(name) for name in truth.video.categories]
    boxes_at = {person.key: person.boxes for person in persons}
    frame = pd.DataFrame({"video": truth.video.codes, "moment": truth.moment, "label": truth.labels})
    counts = np.zeros(len(frame), dtype=bool)
    found = np.zeros(len(frame), dtype=bool)
    for (video, moment), rows in frame.groupby(["video", "moment"], sort=False).indices.items():
        key = FrameKey(names[video], int(moment))
        counts[rows] = key in keys
        boxes = boxes_at.get(key)
        if boxes is not None and len(boxes):
            found[rows] = (iou_matrix(truth.boxes[rows], boxes.astype(np.float64)) >= IOUS[0]).any(axis=1)
    if actions is not None:
        counts &= np.isin(truth.labels, list(actions))
    shares = pd.Series(found[counts]).groupby(truth.labels[counts]).mean()
    return float(shares.mean()) if len(shares) else 0.0


def _annotations(truth: TruthRows, image_of: dict[FrameKey, int]) -> list[dict[str, object]]:
    names = [str(name) for name in truth.video.categories]
    frame = pd.DataFrame({"video": truth.video.codes, "moment": truth.moment})
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


class _CocoFigures(NamedTuple):
    ap: float
    recall: float
    ap_at: tuple[float, ...]
    recall_at: tuple[float, ...]
    scores: FloatArray
    hits: BoolArray


def _coco_figures(
    images: list[int], annotations: list[dict[str, object]], found: list[dict[str, object]]
) -> _CocoFigures:
    """What pycocotools says with 100 boxes a moment, of people of any size."""
    from pycocotools import coco, cocoeval

    make_coco: Any = coco.COCO  # pycocotools has no types
    make_evaluator: Any = cocoeval.COCOeval

    if not annotations or not found:  # pycocotools cannot load an empty list of results
        nothing = (0.0,) * len(IOUS)
        return _CocoFigures(0.0, 0.0, nothing, nothing, np.zeros(0), np.zeros((len(IOUS), 0), dtype=np.bool_))
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
        evaluator.params.areaRng, evaluator.params.areaRngLbl = evaluator.params.areaRng[:1], ["all"]
        evaluator.params.maxDets = [100]
        evaluator.evaluate()
        evaluator.accumulate()
    # (IoU, recall), (IoU,): of the one class, all sizes, 100 boxes.
    precision, recall = evaluator.eval["precision"][:, :, 0, 0, 0], evaluator.eval["recall"][:, 0, 0, 0]
    places = [int(np.argmin(np.abs(evaluator.params.iouThrs - iou))) for iou in IOUS]
    at_moments = [each for each in evaluator.evalImgs if each is not None]
    scores = np.concatenate([each["dtScores"] for each in at_moments])
    hits = np.concatenate([each["dtMatches"][places] > 0 for each in at_moments], axis=1)
    order = np.argsort(-scores, kind="stable")  # as pycocotools does
    return _CocoFigures(
        ap=float(precision.mean()),
        recall=float(recall.mean()),
        ap_at=tuple(float(precision[place].mean()) for place in places),
        recall_at=tuple(float(recall[place]) for place in places),
        scores=scores[order],
        hits=hits[:, order],
    )

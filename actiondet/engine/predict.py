"""From clips to finite scores, and to what the network says of each person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.data import Loaded
from actiondet.engine.log import log_line
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.records import ClipBatch
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.records import ActionDetections, FloatArray, FrameKey, PersonBoxes, check_finite

T = TypeVar("T")
Activation = Literal["sigmoid", "softmax", "logits"]
"""What turns logits into scores; "logits" leaves them."""
Control = Literal["none", "still", "reversed"]


@torch.inference_mode()
def score_clips(
    recognizer: ActionRecognizer, clips: Tensor, device: torch.device | str, activation: Activation
) -> FloatArray:
    """(B, C) float32 scores of clips.

    Args:
        recognizer: on `device`.
        clips: (B, 3, T, H, W) uint8.
        device: where the network runs.
        activation: what turns logits into scores.

    Raises:
        InputError: scores that are not finite.
    """
    return finite_scores(activate(recognizer(recognizer.normalize(clips.to(device))), activation))


def activate(logits: Tensor, activation: Activation) -> Tensor:
    """(R, C) logits to float32 scores."""
    logits = logits.float()
    if activation == "logits":
        return logits
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(dim=1)


def finite_scores(scores: Tensor) -> FloatArray:
    """The scores as an array.

    Raises:
        InputError: they are not finite.
    """
    found: FloatArray = scores.cpu().numpy()
    check_finite(found)
    return found


def apply_control(clips: Tensor, control: Control, *, time: int = 2) -> Tensor:
    """Take the motion out of (B, 3, T, H, W) `clips`, or turn time round; a network that sees motion notices.

    Tracks (P, T, 4) have their `time` axis elsewhere.
    """
    if control == "still":
        return clips.narrow(time, clips.shape[time] // 2, 1).expand_as(clips)
    if control == "reversed":
        return clips.flip(time)
    return clips


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the persons of clips get their scores.

    Attributes:
        multi_label: whether a person does any number of actions, or exactly one.
        by_person: multiply the scores of a person's actions by that of the person.
        flip: average them with those of the mirror image.
        control: still or reversed clips.
    """

    multi_label: bool
    by_person: bool = False
    flip: bool = False
    control: Control = "none"

    @classmethod
    def of(cls, config: DetectionConfig, *, control: Control = "none") -> Scoring:
        """As the configuration says."""
        return cls(
            multi_label=config.model.multi_label,
            by_person=config.test.person_score == "multiply",
            flip=config.test.flip,
            control=control,
        )

    @torch.inference_mode()
    def score(
        self, detector: ActionDetector, clips: Tensor, boxes: Sequence[Tensor], persons: Sequence[PersonBoxes]
    ) -> list[ActionDetections]:
        """Score the persons of some clips.

        Args:
            detector: in evaluation mode.
            clips: (B, 3, T, H, W) uint8, on the detector's device.
            boxes: B tensors (P_i, 4) or (P_i, T, 4) of pixel boxes, on any device.
            persons: B times the same persons, as they are reported.

        Raises:
            InputError: scores that are not finite.
        """
        clips = detector.normalize(apply_control(clips, self.control))
        tracks = [apply_control(each, self.control, time=1) if each.ndim == 3 else each for each in boxes]
        tracks = [each.to(clips.device) for each in tracks]
        activation: Activation = "sigmoid" if self.multi_label else "softmax"
        activated = activate(detector(clips, tracks), activation)
        if self.flip:
            width = clips.shape[-1]
            mirrored = detector(clips.flip(-1), [mirrored_boxes(each, width) for each in tracks])
            activated = (activated + activate(mirrored, activation)) / 2
        scores = finite_scores(activated)
        per_clip = np.split(scores, np.cumsum([len(each) for each in boxes])[:-1])
        return [
            ActionDetections(
                each.key, each.boxes, each.scores, of_clip * each.scores[:, None] if self.by_person else of_clip
            )
            for each, of_clip in zip(persons, per_clip, strict=True)
        ]


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """Pixel boxes (..., 4) in the mirror image of a picture of this width."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def averaged(found: Iterable[ActionDetections]) -> list[ActionDetections]:
    """The detections of each moment once: where several are of the same persons, the mean of their scores."""
    by_key: dict[FrameKey, list[ActionDetections]] = {}
    for each in found:
        by_key.setdefault(each.key, []).append(each)
    return [
        same[0] if len(same) == 1 else replace(same[0], action_scores=np.mean([e.action_scores for e in same], axis=0))
        for same in by_key.values()
    ]


def detect(
    detector: ActionDetector,
    loaded: Iterable[Loaded[ClipBatch]],
    persons: Mapping[FrameKey, PersonBoxes],
    *,
    fabric: Fabric,
    scoring: Scoring,
    unreadable: Literal["stop", "skip"] = "stop",
) -> list[ActionDetections]:
    """Score the given persons of every clip that this process reads; with "skip" a clip that cannot be read has none.

    Clips of several sizes of a moment give one result, the mean.

    Raises:
        InputError: a video that cannot be read, unless such are to be skipped.
    """
    detector.eval()
    found: list[ActionDetections] = []
    for each in loaded:
        if each.unreadable and unreadable == "stop":
            raise InputError(each.unreadable[0].message + "; data.unreadable=skip leaves such clips out")
        for batch in each.batches:
            found.extend(detect_batch(detector, batch, persons, fabric=fabric, scoring=scoring))
    return averaged(found)


def detect_batch(
    detector: ActionDetector,
    batch: ClipBatch,
    persons: Mapping[FrameKey, PersonBoxes],
    *,
    fabric: Fabric,
    scoring: Scoring,
) -> list[ActionDetections]:
    """Score the given persons of one batch of clips.

    Raises:
        InputError: scores that are not finite.
    """
    with fabric.autocast():
        return scoring.score(detector, batch.clips.to(fabric.device), batch.boxes, [persons[key] for key in batch.keys])


def settings_of_scores(config: DetectionConfig | RecognitionConfig) -> list[object]:
    """All of a configuration that the scores of a test depend on, for `PartStore`."""
    parts = {"model", "clip", "transform", "data", "test"}
    free = {"data": {"unreadable", "max_unreadable", "keep_gib"}, "test": {"batch"}}
    return [config.model_dump(mode="json", include=parts, exclude=free), config.train.precision]


def gather(detections: list[ActionDetections], fabric: Fabric) -> list[ActionDetections]:
    """The detections of all processes, in every process, in the order of their keys."""
    return sorted((each for part in gather_objects(detections, fabric) for each in part), key=lambda each: each.key)


def gather_objects(value: T, fabric: Fabric) -> list[T]:
    """The `value` of every process, in their order, in every process."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def write_dense_scores(detections: Sequence[ActionDetections], path: Path) -> None:
    """Write every score of every person as a .npz: video, moment, boxes (P, 4), person_scores, action_scores (P, C)."""
    counts = [len(each) for each in detections]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            video=np.repeat(np.asarray([each.key.video for each in detections], dtype=np.str_), counts),
            moment=np.repeat(np.asarray([each.key.moment for each in detections], dtype=np.int64), counts),
            boxes=np.concatenate([each.boxes for each in detections]),
            person_scores=np.concatenate([each.person_scores for each in detections]),
            action_scores=np.concatenate([each.action_scores for each in detections]),
        )
    log_line(f"wrote {path}")

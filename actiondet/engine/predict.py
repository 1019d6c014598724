"""From clips to finite scores, and to what the network says of each person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.records import ClipBatch, Memory
from evaluation.records import ActionDetections, FloatArray, FrameKey, PersonBoxes, check_finite

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

    def score(
        self,
        detector: ActionDetector,
        clips: Tensor,
        boxes: Sequence[Tensor],
        persons: Sequence[PersonBoxes],
        memory: Memory | None = None,
    ) -> list[ActionDetections]:
        """Score the persons of some clips.

        Args:
            detector: in evaluation mode.
            clips: (B, 3, T, H, W) uint8, on the detector's device.
            boxes: B tensors (P_i, 4) or (P_i, T, 4) of pixel boxes, on any device.
            persons: B times the same persons, as they are reported.
            memory: of the clips, for a detector with a feature bank.

        Raises:
            InputError: scores that are not finite.
        """
        per_clip = self.action_scores(detector, clips, boxes, memory)
        return [
            ActionDetections(
                each.key, each.boxes, each.scores, of_clip * each.scores[:, None] if self.by_person else of_clip
            )
            for each, of_clip in zip(persons, per_clip, strict=True)
        ]

    @torch.inference_mode()
    def action_scores(
        self, detector: ActionDetector, clips: Tensor, boxes: Sequence[Tensor], memory: Memory | None = None
    ) -> list[FloatArray]:
        """(P_i, C) scores of the boxes of each clip, whatever the score of the person; arguments as in `score`."""
        clips = detector.normalize(apply_control(clips, self.control))
        tracks = [apply_control(each, self.control, time=1) if each.ndim == 3 else each for each in boxes]
        tracks = [each.to(clips.device) for each in tracks]
        remembered = () if memory is None else (memory,)
        activated = self.activated(detector(clips, tracks, *remembered))
        if self.flip:
            width = clips.shape[-1]
            mirrored = detector(clips.flip(-1), [mirrored_boxes(each, width) for each in tracks], *remembered)
            activated = (activated + self.activated(mirrored)) / 2
        scores = finite_scores(activated)
        return np.split(scores, np.cumsum([len(each) for each in boxes])[:-1])

    def activated(self, logits: Tensor) -> Tensor:
        """Scores of logits."""
        return activate(logits, "sigmoid" if self.multi_label else "softmax")


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
        return scoring.score(
            detector,
            batch.clips.to(fabric.device),
            batch.boxes,
            [persons[key] for key in batch.keys],
            batch.memory(fabric.device),
        )


def settings_of_scores(config: DetectionConfig | RecognitionConfig) -> list[object]:
    """All of a configuration that the scores of a test depend on, for `PartStore`."""
    parts = {"model", "clip", "transform", "data", "test"}
    free = {"data": {"unreadable", "max_unreadable", "keep_gib"}, "test": {"batch"}}
    return [config.model_dump(mode="json", include=parts, exclude=free), config.train.precision]

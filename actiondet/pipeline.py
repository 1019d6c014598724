"""A video in, what every person does at every key moment out; the video is decoded once, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from actiondet.config import DetectionConfig, PersonsConfig
from actiondet.config.choice import members
from actiondet.data.clip_stream import MomentClip, moment_times, stream_clips
from actiondet.engine.predict import activate
from actiondet.engine.trained import from_checkpoint
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.persons.base import PersonDetector
from actiondet.persons.build import build_persons
from actiondet.video import VideoIndex, index_video
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FrameKey, PersonBoxes


class VideoPipeline:
    """Finds persons at key moments and scores their actions.

    Attributes:
        actions: ids and names of the actions that the network was trained on; column c of the scores is id c + 1.
    """

    def __init__(
        self,
        config: DetectionConfig,
        detector: ActionDetector,
        persons: PersonDetector,
        *,
        actions: ActionList,
        every: float = 1.0,
        start: float = 0.0,
        batch: int = 4,
        device: torch.device | str = "cpu",
    ) -> None:
        """Put the parts together.

        Args:
            config: what the detector was trained as: its clips, the size of its frames, its kind of labels.
            detector: scores the actions of given persons; a faster copy of it does the work, it stays as it is.
            persons: finds them.
            actions: ids and names of the actions.
            every: seconds from one key moment to the next.
            start: seconds, added to the times of the moments; AVA's files begin at second 900.
            batch: moments that are looked at together; as many decoded frames are held in memory.
            device: where the network runs.

        Raises:
            InputError: `every` or `batch` is not positive.
        """
        if every <= 0 or batch <= 0:
            raise InputError(f"every={every:g} seconds and batch={batch}: expected both to be above 0")
        self.actions = actions
        self._config = config
        self._detector = optimize_for_inference(detector).to(device)
        self._persons = persons
        self._every = every
        self._start = round(start * 1_000_000)
        self._batch = batch
        self._device = device

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        every: float = 1.0,
        start: float = 0.0,
        batch: int = 4,
        device: torch.device | str = "cpu",
    ) -> VideoPipeline:
        """Take network, clips and actions from a checkpoint of ours.

        Args:
            path: the checkpoint.
            persons: a detector, its settings, or its name (hog, torchvision, detectron2) for its default
                settings; None takes what the checkpoint's configuration says.
            every, start, batch, device: as in the constructor.

        Raises:
            InputError: the checkpoint cannot be read, or the person detector cannot be built.
        """
        trained = from_checkpoint(path)
        return cls(
            trained.config,
            trained.network,
            person_detector(trained.config.persons if persons is None else persons, device),
            actions=trained.actions,
            every=every,
            start=start,
            batch=batch,
            device=device,
        )

    def count_moments(self, index: VideoIndex) -> int:
        """How many key moments the video has: what calling the pipeline yields."""
        return len(moment_times(index, self._every))

    def __call__(self, video: str | os.PathLike[str] | VideoIndex) -> Iterator[ActionDetections]:
        """Yield the detections of each key moment, in order.

        The keys hold the file's name without suffix, and microseconds from `start` on.

        Args:
            video: the file, or its index if that is known already.

        Raises:
            InputError: the video cannot be read to its end.
        """
        index = video if isinstance(video, VideoIndex) else index_video(video)
        clips = stream_clips(
            index,
            moment_times(index, self._every),
            frames=self._config.clip.frames,
            stride=self._config.clip.stride,
            clip_fps=self._config.clip.clip_fps,
            short_side=self._config.transform.test_short_side,
        )
        waiting: list[MomentClip] = []
        for clip in clips:
            waiting.append(clip)
            if len(waiting) == self._batch:
                yield from self._look_at(waiting, Path(index.path).stem)
                waiting = []
        if waiting:
            yield from self._look_at(waiting, Path(index.path).stem)

    def _look_at(self, moments: Sequence[MomentClip], video: str) -> list[ActionDetections]:
        keys = [FrameKey(video, self._start + moment.time) for moment in moments]
        found = self._persons.detect([moment.key_frame for moment in moments], keys)
        peopled = [place for place, persons in enumerate(found) if len(persons)]
        scores = [np.zeros((0, self._config.model.num_actions), dtype=np.float32)] * len(moments)
        if peopled:
            clips = torch.stack([moments[place].frames for place in peopled])
            for place, of_place in zip(peopled, self._score(clips, [found[place] for place in peopled]), strict=True):
                scores[place] = of_place.numpy()
        return [
            ActionDetections(persons.key, persons.boxes, persons.scores, of_moment)
            for persons, of_moment in zip(found, scores, strict=True)
        ]

    @torch.inference_mode()
    def _score(self, clips: Tensor, persons: Sequence[PersonBoxes]) -> tuple[Tensor, ...]:
        height, width = clips.shape[-2:]
        boxes = [torch.from_numpy(unit_to_pixel(each.boxes, width, height)).to(self._device) for each in persons]
        logits = self._detector(self._detector.normalize(clips.to(self._device)), boxes)
        scores = activate(logits, multi_label=self._config.model.multi_label).cpu()
        parts: tuple[Tensor, ...] = torch.split(scores, [len(each) for each in persons])
        return parts


def person_detector(persons: str | PersonsConfig | PersonDetector, device: torch.device | str) -> PersonDetector:
    """The detector itself, or what its settings or its name (with its default settings) describe.

    Raises:
        InputError: no such name, or it cannot be built.
    """
    if isinstance(persons, str):
        known = members(PersonsConfig)
        if persons not in known or any(field.is_required() for field in known[persons].model_fields.values()):
            usable = [
                name for name, kind in known.items() if not any(f.is_required() for f in kind.model_fields.values())
            ]
            raise InputError(f"persons '{persons}': expected a detector, its settings, or one of {', '.join(usable)}")
        persons = cast(PersonsConfig, known[persons](name=persons))
    return build_persons(persons, device) if isinstance(persons, PersonsConfig) else persons

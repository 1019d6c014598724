"""A video in, what every person does at every key moment out; the video is decoded once, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from actiondet.config import DetectionConfig, PersonsConfig, load_config
from actiondet.config.choice import members
from actiondet.data.clip_stream import MomentClip, moment_times
from actiondet.data.frame_clips import clips_of_frames
from actiondet.datasets.ava import LIMITS
from actiondet.datasets.tracks import follow_near
from actiondet.downloads import download
from actiondet.engine.loading import TrainedDetector, load_trained
from actiondet.engine.predict import Scoring, averaged
from actiondet.frame_sources import Source, open_source
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.persons.base import PersonDetector
from actiondet.persons.build import build_persons
from actiondet.results import VideoResult
from actiondet.tubes.following import FoundMoment
from actiondet.video import VideoIndex
from actiondet.watch import LiveSource, Watch, open_streams
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FloatArray, FrameKey, IntArray, PersonBoxes

_REMEMBERED = 1000  # looks


class PendingClip(NamedTuple):
    """A key moment whose persons are found: a clip (3, T, h, w) of each size, and when its T frames are shown.

    `between` are the persons of the looks since the key moment before.
    """

    clips: tuple[Tensor, ...]
    persons: PersonBoxes
    between: tuple[PersonBoxes, ...]
    times: IntArray


class VideoPipeline:
    """Finds persons at key moments and scores their actions.

    Attributes:
        actions: ids, names and columns of the actions that the network was trained on.

    Example:
        >>> pipeline = actiondet.VideoPipeline.from_checkpoint("detector.pt", persons="ssd", every=0.5)
        >>> result = pipeline("street.mp4", persons_every=0.25)
        >>> table = result.to_frame(threshold=0.5)  # a row for each action of each person
        >>> path = result.save("street_drawn.mp4")
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
        caption: str = "",
        about: str = "",
    ) -> None:
        """Put the parts together.

        Args:
            config: what the detector was trained as: its clips, the size of its frames, its kind of labels.
            detector: scores the actions of given persons; a faster copy of it does the work, it stays as it is.
            persons: finds them.
            actions: ids and names of the actions.
            every: seconds from one key moment to the next.
            start: seconds, added to the times of the moments; AVA's files begin at second 900.
            batch: moments that are looked at together; as many decoded frames are held in memory. A network that
                follows persons waits for those of the moments after a clip.
            device: where the network runs.
            caption: of drawn frames, such as that labels mean nothing; empty for none.
            about: what the network is, for those who read results.

        Raises:
            InputError: `every` or `batch` is not positive.
        """
        if every <= 0 or batch <= 0:
            raise InputError(f"every={every:g} seconds and batch={batch}: expected both to be above 0")
        self.actions = actions
        self._config = config
        self._detector = optimize_for_inference(detector).to(device)
        self._scoring = Scoring.of(config)
        self._follows = detector.head.follows_tracks
        self._persons = persons
        self._every = every
        self._start = round(start * 1_000_000)
        self._batch = batch
        self._device = device
        self._caption, self._about = caption, about

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        every: float = 1.0,
        start: float = 0.0,
        batch: int = 4,
        device: torch.device | str = "cpu",
    ) -> VideoPipeline:
        """Take a configuration of the zoo and its published weights, which are downloaded once.

        Args:
            name: such as ava22/slowfast_r50_8x8_tmax_focal_k400 (`actiondet zoo` lists them), or a YAML file.
            persons, every, start, batch, device: as in `from_checkpoint`.

        Raises:
            InputError: no such configuration, nothing is published for it, or the weights cannot be downloaded.
        """
        config = load_config(Path(name))
        if config.published.weights is None:
            raise InputError(
                f"{os.fspath(name)}: names no published weights; take another of `actiondet zoo`, or a checkpoint of "
                "your own by VideoPipeline.from_checkpoint"
            )
        trained = load_trained(download(config.published.weights), config, require_head=False)
        return cls.of(trained, persons=persons, every=every, start=start, batch=batch, device=device)

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
            persons: a detector, its settings, or its name (ssd, torchvision, detectron2) for its default
                settings; None takes what the checkpoint's configuration says.
            every, start, batch, device: as in the constructor.

        Raises:
            InputError: the checkpoint cannot be read, or the person detector cannot be built.
        """
        trained = load_trained(path, DetectionConfig, require_head=False)
        return cls.of(trained, persons=persons, every=every, start=start, batch=batch, device=device)

    @classmethod
    def of(
        cls,
        trained: TrainedDetector,
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        every: float = 1.0,
        start: float = 0.0,
        batch: int = 4,
        device: torch.device | str = "cpu",
    ) -> VideoPipeline:
        """Take a network that is loaded already; arguments and faults as in `from_checkpoint`."""
        return cls(
            trained.config,
            trained.network,
            person_detector(trained.config.persons if persons is None else persons, device),
            actions=trained.actions,
            every=every,
            start=start,
            batch=batch,
            device=device,
            caption=str(trained) if trained.means_nothing else "",
            about=str(trained),
        )

    def count_moments(self, index: VideoIndex) -> int:
        """How many key moments the video has: what calling the pipeline yields."""
        return len(moment_times(index, self._every))

    def __call__(
        self,
        source: Source,
        *,
        rate: float | Fraction | None = None,
        name: str | None = None,
        persons_every: float | None = None,
    ) -> VideoResult:
        """Look at a video, as far as the result is read.

        The keys of the detections hold the video's name, and microseconds from `start` on.

        Args:
            source: path of a video file, its index, an array (T, H, W, 3) uint8 RGB, or (seconds, frame) pairs, which
                may arrive one by one, and go on forever.
            rate: frames a second of an array.
            name: of the video; None takes a file's name without suffix, else "video".
            persons_every: seconds from look to look of the person detector, rounded so that key moments are among the
                looks; it then looks between key moments, too, and persons keep their identities for longer. None looks
                at key moments alone.

        Returns:
            the detections of each key moment, found while it is iterated over.

        Raises:
            InputError: no such source, or `persons_every` is not positive. That a video cannot be read to its end is
                noticed while it is read.
        """
        looks = self._looks(persons_every)
        opened = open_source(source, rate=rate, name=name)
        clips = opened.clips(
            self._config.clip, every=self._every, short_sides=self._config.test_short_sides, looks=looks
        )
        return VideoResult(
            self._detect(clips, opened.name, batch=self._batch),
            opened,
            actions=self.actions,
            every=self._every,
            looks=looks,
            start=self._start,
            caption=self._caption,
            about=self._about,
        )

    def watch(
        self,
        sources: LiveSource | Sequence[LiveSource],
        *,
        persons_every: float = 0.2,
        latency: float = 2.0,
        reconnect: float = 10.0,
        causal: bool = False,
        any_host: bool = False,
    ) -> Watch:
        """Look at cameras and streams while they run; see `actiondet.watch.Watch`.

        Args:
            sources: addresses (rtsp://, http(s)://, udp://, tcp://, camera:0, /dev/video0), a `LiveStream`, or
                (seconds, frame) pairs that arrive one by one; one source or a list, which share the network.
            persons_every: seconds from look to look of the person detector, as in calling the pipeline.
            latency: seconds that a key frame may wait, beyond the look-ahead of its clip; older ones are left out.
            reconnect: seconds without a frame after which a source ends.
            causal: clips end at their key frame: less delay, and less to see.
            any_host: a playlist (HLS, DASH) may lead to other hosts than its own.

        Raises:
            InputError: no such source, or a number out of range.
        """
        looks = self._looks(persons_every)
        clip = self._config.clip
        cut = partial(
            clips_of_frames,
            every=max(round(self._every * 1_000_000), 1),
            frames=clip.frames,
            stride=clip.stride,
            clip_fps=clip.clip_fps,
            short_sides=self._config.test_short_sides,
            causal=causal,
            looks=looks,
        )
        streams = open_streams(sources, reconnect=reconnect, any_host=any_host)
        return Watch(
            streams,
            cut,
            partial(self._detect, batch=1),
            actions=self.actions,
            every=self._every,
            looks=looks,
            latency=latency,
            caption=self._caption,
        )

    def look_ahead(self, *, causal: bool = False) -> float:
        """Seconds after a key frame that its clip shows; a live source is that much behind."""
        clip = self._config.clip
        return 0.0 if causal else (clip.frames - 1 - clip.frames // 2) * clip.stride / (clip.clip_fps or 25.0)

    def _looks(self, persons_every: float | None) -> int:
        """How often the person detector looks for each key moment."""
        if persons_every is None:
            return 1
        if not persons_every > 0:
            raise InputError(f"persons_every={persons_every:g}: expected seconds above 0")
        return max(1, round(self._every / persons_every))

    def _detect(self, clips: Iterator[MomentClip], name: str, *, batch: int) -> Iterator[FoundMoment]:
        """Yield what is found at each key moment, in order."""
        seen: list[PersonBoxes] = []  # the last ones; a track needs those near its clip
        waiting: list[PendingClip] = []
        while moments := list(islice(clips, batch)):
            del seen[:-_REMEMBERED]
            keys = [FrameKey(name, self._start + moment.time) for moment in moments]
            looked = self._look(moments, name)
            seen += [persons for looks in looked for persons in looks]
            waiting += [
                PendingClip(moment.clips, persons, tuple(between), self._start + moment.times)
                for moment, (*between, persons) in zip(moments, looked, strict=True)
            ]
            # Whoever is followed to the end of the clip is seen again after it.
            ready = [each for each in waiting if not self._follows or each.times.max() < keys[-1].moment]
            waiting = waiting[len(ready) :]
            yield from self._score(ready, seen)
        yield from self._score(waiting, seen)

    def _look(self, moments: Sequence[MomentClip], name: str) -> list[list[PersonBoxes]]:
        """The persons of the looks since the key moment before each of `moments`; the last are those at the moment."""
        looks = [[*moment.between, (moment.time, moment.key_frame)] for moment in moments]
        frames = [each for of_moment in looks for each in of_moment]
        found: list[PersonBoxes] = []
        for first in range(0, len(frames), self._batch):
            part = frames[first : first + self._batch]
            keys = [FrameKey(name, self._start + time) for time, _ in part]
            found += self._persons.detect([frame for _, frame in part], keys)
        in_order = iter(found)
        return [list(islice(in_order, len(of_moment))) for of_moment in looks]

    def _score(self, moments: Sequence[PendingClip], seen: Sequence[PersonBoxes]) -> Iterator[FoundMoment]:
        """Score the persons of some moments; `seen` are those of all moments so far."""
        peopled = [moment for moment in moments if len(moment.persons)]
        scored = iter(self._scored(peopled, seen)) if peopled else iter(())
        nobody = np.zeros((0, self._config.model.num_actions), dtype=np.float32)
        for moment in moments:
            persons = moment.persons
            if len(persons):
                detections = next(scored)
            else:
                detections = ActionDetections(persons.key, persons.boxes, persons.scores, nobody)
            yield FoundMoment(detections, moment.between)

    def _scored(self, moments: Sequence[PendingClip], seen: Sequence[PersonBoxes]) -> list[ActionDetections]:
        persons = [moment.persons for moment in moments]
        unit_boxes = [self._unit_boxes(moment, seen) for moment in moments]
        found: list[ActionDetections] = []
        for of_size in zip(*(moment.clips for moment in moments), strict=True):
            clips = torch.stack(of_size)
            height, width = clips.shape[-2:]
            boxes = [torch.from_numpy(unit_to_pixel(each, width, height)) for each in unit_boxes]
            found += self._scoring.score(self._detector, clips.to(self._device), boxes, persons)
        return averaged(found)

    def _unit_boxes(self, moment: PendingClip, seen: Sequence[PersonBoxes]) -> FloatArray:
        """(P, 4) boxes; (P, T, 4), one for each frame, where the head follows tracks."""
        if not self._follows:
            return moment.persons.boxes
        return follow_near(seen, moment.persons.key.moment, moment.times, LIMITS)


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

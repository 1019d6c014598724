"""A video in, what every person does at every key moment out; the video is decoded once, in bounded memory.

The network stands behind `Scorer`, of torch or of onnxruntime: with an exported network nothing here needs torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict, cast

import numpy as np

from actiondet.ahead import ahead, closed
from actiondet.config import DetectionConfig, PersonsConfig, load_config
from actiondet.config.choice import members
from actiondet.datasets.ava import LIMITS
from actiondet.datasets.tracks import follow_near
from actiondet.downloads import download
from actiondet.exported import OnnxNetwork
from actiondet.exported_detector import OnnxScorer
from actiondet.frame_sources import FileSource, Source, open_source
from actiondet.persons.base import PersonDetector
from actiondet.persons.build import build_persons
from actiondet.recall import Recall, RecallingScorer
from actiondet.results import VideoResult
from actiondet.tubes.following import FoundMoment
from actiondet.video import VideoIndex
from actiondet.video.clip_stream import Clip, Frame, MomentClip, moment_times
from actiondet.video.frame_clips import clips_of_frames
from actiondet.video.windows import ClipWindow
from actiondet.watch import LiveSource, Watch, open_streams
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FloatArray, FrameKey, IntArray, PersonBoxes

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

    from actiondet.engine.loading import TrainedDetector

_REMEMBERED = 1000  # looks


class Scorer(Protocol):
    """Clips and boxes in, scores out: `engine.scorer.TorchScorer`, or `exported_detector.OnnxScorer`.

    Attributes:
        config: what the network was trained as.
        actions: ids, names and columns of the actions.
        follows_tracks: whether it takes a box of each person for every frame of the clip, instead of one for all.
        caption: of drawn frames, such as that labels mean nothing; empty for none.
        about: what the network is, for those who read results.
    """

    @property
    def config(self) -> DetectionConfig: ...  # noqa: D102
    @property
    def actions(self) -> ActionList: ...  # noqa: D102
    @property
    def follows_tracks(self) -> bool: ...  # noqa: D102
    @property
    def caption(self) -> str: ...  # noqa: D102
    @property
    def about(self) -> str: ...  # noqa: D102

    def resize(self, frame: Frame) -> tuple[Frame, ...]:
        """A frame (H, W, 3) at each size (h, w, 3) that clips are scored at, all uint8 RGB."""
        ...

    def score(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[FloatArray]:
        """Score the boxes of some clips.

        Args:
            clips: (B, T, h, w, 3) uint8 RGB, of one size of `resize`.
            boxes: B times (P_i, 4) unit boxes, or (P_i, T, 4) of a scorer that follows tracks; P_i > 0.

        Returns:
            B times (P_i, C) float32 scores.

        Raises:
            InputError: scores that are not finite.
        """
        ...


class Looking(TypedDict, total=False):
    """How a pipeline looks at a video; see the constructor."""

    every: float
    start: float
    batch: int


class PendingClip(NamedTuple):
    """A key moment whose persons are found: a clip (T, h, w, 3) of each size, and when its T frames are shown.

    `between` are the persons of the looks since the key moment before.
    """

    clips: tuple[Clip, ...]
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
        scorer: Scorer,
        persons: PersonDetector,
        *,
        every: float = 1.0,
        start: float = 0.0,
        batch: int = 4,
    ) -> None:
        """Put the parts together.

        Args:
            scorer: the network.
            persons: finds the persons whose actions it scores.
            every: seconds from one key moment to the next.
            start: seconds, added to the times of the moments; AVA's files begin at second 900.
            batch: moments that are looked at together; as many decoded frames are held in memory. A network that
                follows persons waits for those of the moments after a clip.

        Raises:
            InputError: `every` or `batch` is not positive.
        """
        if not (0 < every < math.inf and batch > 0):
            raise InputError(f"every={every:g} seconds and batch={batch}: expected both to be above 0")
        self.actions = scorer.actions
        self._scorer, self._persons = scorer, persons
        self._window = ClipWindow(**dict(scorer.config.clip))
        self._every = every
        self._start = round(start * 1_000_000)
        self._batch = batch

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        device: torch.device | str = "cpu",
        **looking: Unpack[Looking],
    ) -> VideoPipeline:
        """Take a configuration of the zoo and its published weights, which are downloaded once.

        Args:
            name: such as ava22/slowfast_r50_8x8_tmax_focal_k400 (`actiondet zoo` lists them), or a YAML file.
            persons, device, looking: as in `of`.

        Raises:
            InputError: no such configuration, nothing is published for it, or the weights cannot be downloaded.
        """
        from actiondet.engine.loading import load_trained

        config = load_config(Path(name))
        if config.published.weights is None:
            raise InputError(
                f"{os.fspath(name)}: names no published weights; take another of `actiondet zoo`, or a checkpoint of "
                "your own by VideoPipeline.from_checkpoint"
            )
        trained = load_trained(download(config.published.weights), config, require_head=False)
        return cls.of(trained, persons=persons, device=device, **looking)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        bank: str | os.PathLike[str] | None = None,
        device: torch.device | str = "cpu",
        **looking: Unpack[Looking],
    ) -> VideoPipeline:
        """Take network, clips and actions from a checkpoint of ours.

        Args:
            path: the checkpoint.
            bank: checkpoint of the network that fills the feature bank of a network that has one.
            persons, device, looking: as in `of`.

        Raises:
            InputError: the checkpoint cannot be read, or the person detector cannot be built.
        """
        from actiondet.engine.loading import load_trained

        trained = load_trained(path, DetectionConfig, require_head=False)
        first = None if bank is None else load_trained(bank, DetectionConfig, require_head=False)
        return cls.of(trained, persons=persons, bank=first, device=device, **looking)

    @classmethod
    def from_exported(
        cls,
        path: str | os.PathLike[str],
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        device: str = "cpu",
        **looking: Unpack[Looking],
    ) -> VideoPipeline:
        """Take network, clips and actions from an ONNX file of `export_network`; needs no torch.

        Args:
            path: the file.
            persons, looking: as in `of`.
            device: where onnxruntime runs it, as of `OnnxNetwork`.

        Raises:
            InputError: the file cannot be read, onnxruntime lacks the device, or the person detector cannot be built.
        """
        scorer = OnnxScorer(OnnxNetwork(path, device=device))
        found = person_detector(scorer.config.persons if persons is None else persons, device)
        return cls(scorer, found, **looking)

    @classmethod
    def of(
        cls,
        trained: TrainedDetector,
        *,
        persons: str | PersonsConfig | PersonDetector | None = None,
        bank: TrainedDetector | None = None,
        device: torch.device | str = "cpu",
        **looking: Unpack[Looking],
    ) -> VideoPipeline:
        """Take a network that is loaded already.

        Args:
            trained: the network.
            persons: a detector, its settings, or its name (ssd, torchvision, detectron2) for its default
                settings; None takes what the network's configuration says.
            bank: the network that fills the feature bank of a network that has one.
            device: where the network runs.
            looking: `every`, `start` and `batch`, as in the constructor.

        Raises:
            InputError: the person detector cannot be built, or the bank lacks its network.
        """
        from actiondet.engine.scorer import scorer_of

        found = person_detector(trained.config.persons if persons is None else persons, str(device))
        return cls(scorer_of(trained, bank=bank, device=device), found, **looking)

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
        clips = opened.clips(self._window, every=self._every, resize=self._scorer.resize, looks=looks)
        return VideoResult(
            self._detect(clips, opened.name, batch=self._batch, waits=True, at_once=isinstance(opened, FileSource)),
            opened,
            actions=self.actions,
            every=self._every,
            looks=looks,
            start=self._start,
            caption=self._scorer.caption,
            about=self._scorer.about,
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
            sources: addresses (rtsp://, http(s)://, udp://, tcp://, camera:0, /dev/video0), a `LiveStream`, video
                files, which wait for their reader, or (seconds, frame) pairs that arrive one by one; one source or a
                list, which share the network.
            persons_every: seconds from look to look of the person detector, as in calling the pipeline.
            latency: seconds that a key frame may wait, beyond the look-ahead of its clip; older ones are left out.
            reconnect: seconds without a frame after which a source ends.
            causal: clips end at their key frame: less delay, and less to see.
            any_host: a playlist (HLS, DASH) may lead to other hosts than its own.

        Raises:
            InputError: no such source, or a number out of range.
        """
        looks = self._looks(persons_every)
        cut = partial(
            clips_of_frames,
            window=self._window,
            every=max(round(self._every * 1_000_000), 1),
            resize=self._scorer.resize,
            causal=causal,
            looks=looks,
        )
        streams = open_streams(sources, reconnect=reconnect, any_host=any_host)
        return Watch(
            streams,
            cut,
            partial(self._detect, batch=1, waits=False),
            actions=self.actions,
            every=self._every,
            looks=looks,
            latency=latency,
            caption=self._scorer.caption,
        )

    def look_ahead(self, *, causal: bool = False) -> float:
        """Seconds after a key frame that its clip shows; a live source is that much behind."""
        clip = self._window
        return 0.0 if causal else (clip.frames - 1 - clip.frames // 2) * clip.stride / (clip.clip_fps or 25.0)

    def _looks(self, persons_every: float | None) -> int:
        """How often the person detector looks for each key moment."""
        if persons_every is None:
            return 1
        if not persons_every > 0:
            raise InputError(f"persons_every={persons_every:g}: expected seconds above 0")
        return max(1, round(self._every / persons_every))

    def _detect(
        self, clips: Iterator[MomentClip], name: str, *, batch: int, waits: bool, at_once: bool = False
    ) -> Iterator[FoundMoment]:
        """Yield what is found at each key moment, in order.

        Args:
            clips: of the key moments.
            name: of the source.
            batch: key moments that are scored together.
            waits: that of `Recall`.
            at_once: find persons while those before are scored.
        """
        recall: Recall[PendingClip] | None = None
        if isinstance(self._scorer, RecallingScorer):
            recall = Recall(self._scorer, waits=waits)
        seen: list[PersonBoxes] = []  # the last ones; a track needs those near its clip
        waiting: list[PendingClip] = []
        looked = self._looked(clips, name, batch)
        for pending in ahead(looked, 1) if at_once else looked:
            del seen[:-_REMEMBERED]
            seen += [persons for each in pending for persons in (*each.between, each.persons)]
            waiting += pending
            # Whoever is followed to the end of the clip is seen again after it.
            last = pending[-1].persons.key.moment
            ready = [each for each in waiting if not self._scorer.follows_tracks or each.times.max() < last]
            waiting = waiting[len(ready) :]
            yield from self._score(ready, seen) if recall is None else self._recalled(recall, ready)
        yield from self._score(waiting, seen)
        if recall is not None:
            yield from (self._found(moment, scores) for moment, scores in recall.finish())

    def _looked(self, clips: Iterator[MomentClip], name: str, batch: int) -> Iterator[list[PendingClip]]:
        """The clips of `batch` key moments at a time, and their persons; whole frames are let go."""
        with closed(clips):
            while moments := list(islice(clips, batch)):
                yield [
                    PendingClip(moment.clips, persons, tuple(between), self._start + moment.times)
                    for moment, (*between, persons) in zip(moments, self._look(moments, name), strict=True)
                ]

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
        for moment in moments:
            yield self._found(moment, next(scored) if len(moment.persons) else None)

    def _scored(self, moments: Sequence[PendingClip], seen: Sequence[PersonBoxes]) -> list[FloatArray]:
        boxes = [self._unit_boxes(moment, seen) for moment in moments]
        of_sizes = [
            self._scorer.score(np.stack(clips), boxes) for clips in zip(*(each.clips for each in moments), strict=True)
        ]
        return [scores[0] if len(scores) == 1 else np.mean(scores, axis=0) for scores in zip(*of_sizes, strict=True)]

    def _recalled(self, recall: Recall[PendingClip], moments: Sequence[PendingClip]) -> Iterator[FoundMoment]:
        """Let some moments wait for what happens after them; yield those that have waited long enough."""
        known = recall.take(
            [moment._replace(clips=()) for moment in moments],
            [moment.persons.key.moment - self._start for moment in moments],
            [moment.clips for moment in moments],
            [moment.persons.boxes for moment in moments],
            [moment.persons.scores for moment in moments],
        )
        return (self._found(moment, scores) for moment, scores in known)

    def _found(self, moment: PendingClip, scores: FloatArray | None) -> FoundMoment:
        """What is found at a moment, of which these are the (P, C) scores; None of nobody."""
        persons = moment.persons
        if scores is None:
            scores = np.zeros((0, self._scorer.config.model.num_actions), dtype=np.float32)
        elif self._scorer.config.test.person_score == "multiply":
            scores = scores * persons.scores[:, None]
        return FoundMoment(ActionDetections(persons.key, persons.boxes, persons.scores, scores), moment.between)

    def _unit_boxes(self, moment: PendingClip, seen: Sequence[PersonBoxes]) -> FloatArray:
        """(P, 4) boxes; (P, T, 4), one for each frame, where the head follows tracks."""
        if not self._scorer.follows_tracks:
            return moment.persons.boxes
        return follow_near(seen, moment.persons.key.moment, moment.times, LIMITS)


def person_detector(persons: str | PersonsConfig | PersonDetector, device: str) -> PersonDetector:
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

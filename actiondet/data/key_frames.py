"""Data sets of key moments: a clip around each, and the persons in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from actiondet.data.loading import Draw, Unreadable
from actiondet.data.resized_frames import resized_frames
from actiondet.data.scaled_frames import ScaledFrames
from actiondet.data.transforms import BoxedClip, Frames, TrainTransform, WholeFrameTransform
from actiondet.datasets.assign import match_proposals
from actiondet.datasets.feature_bank import BankReader
from actiondet.datasets.repeats import repeat_factors
from actiondet.datasets.sources import ReaderPool
from actiondet.datasets.tables import PersonTable, TruePersons
from actiondet.datasets.tracks import Tracks
from actiondet.records import ClipMemory, ClipSample, PlannedClip
from actiondet.video import VideoReader
from actiondet.video.clip_stream import TOLERANCE_US
from actiondet.video.windows import ClipWindow, frame_time
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes, TruthRows
from evaluation.tube_dataset import TubeTruth


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KeyMoments:
    """Key moments, and what makes clips of them.

    Attributes:
        keys: K moments.
        centers_us: (K,) when they are, in microseconds from the first frame of their video file; None where moments
            are frame numbers, from 1.
        videos: where the frames come from.
        window: which frames make a clip.
        actions: every action that the truth may hold.
        missing: videos that are not there and take no part (only where the settings allow it).
        notes: what is odd in the files but tolerated, one sentence each.
        tracks: who is where around the moments, to give every person a box for each frame; None gives one.
        bank: what a network remembers; None for one that remembers nothing.
    """

    keys: Sequence[FrameKey]
    centers_us: IntArray | None
    videos: ReaderPool
    window: ClipWindow
    actions: ActionList
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tracks: Tracks | None = None
    bank: BankReader | None = None


class KeyMomentDataset(Dataset["ClipSample | Unreadable"]):
    """Clips around key moments; keys, videos, actions, missing and notes are those of KeyMoments."""

    def __init__(self, moments: KeyMoments) -> None:
        """Take the moments."""
        self.keys, self.videos, self.actions = moments.keys, moments.videos, moments.actions
        self.missing, self.notes = moments.missing, moments.notes
        self._centers_us, self._window = moments.centers_us, moments.window
        self._tracks, self._bank = moments.tracks, moments.bank

    def __len__(self) -> int:
        return len(self.keys)

    def _unreadable(self, index: int, fault: Exception) -> Unreadable:
        """What takes the place of moment number `index`; its file is looked at again the next time."""
        self.videos.forget(self.keys[index].video)
        return Unreadable(self.keys[index], str(fault))

    def center_us(self, index: int) -> int:
        """When moment number `index` is, in microseconds from the first frame of its video.

        Raises:
            InputError: the video cannot be read.
        """
        if self._centers_us is not None:
            return int(self._centers_us[index])
        key = self.keys[index]
        return frame_time(self.videos.reader(key.video).index.frame_times, key.moment)

    def _memory(self, index: int, random: np.random.Generator | None = None) -> ClipMemory | None:
        """What is remembered around moment number `index`; arguments as in `BankWindow.choose`."""
        if self._bank is None:
            return None
        features, filled = self._bank.around(self.keys[index].video, self.center_us(index), random)
        return ClipMemory(torch.from_numpy(features), torch.from_numpy(filled))

    def _choose(self, index: int, jitter: IntArray | None) -> tuple[VideoReader, IntArray, IntArray]:
        """The clip of moment number `index`: the video, (T,) frames, and when they are shown in the moments' unit.

        Raises:
            InputError: the video cannot be read, or ends before the moment.
        """
        video = self.keys[index].video
        reader = self.videos.reader(video)
        times = reader.index.frame_times
        center = self.center_us(index)
        if not times[0] - TOLERANCE_US <= center <= times[-1] + TOLERANCE_US:
            raise InputError(
                f"video '{video}': its key frame {self.keys[index].moment} lies {center / 1e6:.3f} s after the "
                f"beginning of the file, which lasts {times[-1] / 1e6:.3f} s; expected it inside (is the start of the "
                "annotations' clock right, is the file whole?)"
            )
        chosen = self._window.choose(times, center, jitter)
        shown = chosen + 1 if self._centers_us is None else times[chosen] - center + self.keys[index].moment
        return reader, chosen, shown


class TrainingSet(KeyMomentDataset):
    """Random clips with the true persons, the proposals that show them, and what they do.

    Attributes:
        num_actions: columns of the labels.
    """

    def __init__(
        self,
        moments: KeyMoments,
        *,
        people: TruePersons,
        proposals: PersonTable | None,
        transform: TrainTransform,
        num_actions: int,
        match_iou: float,
        max_boxes: int,
        seed: int,
        neighbors_per_sample: int = 1,
    ) -> None:
        """Keep the parts.

        Args:
            moments: those of `people`.
            people: truth of K moments.
            proposals: detected persons of the same moments; None trains on the truth alone.
            transform: what happens to clips and boxes.
            num_actions: columns of the labels; the actions say which label is which column.
            match_iou: a proposal takes the labels of a true person that it overlaps at least so much.
            max_boxes: boxes a clip.
            seed: with epoch and index, it decides everything random about a sample.
            neighbors_per_sample: neighboring key frames that make one sample, which shows a random one of them.
        """
        super().__init__(moments)
        self._neighbors_per_sample = neighbors_per_sample
        self._people, self._proposals = people, proposals
        self._transform = transform
        self.num_actions, self._match_iou, self._max_boxes, self._seed = num_actions, match_iou, max_boxes, seed
        self._column_of = np.zeros(self.actions.largest_id + 1, dtype=np.int64)
        self._column_of[list(self.actions.ids)] = self.actions.columns

    def __len__(self) -> int:
        return -(-len(self.keys) // self._neighbors_per_sample)

    def repeat_factors(self, threshold: float) -> FloatArray:
        """(len(self),) how often each sample should come in an epoch; see `actiondet.datasets.repeats`."""
        persons = np.repeat(np.arange(len(self.keys)), np.diff(self._people.first))
        moments = np.repeat(persons, np.diff(self._people.first_label))
        return repeat_factors(
            moments // self._neighbors_per_sample, self._people.labels, count=len(self), threshold=threshold
        )

    def label_counts(self) -> IntArray:
        """(num_actions,) how many annotated persons do each action."""
        return np.bincount(self._column_of[self._people.labels], minlength=self.num_actions)

    def __getitem__(self, draw: Draw) -> ClipSample | Unreadable:
        """The sample that `draw` asks for; an Unreadable where its video fails."""
        random = np.random.default_rng((self._seed, draw.epoch, draw.index, draw.repeat))
        index = self._moment(draw, random)
        try:
            reader, chosen, times = self._choose(index, self._window.jitter(random))
            frames = reader.read(chosen)
        except (InputError, OSError) as fault:
            return self._unreadable(index, fault)
        return self._sample(index, frames, times, random)

    def _moment(self, draw: Draw, random: np.random.Generator) -> int:
        """Number of the moment that `draw` asks for."""
        if self._neighbors_per_sample == 1:
            return draw.index
        first = draw.index * self._neighbors_per_sample
        return int(random.integers(first, min(first + self._neighbors_per_sample, len(self.keys))))

    def _sample(self, index: int, frames: Frames, times: IntArray, random: np.random.Generator) -> ClipSample:
        """The sample of moment number `index`, whose clip has these frames, shown at `times` as moments count."""
        unit_boxes, labels = self._boxes_and_labels(index, times)
        planned = self._transform.on_device
        clip, in_view = self._transform(BoxedClip.of(frames, unit_boxes, planned=planned), random)
        kept = np.flatnonzero(in_view.numpy())
        if len(kept) > self._max_boxes:
            kept = np.sort(random.choice(kept, self._max_boxes, replace=False))
        video = clip.video if isinstance(clip.video, PlannedClip) else clip.tensors()[0]
        return ClipSample(
            frames=video,
            boxes=clip.plain_boxes()[kept],
            labels=labels[kept],
            key=self.keys[index],
            memory=self._memory(index, random),
        )

    def _boxes_and_labels(self, index: int, times: IntArray) -> tuple[FloatArray, Tensor]:
        """Unit boxes and labels of all that may train: true persons, then proposals that show one.

        Other proposals would never enter the loss.
        """
        boxes = self._people.boxes_at(index)
        labels = self._people.labels_at(index, column_of=self._column_of, columns=self.num_actions)
        tracks, key = self._tracks, self.keys[index]
        parts = [boxes if tracks is None else tracks.of_true(key, boxes, self._people.identities_at(index), times)]
        if self._proposals is not None:
            proposals = self._proposals.at(index).boxes
            matched = match_proposals(proposals, boxes, min_iou=self._match_iou)
            shown = matched >= 0
            labels = np.concatenate([labels, labels[matched[shown]]])
            parts.append((proposals if tracks is None else tracks.of_found(key, proposals, times))[shown])
        return np.concatenate(parts), torch.from_numpy(labels)


class EvaluationSet(KeyMomentDataset):
    """Whole-frame clips with the persons to score.

    Attributes:
        persons: the boxes of every moment, best first, with the very numbers of the file.
        truth: the annotations, whole: rows, which AVA's frame-mAP scores, or tubes, which MultiSports' does.
        evaluated: the actions that are scored.
        excluded: moments that take no part.
        without_persons: how many key moments have no proposals; nobody is found there, no clip is read.
        short_sides: of the clips of each moment, in pixels: draw number `repeat` of a moment has the one at this place.
    """

    def __init__(
        self,
        moments: KeyMoments,
        *,
        persons: PersonTable,
        short_sides: Sequence[int],
        truth: TruthRows | TubeTruth,
        evaluated: ActionList,
        excluded: frozenset[FrameKey],
        without_persons: int,
    ) -> None:
        """Keep the parts; `persons`, at least one a moment, are those of the moments, in order."""
        super().__init__(moments)
        self.persons: Mapping[FrameKey, PersonBoxes] = persons
        self.truth, self.evaluated, self.excluded = truth, evaluated, excluded
        self.without_persons = without_persons
        self.short_sides = tuple(short_sides)
        self._table = persons
        self._frames = ScaledFrames(partial(resized_frames, short_sides=self.short_sides))

    def __getitem__(self, draw: Draw) -> ClipSample | Unreadable:
        """The sample that `draw` asks for; an Unreadable where its video fails."""
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw]) -> list[ClipSample | Unreadable]:
        """The samples of a batch; a frame that neighbors share is read once (DataLoader calls this)."""
        samples: list[ClipSample | Unreadable] = []
        for _, same_video in groupby(draws, lambda draw: self.keys[draw.index].video):
            run = list(same_video)
            with suppress(InputError, OSError):  # each sample says what is wrong with its own frames
                clips = [self._choose(draw.index, None) for draw in run]
                self._frames.expect(clips[0][0], [chosen for _, chosen, _ in clips])
            samples += map(self._sample, run)
        return samples

    def _sample(self, draw: Draw) -> ClipSample | Unreadable:
        try:
            reader, chosen, times = self._choose(draw.index, None)
            frames = self._frames.of(reader, chosen)
        except (InputError, OSError) as fault:
            return self._unreadable(draw.index, fault)
        unit_boxes = self._table.at(draw.index).boxes
        if self._tracks is not None:
            unit_boxes = self._tracks.of_found(self.keys[draw.index], unit_boxes, times)
        clip = torch.cat([sizes[draw.repeat] for sizes in frames], dim=1)
        resize = WholeFrameTransform(short_side=self.short_sides[draw.repeat])
        boxes = resize.boxes(unit_boxes, reader.index.height, reader.index.width)
        return ClipSample(
            frames=clip, boxes=boxes, labels=None, key=self.keys[draw.index], memory=self._memory(draw.index)
        )

"""From the description of a data set to what trains and tests on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from actiondet.config.recognition import VideoClipConfig, VideoDataConfig, VideoTransformConfig
from actiondet.config.schema import (
    ClipConfig,
    DetectionDataConfig,
    MultiSportsConfig,
    PersonDataConfig,
    TransformConfig,
)
from actiondet.data.key_frames import EvaluationSet, TrainingSet
from actiondet.data.labelled_videos import TrainVideos
from actiondet.data.transforms import TrainTransform
from actiondet.data.video_transforms import VideoTrainTransform
from actiondet.datasets import ava as _ava
from actiondet.datasets import multisports as _multisports
from actiondet.datasets.labelled_videos import find_labelled_videos
from actiondet.datasets.sources import reader_pool
from actiondet.datasets.splits import Moments, SplitName, read_split
from actiondet.datasets.tables import KeyTable
from actiondet.datasets.windows import ClipWindow
from actiondet.video.views import ViewSampling
from evaluation.errors import InputError
from evaluation.records import FrameKey
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet

del _ava, _multisports  # importing them has registered what reads their files


@functools.singledispatch
def build_training_set(
    data: DetectionDataConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    seed: int,
    tracks: bool = False,
) -> TrainingSet:
    """Build the training part of the data set that `data` describes; each member of the family registers its own.

    Args:
        data: the data set.
        clip, transform: how clips are cut.
        num_actions: columns of the network.
        seed: with epoch and index, it decides everything random about a sample.
        tracks: give every person a box for each frame of the clip.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    raise InputError(_no_builder(data, "build_training_set"))


@functools.singledispatch
def build_test_set(
    data: DetectionDataConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    moments: Moments = "annotated",
    split: SplitName = "val",
    tracks: bool = False,
    short_sides: Sequence[int] | None = None,
) -> EvaluationSet:
    """Build the test data of the data set that `data` describes; each member of the family registers its own.

    Args:
        data: the data set.
        clip, transform: how clips are cut.
        num_actions: columns of the network.
        moments: "annotated" takes the key moments that the truth file names, "all" every one that has proposals.
            Excluded moments take no part in either.
        split: which part of the data set.
        tracks: give every person a box for each frame of the clip.
        short_sides: of the clips of each moment, in pixels; None makes one clip, of transform.test_short_side.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    raise InputError(_no_builder(data, "build_test_set"))


@build_training_set.register
def training_set_of_persons(
    data: PersonDataConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    seed: int,
    tracks: bool = False,
) -> TrainingSet:
    """The training split of any set of which `read_split` reads the files; see `build_training_set`."""
    split = read_split(data, "train", num_actions=num_actions)
    people = split.people_to_train()
    paths, missing = split.locate(people.keys)
    people = people.take(people.keys.of_videos(paths))
    return TrainingSet(
        people=people,
        proposals=None if split.proposals is None else split.persons(people.keys),
        centers_us=split.centers_us(people.keys),
        videos=reader_pool(paths, data),
        window=ClipWindow(**dict(clip)),
        transform=build_train_transform(transform),
        actions=split.actions,
        num_actions=num_actions,
        match_iou=data.match_iou,
        max_boxes=data.max_train_boxes,
        seed=seed,
        missing=missing,
        notes=split.notes,
        neighbors_per_sample=data.train_every if isinstance(data, MultiSportsConfig) else 1,
        tracks=split.tracks() if tracks else None,
    )


@build_test_set.register
def evaluation_set_of_persons(
    data: PersonDataConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    moments: Moments = "annotated",
    split: SplitName = "val",
    tracks: bool = False,
    short_sides: Sequence[int] | None = None,
) -> EvaluationSet:
    """The test data of any set of which `read_split` reads the files; see `build_test_set`."""
    files = read_split(data, split, num_actions=num_actions)
    keys, truth = files.keys(moments), files.truth
    if isinstance(data, MultiSportsConfig) and data.val_every > 1:
        assert isinstance(truth, TubeTruth)
        keys = keys[:: data.val_every]
        truth = _truth_at(truth, keys)
    persons = files.persons(keys)
    occupied = persons.counts > 0
    persons = persons.take(occupied)
    paths, missing = files.locate(persons.keys_in_order)
    persons = persons.take(persons.keys_in_order.of_videos(paths))
    return EvaluationSet(
        persons=persons,
        centers_us=files.centers_us(persons.keys_in_order),
        videos=reader_pool(paths, data),
        window=ClipWindow(**dict(clip)),
        short_sides=short_sides or (transform.test_short_side,),
        truth=truth,
        actions=files.actions,
        evaluated=files.evaluated,
        excluded=files.excluded,
        without_persons=int((~occupied).sum()),
        missing=missing,
        notes=files.notes,
        tracks=files.tracks() if tracks else None,
    )


def _truth_at(truth: TubeTruth, keys: KeyTable) -> TubeTruth:
    """The boxes of some frames alone, each as a tube of its own."""
    tubes = truth.of_videos(truth.test_videos)
    wanted = set(keys)
    video = np.repeat(tubes.video, tubes.lengths)
    names = truth.test_videos
    rows = np.array(
        [FrameKey(names[v], m) in wanted for v, m in zip(video.tolist(), tubes.moments.tolist(), strict=True)]
    )
    kept = np.flatnonzero(rows)
    boxes = TubeSet(
        videos=tubes.videos,
        video=video[kept],
        labels=np.repeat(tubes.labels, tubes.lengths)[kept],
        scores=np.ones(len(kept)),
        offsets=np.arange(len(kept) + 1),
        moments=tubes.moments[kept],
        boxes=tubes.boxes[kept],
        box_scores=tubes.box_scores[kept],
    )
    return replace(truth, tubes=boxes)


def build_train_transform(config: TransformConfig) -> TrainTransform:
    """What happens to the clips that a data set trains on."""
    crop = config.train_crop
    return TrainTransform(
        short_side=config.train_short_side,
        crop=(crop, crop) if isinstance(crop, int) else crop,
        flip=config.flip,
        min_visible=config.min_visible,
        box_jitter=config.box_jitter,
        color_jitter=config.color_jitter,
    )


def _no_builder(data: DetectionDataConfig, function: str) -> str:
    return (
        f"data.name: nothing builds the data set '{data.name}'; "
        f"register a function for {type(data).__name__} with @actiondet.data.{function}.register"
    )


def build_train_videos(
    data: VideoDataConfig, *, clip: VideoClipConfig, transform: VideoTransformConfig, num_classes: int, seed: int
) -> TrainVideos:
    """Build the training part of a data set of videos; faults as in `find_labelled_videos`."""
    return TrainVideos(
        find_labelled_videos(data, "train", num_classes=num_classes),
        sampling=view_sampling(clip),
        transform=VideoTrainTransform(
            short_side=transform.train_short_side,
            crop=transform.crop,
            side=transform.train_crop,
            area=transform.area,
            aspect=transform.aspect,
            scale=transform.scale,
            flip=transform.flip,
            per_frame=transform.per_frame,
        ),
        seed=seed,
        strides=clip.train_strides,
        repeats=transform.repeats,
    )


def view_sampling(clip: VideoClipConfig) -> ViewSampling:
    """How clips are taken from a video, as the settings say."""
    return ViewSampling(frames=clip.frames, stride=clip.stride, rule=clip.sampling, target_fps=clip.target_fps)

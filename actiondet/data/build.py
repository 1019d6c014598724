"""From the description of a data set to what trains and tests on it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from actiondet.config.data_sets import DetectionDataConfig
from actiondet.config.networks import BankConfig
from actiondet.config.recognition import VideoClipConfig, VideoDataConfig, VideoTransformConfig
from actiondet.config.schema import ClipConfig, TransformConfig
from actiondet.data.key_frames import EvaluationSet, KeyMoments, TrainingSet
from actiondet.data.labeled_videos import TrainVideos
from actiondet.data.transforms import TrainTransform
from actiondet.data.video_transforms import VideoTrainTransform
from actiondet.datasets import ava as _ava
from actiondet.datasets import multisports as _multisports
from actiondet.datasets.feature_bank import BankReader, BankWindow, open_bank
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.datasets.sources import reader_pool
from actiondet.datasets.splits import Moments, PersonSplit, SplitName, read_split
from actiondet.datasets.tables import KeyTable
from actiondet.video.views import ViewSampling
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError

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
    bank: BankConfig | None = None,
) -> TrainingSet:
    """Build the training split of the data set that `data` describes, of which `read_split` reads the files.

    Args:
        data: the data set.
        clip, transform: how clips are cut.
        num_actions: columns of the network.
        seed: with epoch and index, it decides everything random about a sample.
        tracks: give every person a box for each frame of the clip.
        bank: what the network remembers of the bank that the split names.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    split = _read(data, "train", num_actions)
    people = split.people_to_train()
    paths, missing = split.locate(people.keys)
    people = people.take(people.keys.of_videos(paths))
    return TrainingSet(
        _moments(split, "train", people.keys, paths, missing, clip=clip, tracks=tracks, bank=bank),
        people=people,
        proposals=None if split.proposals is None else split.persons(people.keys),
        transform=build_train_transform(transform),
        num_actions=num_actions,
        match_iou=split.data.match_iou,
        max_boxes=split.data.max_train_boxes,
        seed=seed,
        neighbors_per_sample=split.neighbors_per_sample,
    )


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
    bank: BankConfig | None = None,
) -> EvaluationSet:
    """Build the test data of the data set that `data` describes, of which `read_split` reads the files.

    Args:
        data: the data set.
        clip, transform: how clips are cut.
        num_actions: columns of the network.
        moments: "annotated" takes the key moments that the truth file names, "all" every one that has proposals.
            Excluded moments take no part in either.
        split: of the data set.
        tracks: give every person a box for each frame of the clip.
        short_sides: of the clips of each moment, in pixels; None makes one clip, of transform.test_short_side.
        bank: what the network remembers of the bank that the split names.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    files = _read(data, split, num_actions)
    keys, truth = files.to_test(moments)
    persons = files.persons(keys)
    occupied = persons.counts > 0
    persons = persons.take(occupied)
    paths, missing = files.locate(persons.keys_in_order)
    persons = persons.take(persons.keys_in_order.of_videos(paths))
    return EvaluationSet(
        _moments(files, split, persons.keys_in_order, paths, missing, clip=clip, tracks=tracks, bank=bank),
        persons=persons,
        short_sides=short_sides or (transform.test_short_side,),
        truth=truth,
        evaluated=files.evaluated,
        excluded=files.excluded,
        without_persons=int((~occupied).sum()),
    )


def _moments(
    files: PersonSplit,
    split: SplitName,
    keys: KeyTable,
    paths: Mapping[str, Path],
    missing: tuple[str, ...],
    *,
    clip: ClipConfig,
    tracks: bool,
    bank: BankConfig | None,
) -> KeyMoments:
    """Some moments of a split; arguments as above."""
    return KeyMoments(
        keys=keys,
        centers_us=files.centers_us(keys),
        videos=reader_pool(paths, files.data),
        window=ClipWindow(**dict(clip)),
        actions=files.actions,
        missing=missing,
        notes=files.notes,
        tracks=files.tracks() if tracks else None,
        bank=split_bank(files, split, bank),
    )


def _read(data: DetectionDataConfig, split: SplitName, num_actions: int) -> PersonSplit:
    """`read_split`, held to what the settings ask of every data set."""
    files = read_split(data, split, num_actions=num_actions)
    chooses = files.data.classes is not None or bool(files.data.merge_classes)
    if chooses and files.actions.places is None:
        raise InputError(
            f"data.classes: what reads the data set '{data.name}' takes all actions; leave data.classes and "
            "data.merge_classes out, or apply actiondet.datasets.classes.choose_actions in it"
        )
    return files


def split_bank(files: PersonSplit, split: SplitName, bank: BankConfig | None) -> BankReader | None:
    """The bank of a split; none for a network that remembers nothing.

    Raises:
        InputError: the split names no bank, or one that does not fit the network.
    """
    if bank is None:
        return None
    return open_bank(files.bank, bank_window(bank), channels=bank.channels, setting=f"data.{split}.bank")


def bank_window(bank: BankConfig) -> BankWindow:
    """What a network remembers around a moment."""
    return BankWindow(window=bank.window, reach=bank.reach, persons=bank.persons)


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
        rand_augment=config.rand_augment,
        on_device=config.on_device,
    )


def build_train_videos(
    data: VideoDataConfig, *, clip: VideoClipConfig, transform: VideoTransformConfig, num_classes: int, seed: int
) -> TrainVideos:
    """Build the training split of a data set of videos; faults as in `find_labeled_videos`."""
    return TrainVideos(
        find_labeled_videos(data, "train", num_classes=num_classes),
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
            on_device=transform.on_device,
        ),
        seed=seed,
        strides=clip.train_strides,
        repeats=transform.repeats,
        clips_per_video=data.clips_per_video,
    )


def view_sampling(clip: VideoClipConfig) -> ViewSampling:
    """How clips are taken from a video, as the settings say."""
    return ViewSampling(frames=clip.frames, stride=clip.stride, rule=clip.sampling, target_fps=clip.target_fps)

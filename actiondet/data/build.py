"""From the description of a data set to its training and test part."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

from actiondet.config.schema import ClipConfig, DetectionDataConfig, TransformConfig
from actiondet.data.key_frames import EvaluationSet, TrainingSet
from actiondet.data.transforms import TrainTransform
from evaluation.errors import InputError


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
    moments: Literal["all", "annotated"] = "annotated",
    split: Literal["train", "val"] = "val",
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

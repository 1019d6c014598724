"""One split of a data set of videos that show one action each, found on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np

from actiondet.config.recognition import VideoDataConfig
from actiondet.datasets.sources import ReaderPool, locate_videos
from actiondet.datasets.splits import SplitName
from actiondet.datasets.video_lists import VideoListing, bare_names, list_videos
from actiondet.video import VideoIndex, VideoReader, open_video
from actiondet.video.cached_reader import CachedReader, SharedFrames
from actiondet.video.kept_index import KeptIndices
from actiondet.video.sampling import IntArray
from evaluation.errors import InputError


@dataclass(frozen=True, eq=False)
class LabeledVideos:
    """The videos of one split of a data set, found on the disk.

    Attributes:
        names: (N) as the list has them.
        labels: (N,) from 0.
        frames: (N,) how many frames the list promises, or None.
        classes: names of the labels.
        sources: where the frames come from, by `names`.
        missing: videos of the list that are not there and take no part (only where the settings allow it).
    """

    names: tuple[str, ...]
    labels: IntArray
    frames: IntArray | None
    classes: tuple[str, ...]
    sources: ReaderPool
    missing: tuple[str, ...]


def find_labeled_videos(data: VideoDataConfig, split: SplitName, *, num_classes: int) -> LabeledVideos:
    """List the videos of `split` and find their files.

    Raises:
        InputError: lists that are missing, faulty or of other classes than the network; videos that are missing.
    """
    listing = list_videos(data, split)
    classes = listing.classes or tuple(map(str, range(num_classes)))
    _check_labels(listing, len(classes), num_classes)
    pictures = data.pictures is not None
    bare = bare_names(data, listing.names)
    paths, missing = locate_videos(
        data.videos,
        listing.names,
        pictures=pictures,
        skip_missing=data.unreadable == "skip",
        listed_in=f"{listing.source}: ",
        bare=bare,
    )
    there = np.array([name in paths for name in listing.names]) if missing else np.ones(len(listing.names), dtype=bool)
    return LabeledVideos(
        names=tuple(compress(listing.names, there.tolist())),
        labels=listing.labels[there],
        frames=None if listing.frames is None else listing.frames[there],
        classes=classes,
        sources=_open_lazily(data, paths),
        missing=missing,
    )


def _check_labels(listing: VideoListing, named: int, num_classes: int) -> None:
    if named != num_classes:
        raise InputError(
            f"model.num_classes is {num_classes}, but {listing.classes_source} has {named} classes; "
            f"set model.num_classes={named}, or give the classes that belong to the model"
        )
    wrong = np.flatnonzero(listing.labels >= num_classes)
    if len(wrong):
        place = f"{listing.source}, line {listing.lines[wrong[0]]}"
        raise InputError(
            f"{place}: label {listing.labels[wrong[0]]} of '{listing.names[wrong[0]]}' is out of range; "
            f"expected 0 to {num_classes - 1} (model.num_classes {num_classes}); {len(wrong)} such lines"
        )


def _open_lazily(data: VideoDataConfig, paths: Mapping[str, Path]) -> ReaderPool:
    make: Callable[..., VideoReader] = partial(open_video, reader=data.reader, pictures=data.pictures)
    if data.keep_gib:
        try:
            shared = SharedFrames(map(os.fspath, paths.values()), int(data.keep_gib * 2**30))
        except (OSError, OverflowError):
            raise InputError(
                f"data.keep_gib is {data.keep_gib:g} and cannot be allocated; expected fewer GiB than the machine has"
            ) from None
        make = partial(_kept, make_reader=make, shared=shared)
    return ReaderPool(paths, make, kept=KeptIndices(data.videos) if data.pictures is None else None)


def _kept(
    path: Path, *, make_reader: Callable[..., VideoReader], shared: SharedFrames, **known: VideoIndex | None
) -> VideoReader:
    return CachedReader(make_reader(path, **known), shared)

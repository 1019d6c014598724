"""What the videos of a recognition data set are called, and what they show."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import numpy as np

from actiondet.config.recognition import Ucf101Config, VideoDataConfig, VideoListConfig
from actiondet.datasets.sources import walk_videos
from actiondet.datasets.splits import SplitName
from actiondet.video.names import is_video, without_suffix, without_suffixes
from actiondet.video.sampling import IntArray
from evaluation.errors import InputError
from evaluation.formats.kinetics_table import is_kinetics_table, read_kinetics_table
from evaluation.formats.video_list import VideoList, read_class_names, read_ucf101_split, read_video_list
from evaluation.video_names import composed


@dataclass(frozen=True, eq=False)
class VideoListing:
    """The videos of one split of a data set.

    Attributes:
        source: the file or folder that says so.
        names: (N) paths below the folder of the videos, with or without suffix.
        labels: (N,) from 0.
        frames: (N,) frames of each, or None.
        lines: (N,) the line of each in `source`, from 1.
        classes: names of the labels; None where nothing names them.
        classes_source: the file or folder that names them.
    """

    source: str
    names: tuple[str, ...]
    labels: IntArray
    frames: IntArray | None
    lines: IntArray
    classes: tuple[str, ...] | None
    classes_source: str

    @classmethod
    def of(cls, videos: VideoList, classes: tuple[str, ...] | None, classes_source: str) -> VideoListing:
        """What a list says, with the names of its labels."""
        return cls(videos.path, videos.names, videos.labels, videos.frames, videos.lines, classes, classes_source)


@singledispatch
def list_videos(data: VideoDataConfig, split: SplitName) -> VideoListing:
    """List the videos of `split`; each member of the family registers its own.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    raise InputError(
        f"data.name: nothing lists the videos of '{data.name}'; register a function for {type(data).__name__} "
        "with @actiondet.datasets.video_lists.list_videos.register"
    )


@list_videos.register
def _(data: VideoListConfig, split: SplitName) -> VideoListing:
    path = data.train if split == "train" else data.val
    if is_kinetics_table(_existing_file(path, f"data.{split}")):
        return _from_table(data, split)
    videos = read_video_list(path)
    if data.classes is None:
        return VideoListing.of(videos, None, path)
    return VideoListing.of(videos, read_class_names(_existing_file(data.classes, "data.classes")), data.classes)


def _from_table(data: VideoListConfig, split: SplitName) -> VideoListing:
    """The clips of an official table, wherever below the folder of the videos a file (or folder) of their name lies."""
    path = data.train if split == "train" else data.val
    clips = read_kinetics_table(path)
    # A table of several splits is one file for both settings; a table of the test split may be validated on.
    clips = [clip for clip in clips if clip.split == split] or clips
    if not clips:
        raise InputError(f"{path}: lists no clips with a label")
    if data.classes is not None:
        classes = read_class_names(_existing_file(data.classes, "data.classes"))
    else:  # the field numbers the classes in alphabetical order
        tables = [each for each in (data.train, data.val) if Path(each).is_file() and is_kinetics_table(each)]
        classes = tuple(sorted({clip.label for each in tables for clip in read_kinetics_table(each)}))
    labels = {_plain_name(name): label for label, name in enumerate(classes)}
    for clip in clips:
        if _plain_name(clip.label) not in labels:
            raise InputError(f"{path}, line {clip.line}: '{clip.label}' is not a class of {data.classes}")
    places = _find_below(Path(data.videos), {clip.name for clip in clips}, pictures=data.pictures is not None)
    return VideoListing(
        source=path,
        names=tuple(places.get(clip.name, clip.name) for clip in clips),
        labels=np.array([labels[_plain_name(clip.label)] for clip in clips], dtype=np.int64),
        frames=None,
        lines=np.array([clip.line for clip in clips], dtype=np.int64),
        classes=classes,
        classes_source=data.classes or path,
    )


def _plain_name(name: str) -> str:
    """A class name as folders and label maps may spell it, too."""
    return re.sub("[ /_]+", "_", name)


def _find_below(folder: Path, wanted: set[str], *, pictures: bool) -> dict[str, str]:
    """Paths below `folder`, without suffix, of the videos (or folders of images) called `wanted`."""
    called = {composed(name): name for name in wanted}
    places = _folders_below(folder, called) if pictures else (path.with_suffix("") for path in walk_videos(folder))
    return {
        called[name]: place.relative_to(folder).as_posix()
        for place in places
        if (name := composed(place.name)) in called
    }


def _folders_below(folder: Path, called: Container[str]) -> Iterator[Path]:
    """All folders below `folder`, but those inside of one that is `called` so."""
    for parent, folders, _ in os.walk(folder, followlinks=True):
        yield from (Path(parent, name) for name in folders)
        folders[:] = [name for name in folders if composed(name) not in called]


@list_videos.register
def _(data: Ucf101Config, split: SplitName) -> VideoListing:
    if data.splits is None:
        half = "training" if split == "train" else "validation"
        return _from_folders(Path(data.videos), half, pictures=data.pictures is not None)
    folder = Path(data.splits)
    index = folder / "classInd.txt"
    classes = read_class_names(_existing_file(str(index), "data.splits"))
    name = f"{'train' if split == 'train' else 'test'}list{data.split:02d}.txt"
    videos = read_ucf101_split(_existing_file(str(folder / name), "data.splits"), classes)
    return VideoListing.of(videos, classes, str(index))


def _from_folders(videos: Path, half: str, *, pictures: bool) -> VideoListing:
    """UCF101/{training,validation}/{Class}/*.avi, or folders of pictures there: the classes are those of both parts."""
    classes: set[str] = set()
    for each in ("training", "validation"):
        if not (videos / each).is_dir():
            raise InputError(
                f"data.videos: {videos / each} is not a folder; expected {videos}/{{training,validation}}/<Class>/ "
                "with videos, or data.splits: the folder of classInd.txt and the split lists"
            )
        classes.update(child.name for child in (videos / each).iterdir() if child.is_dir())
    ordered = tuple(sorted(classes))
    names, labels = [], []
    for label, name in enumerate(ordered):
        folder = videos / half / name
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_dir() if pictures else is_video(path):
                names.append(f"{half}/{name}/{path.name}")
                labels.append(label)
    if not names:
        raise InputError(f"data.videos: {videos / half} holds no videos; expected <Class>/<video>.avi there")
    lines = np.arange(1, len(names) + 1)
    return VideoListing(str(videos / half), tuple(names), np.array(labels), None, lines, ordered, str(videos))


def bare_names(data: VideoDataConfig, names: Sequence[str]) -> dict[str, str]:
    """What files or folders below `data.videos` are called without suffix, by their names in a list."""
    if data.pictures is None:
        return dict(zip(names, without_suffixes(names), strict=True))
    # Folders of pictures may be called like the files that the pictures are of.
    folder = Path(data.videos)
    return {name: name if (folder / name).is_dir() else without_suffix(name) for name in names}


def _existing_file(path: str, key: str) -> str:
    if not Path(path).is_file():
        raise InputError(f"{key}: {path} {'is not a file' if Path(path).exists() else 'does not exist'}")
    return path

"""What the videos of a recognition data set are called, and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Literal

import numpy as np

from actiondet.config.recognition import Ucf101Config, VideoDataConfig, VideoListConfig
from actiondet.video.containers import VIDEO_SUFFIXES
from actiondet.video.sampling import IntArray
from evaluation.errors import InputError
from evaluation.formats.video_list import VideoList, read_class_names, read_ucf101_split, read_video_list

Part = Literal["train", "val"]


@dataclass(frozen=True, eq=False)
class Listing:
    """The videos of one part of a data set.

    Attributes:
        source: the file or folder that says so.
        names: (N) paths below the folder of the videos, with or without suffix.
        labels: (N,) from 0.
        frames: (N,) frames of each, or None.
        lines: (N,) where each stands in `source`, from 1.
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
    def of(cls, videos: VideoList, classes: tuple[str, ...] | None, classes_source: str) -> Listing:
        """What a list says, with the names of its labels."""
        return cls(videos.path, videos.names, videos.labels, videos.frames, videos.lines, classes, classes_source)


@singledispatch
def list_videos(data: VideoDataConfig, part: Part) -> Listing:
    """List the videos of `part`; each member of the family registers its own.

    Raises:
        InputError: files that are missing, faulty or do not fit together.
    """
    raise InputError(
        f"data.name: nothing lists the videos of '{data.name}'; register a function for {type(data).__name__} "
        "with @actiondet.data.video_lists.list_videos.register"
    )


@list_videos.register
def _(data: VideoListConfig, part: Part) -> Listing:
    path = data.train if part == "train" else data.val
    videos = read_video_list(_existing_file(path, f"data.{part}"))
    if data.classes is None:
        return Listing.of(videos, None, path)
    return Listing.of(videos, read_class_names(_existing_file(data.classes, "data.classes")), data.classes)


@list_videos.register
def _(data: Ucf101Config, part: Part) -> Listing:
    if data.splits is None:
        return _from_folders(Path(data.videos), "training" if part == "train" else "validation")
    folder = Path(data.splits)
    index = folder / "classInd.txt"
    classes = read_class_names(_existing_file(str(index), "data.splits"))
    name = f"{'train' if part == 'train' else 'test'}list{data.split:02d}.txt"
    videos = read_ucf101_split(_existing_file(str(folder / name), "data.splits"), classes)
    return Listing.of(videos, classes, str(index))


def _from_folders(videos: Path, part: str) -> Listing:
    """UCF101/{training,validation}/{Class}/*.avi: the classes are the folders of both parts, by name."""
    classes: set[str] = set()
    for each in ("training", "validation"):
        if not (videos / each).is_dir():
            raise InputError(
                f"data.videos: {videos / each} is no folder; expected {videos}/{{training,validation}}/<Class>/ "
                "with videos, or data.splits: the folder of classInd.txt and the split lists"
            )
        classes.update(child.name for child in (videos / each).iterdir() if child.is_dir())
    ordered = tuple(sorted(classes))
    names, labels = [], []
    for label, name in enumerate(ordered):
        folder = videos / part / name
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in VIDEO_SUFFIXES:
                names.append(f"{part}/{name}/{path.name}")
                labels.append(label)
    if not names:
        raise InputError(f"data.videos: {videos / part} holds no videos; expected <Class>/<video>.avi there")
    lines = np.arange(1, len(names) + 1)
    return Listing(str(videos / part), tuple(names), np.array(labels), None, lines, ordered, str(videos))


def _existing_file(path: str, key: str) -> str:
    if not Path(path).is_file():
        raise InputError(f"{key}: {path} is {'not a file' if Path(path).exists() else 'no file that exists'}")
    return path

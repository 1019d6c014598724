"""The video files that annotations belong to: when each frame is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actiondet.datasets.sources import video_candidates
from actiondet.video.names import folder_below, is_video
from data_tools.convert_annotations.annotated import AnnotatedVideo
from evaluation.errors import InputError
from evaluation.records import IntArray
from evaluation.video_names import composed

# A copy of other size shows the same picture if its shape is the same but for rounding to whole (even) pixels.
_SAME_SHAPE = 0.02


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of a video.

    Attributes:
        name: of the video.
        frame_times: (N,) when each is shown, microseconds after the first one, rising.
        file: name of the video file; None where there is none.
    """

    name: str
    frame_times: IntArray
    file: str | None = None


def find_clips(videos: Sequence[AnnotatedVideo], folder: Path | None, fps: float | None) -> list[Clip]:
    """Find the file of each annotated video and hold the annotations against it.

    Args:
        videos: what was annotated.
        folder: where the files lie; None: there are none, and frames are shown at a constant rate.
        fps: that rate, frames a second.

    Raises:
        InputError: two annotations of one video, no file of that name or several, another size, frames beyond it.
    """
    for video in videos:
        twins = [other.source for other in videos if other.name == video.name]
        if len(twins) > 1:
            raise InputError(
                f"{twins[1]}: annotates video '{video.name}', and so does {twins[0]}; keep one of them "
                "(jobs of one task: export the whole task instead)"
            )
    if folder is None:
        if fps is None:
            raise InputError("give --videos, the folder of the video files, or --fps if you have none")
        return [_without_file(video, fps) for video in videos]
    return [_with_file(video, folder) for video in videos]


def file_of_video(name: str, folder: Path, said_by: str) -> Path:
    """The one file of a video in `folder`; a name with slashes lies below it.

    Args:
        name: of the video.
        folder: of the video files.
        said_by: the file that speaks of the video, for messages.

    Raises:
        InputError: no such folder, no file of that name, or several.
    """
    home = folder_below(folder, name.rpartition("/")[0])
    if not home.is_dir():
        raise InputError(f"--videos {home}: is not a folder; expected the folder of the video files")
    mine = video_candidates(folder, [name], pictures=False).get(name, [])
    if len(mine) != 1:
        there = ", ".join(sorted({composed(path.stem) for path in home.iterdir() if is_video(path)})[:5])
        what = f"{len(mine)} files" if mine else "no file"
        raise InputError(
            f"{said_by}: there is {what} of the video '{name}' in {folder} (there: {there or 'no video'}); expected "
            f"exactly one, called {name}.mp4 or so"
        )
    return mine[0]


def _without_file(video: AnnotatedVideo, fps: float) -> Clip:
    count = int(max(video.annotated.max(initial=0), video.frames.max(initial=0))) + 1
    return Clip(video.name, np.rint(np.arange(count) * 1e6 / fps).astype(np.int64))


def _with_file(video: AnnotatedVideo, folder: Path) -> Clip:
    from actiondet.video import index_video

    index = index_video(file_of_video(video.name, folder, video.source))
    if video.size is not None:
        width, height = video.size
        stretch = (width / index.width) / (height / index.height)
        if abs(stretch - 1) > _SAME_SHAPE:
            turned = " (turned by 90 degrees?)" if (width, height) == (index.height, index.width) else ""
            raise InputError(
                f"{video.source}: was drawn on pictures of {width}x{height} pixels, but {index.path} is "
                f"{index.width}x{index.height}{turned}; expected the video that was annotated"
            )
    beyond = int(video.frames.max(initial=-1))
    if beyond >= len(index):
        raise InputError(
            f"{video.source}: has a box on frame {beyond}, but {index.path} has {len(index)} frames, which count from "
            "0; is it the video that was annotated, and whole?"
        )
    return Clip(video.name, index.frame_times, Path(index.path).name)

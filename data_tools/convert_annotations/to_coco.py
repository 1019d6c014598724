"""The truth of an action data set as COCO's json of persons, with which a person detector is fine-tuned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from actiondet.video import VideoIndex, index_video, nearest_frames
from actiondet.video.clip_stream import TOLERANCE_US
from data_tools.convert_annotations.clips import file_of_video
from evaluation.errors import InputError
from evaluation.files import write_text
from evaluation.formats.ava import read_ava_csv, read_excluded
from evaluation.formats.csv_columns import time_of
from evaluation.formats.multisports import read_multisports
from evaluation.moments import MomentCodes, annotated_moments
from evaluation.records import FloatArray, FrameKey, TruthRows

# COCO's files of whole videos' frames would be huge with sixteen digits; this is a hundredth of a pixel.
_DECIMALS = 2


@dataclass(frozen=True, eq=False)
class Picture:
    """A key moment as a picture.

    Attributes:
        key: the moment.
        name: file of the picture, "<video>/0902.jpg" (AVA: seconds; MultiSports: frame from 1).
        frame: number of the shown frame, from 0.
        boxes: (P, 4) unit boxes of the persons, each once, whatever they do.
    """

    key: FrameKey
    name: str
    frame: int
    boxes: FloatArray


@dataclass(frozen=True, eq=False)
class PictureSet:
    """The pictures of a truth file; `videos` holds file (None: not looked for) and (width, height) of each video."""

    pictures: tuple[Picture, ...]
    videos: Mapping[str, tuple[Path | None, tuple[int, int]]]


def ava_pictures(truth_path: Path, videos: Path | None, *, start: float, excluded: Path | None) -> PictureSet:
    """The key moments of an AVA-format truth file.

    Args:
        truth_path: the CSV.
        videos: folder of the video files, which have the size of the pictures.
        start: time on the annotations' clock at which every file begins, seconds.
        excluded: moments to leave out.

    Raises:
        InputError: a video is missing, or a moment lies outside of its video.
    """
    if videos is None:
        raise InputError("give --videos, the folder of the video files: AVA's files do not say the pictures' size")
    truth = read_ava_csv(truth_path)
    keys = annotated_moments(truth, without=read_excluded(excluded) if excluded is not None else ())
    indices: dict[str, VideoIndex] = {
        name: index_video(file_of_video(name, videos, str(truth_path))) for name in sorted({key.video for key in keys})
    }
    numbers = []
    for key in keys:
        times, instant = indices[key.video].frame_times, key.moment - round(start * 1e6)
        if not -TOLERANCE_US <= instant <= int(times[-1]) + TOLERANCE_US:
            raise InputError(
                f"{truth_path}: {key.video} at {key.moment / 1e6:g} s lies outside of its file, which lasts "
                f"{times[-1] / 1e6:.1f} s from {start:g} s on; is --start right?"
            )
        numbers.append(int(nearest_frames(times, np.array([instant]))[0]))
    names = [f"{key.video}/{time_of(key.moment)}.jpg" for key in keys]
    found = {name: (Path(index.path), (index.width, index.height)) for name, index in indices.items()}
    return PictureSet(_pictures(truth, keys, names, numbers), found)


def multisports_pictures(
    truth_path: Path, videos: Path | None, *, split: Literal["train", "val"], step: int
) -> PictureSet:
    """Every `step`-th frame of the tubes of MultiSports (or another set in its layout).

    Args:
        truth_path: multisports_GT.pkl.
        videos: folder of the video files; None: nothing will be extracted.
        split: of the data set.
        step: take frames 1, 1 + step, 1 + 2 step ... of each video that show a person.

    Raises:
        InputError: a video is missing.
    """
    truth = read_multisports(truth_path)
    names = truth.train_videos if split == "train" else truth.test_videos
    rows = truth.rows(names)
    keys = [key for key in annotated_moments(rows) if (key.moment - 1) % step == 0]
    if not keys:
        raise InputError(f"{truth_path}: no frame 1, {1 + step}, ... of its {split} videos shows anybody; lower --step")
    used = sorted({key.video for key in keys})
    paths = {name: None if videos is None else file_of_video(name, videos, str(truth_path)) for name in used}
    found = {name: (path, truth.sizes[name][::-1]) for name, path in paths.items()}
    files = [f"{key.video}/{key.moment:05d}.jpg" for key in keys]
    return PictureSet(_pictures(rows, keys, files, [key.moment - 1 for key in keys]), found)


def write_coco(path: Path, pictures: PictureSet) -> int:
    """Write COCO's json: one category, "person"; return the number of boxes."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, picture in enumerate(pictures.pictures, start=1):
        width, height = pictures.videos[picture.key.video][1]
        place = {"file_name": picture.name, "video": picture.key.video, "frame": picture.frame}
        images.append({"id": number, "width": width, "height": height, **place})
        scaled = np.round(np.clip(picture.boxes, 0, 1) * [width, height, width, height], _DECIMALS)
        for x1, y1, x2, y2 in scaled.tolist():
            box = [x1, y1, round(x2 - x1, _DECIMALS), round(y2 - y1, _DECIMALS)]
            if min(box[2:]) > 0:
                entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
                annotations.append({**entry, "bbox": box, "area": round(box[2] * box[3], _DECIMALS)})
    content = {
        "info": {"description": "persons of an action data set; frame counts from 0"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }
    write_text(path, json.dumps(content))
    return len(annotations)


def _pictures(
    truth: TruthRows, keys: Sequence[FrameKey], names: Sequence[str], numbers: Sequence[int]
) -> tuple[Picture, ...]:
    """Gather the persons of each moment; rows with the same box are one person."""
    codes = MomentCodes.of([truth], keys)
    of_rows, wanted = codes.of_rows(truth), codes.of_keys(keys)
    order = np.argsort(of_rows, kind="stable")
    begins, ends = np.searchsorted(of_rows[order], wanted), np.searchsorted(of_rows[order], wanted, side="right")
    return tuple(
        Picture(key, name, number, np.unique(truth.boxes[order[begin:end]], axis=0))
        for key, name, number, begin, end in zip(keys, names, numbers, begins, ends, strict=True)
    )

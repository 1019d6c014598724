"""Extract the pictures of a truth file from the videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from actiondet.video import open_video
from data_tools.convert_annotations.to_coco import PictureSet
from data_tools.output_folder import clear_unfinished
from data_tools.workers import results_in_order
from evaluation.errors import InputError
from evaluation.files import atomic_path

# A detector is trained on these; hardly anything of the frame is lost.
_QUALITY = 95
_AT_ONCE = 16


def extract(pictures: PictureSet, out: Path, *, processes: int) -> int:
    """Write the pictures as jpg files below `out`; those that are there already stay.

    Args:
        pictures: which frames of which files.
        out: folder.
        processes: videos read side by side.

    Returns:
        How many were written.

    Raises:
        InputError: a video cannot be read or is shorter than its truth.
    """
    lacking: dict[str, list[tuple[int, str]]] = {}
    for picture in pictures.pictures:
        file = out / picture.name
        if not file.is_file():
            lacking.setdefault(picture.key.video, []).append((picture.frame, str(file)))
    jobs = [(str(pictures.videos[video][0]), wanted) for video, wanted in lacking.items()]
    try:
        return sum(results_in_order(_extract, jobs, processes))
    finally:
        clear_unfinished({Path(file).parent for _, wanted in jobs for _, file in wanted})


def _extract(job: tuple[str, Sequence[tuple[int, str]]]) -> int:
    path, wanted = job
    with open_video(path) as reader:
        last = max(frame for frame, _ in wanted)
        if last >= len(reader.index):
            raise InputError(f"{path}: has {len(reader.index)} frames, but its truth speaks of frame {last} (from 0)")
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            for frame, (_, file) in zip(reader.read([number for number, _ in some]), some, strict=True):
                with atomic_path(file) as temporary:
                    if not cv2.imwrite(str(temporary), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
                        raise OSError(f"{file}: the picture cannot be written")
    return len(wanted)

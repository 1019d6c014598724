"""A picture of key moments with their boxes and labels: a look tells more than a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from actiondet.config.schema import AvaConfig
from actiondet.video import FrameFolder, nearest_frames, open_video
from data_tools.check_dataset.check import start_of
from data_tools.check_dataset.rows import BOX
from evaluation.files import atomic_path

_WIDTH, _COLUMNS = 400, 3
_COLOURS = ((80, 200, 255), (120, 255, 120), (255, 160, 80), (220, 120, 255), (80, 255, 255))


def write_contact_sheet(
    path: Path,
    data: AvaConfig,
    tables: Mapping[str, pd.DataFrame],
    videos: Mapping[str, Path],
    names: Mapping[int, str],
    *,
    tiles: int,
) -> int:
    """Draw up to `tiles` key moments, spread evenly over both parts; return how many were drawn."""
    pictures = []
    for part, table in tables.items():
        usable = table[table["video"].isin(list(videos))]
        groups = [(str(video), int(moment), rows) for (video, moment), rows in usable.groupby(["video", "moment"])]
        for number in np.unique(np.linspace(0, len(groups) - 1, tiles // len(tables)).astype(int)) if groups else ():
            pictures.append(_tile(part, data, videos, names, *groups[number]))
    if not pictures:
        return 0
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0))) for picture in pictures]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % _COLUMNS)
    lines = [np.concatenate(padded[i : i + _COLUMNS], axis=1) for i in range(0, len(padded), _COLUMNS)]
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), np.concatenate(lines)[..., ::-1]):
            raise OSError(f"{path}: the picture cannot be written")
    return len(pictures)


def _tile(
    part: str,
    data: AvaConfig,
    videos: Mapping[str, Path],
    names: Mapping[int, str],
    video: str,
    moment: int,
    rows: pd.DataFrame,
) -> npt.NDArray[np.uint8]:
    layout = data.pictures
    with (
        open_video(videos[video], reader="pyav")
        if layout is None
        else FrameFolder(videos[video], template=layout.template, first=layout.first, fps=layout.fps)
    ) as reader:
        center = np.array([moment - round(start_of(data, video) * 1e6)])
        frame = reader.read(nearest_frames(reader.index.frame_times, center))[0]
    scale = _WIDTH / frame.shape[1]
    picture = np.ascontiguousarray(cv2.resize(frame, (_WIDTH, max(1, round(frame.shape[0] * scale)))))
    size = np.array([picture.shape[1], picture.shape[0]] * 2)
    boxed = rows[rows["label"] >= 0]
    for number, (box, labels) in enumerate(boxed.groupby(BOX, sort=False)["label"]):
        x1, y1, x2, y2 = (np.array(box) * size).round().astype(int).tolist()
        colour = _COLOURS[number % len(_COLOURS)]
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
        for line, label in enumerate(labels):
            _write(picture, names.get(int(label), str(label)), (x1 + 2, y1 + 12 + 12 * line), colour)
    _write(picture, f"{part} {video} {moment / 1e6:g} s", (4, picture.shape[0] - 6), (255, 255, 255))
    result: npt.NDArray[np.uint8] = picture.astype(np.uint8)
    return result


def _write(
    picture: npt.NDArray[np.integer | np.floating], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    for thick, ink in ((3, (0, 0, 0)), (1, colour)):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, ink, thick, cv2.LINE_AA)

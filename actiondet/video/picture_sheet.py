"""Pictures in rows and columns, as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from actiondet.video.pixels import Image
from evaluation.files import atomic_path


def write_picture_sheet(path: str | os.PathLike[str], pictures: Sequence[Image], columns: int) -> None:
    """Write pictures side by side, row below row; what is left over is black.

    Args:
        path: a file whose name ends in .png or .jpg.
        pictures: one or more, (H_i, W, 3) uint8 RGB.
        columns: of a full row.

    Raises:
        OSError: it cannot be written.
    """
    columns = min(columns, len(pictures))
    height = max(len(picture) for picture in pictures)
    padded = [np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0))) for picture in pictures]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % columns)
    rows = [np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)]
    coded = cv2.imencode(Path(path).suffix, np.concatenate(rows)[..., ::-1])[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(coded.tobytes())  # cv2.imwrite does not report a full disk

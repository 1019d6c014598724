"""What boxes may have been meant as: ways in which files are written by mistake."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.records import FloatArray

Reading = Callable[[FloatArray], FloatArray]

READINGS: dict[str, Reading] = {
    "corner and size": lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1),
    "centre and size": lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1),
    "y before x": lambda b: b[:, [1, 0, 3, 2]],
    "mirrored left to right": lambda b: np.stack([1 - b[:, 2], b[:, 1], 1 - b[:, 0], b[:, 3]], axis=1),
    "upside down": lambda b: np.stack([b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]], axis=1),
    "turned by 180 degrees": lambda b: 1 - b[:, [2, 3, 0, 1]],
    "turned by 90 degrees": lambda b: np.stack([b[:, 1], 1 - b[:, 2], b[:, 3], 1 - b[:, 0]], axis=1),
    "turned by 270 degrees": lambda b: np.stack([1 - b[:, 3], b[:, 0], 1 - b[:, 1], b[:, 2]], axis=1),
    "twice as large": lambda b: 2 * b,
    "half as large": lambda b: b / 2,
}
"""(N, 4) boxes as they stand to what they would be, x1, y1, x2, y2."""

"""What boxes and times may have been meant as: ways in which files are written, and videos changed, by mistake."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.records import FloatArray

Reading = Callable[[FloatArray], FloatArray]


def _squeezed(x: float, y: float) -> Reading:
    """Boxes drawn nearer to the middle of the frame, or with factors above 1 farther from it."""
    factors = np.array([x, y, x, y])
    return lambda b: (b - 0.5) * factors + 0.5


def _moved(x: float, y: float) -> Reading:
    return lambda b: b + np.array([x, y, x, y])


def _below(b: FloatArray) -> FloatArray:
    """The bodies below heads that are an upright fifth of them."""
    return np.stack([b[:, 0], b[:, 1], b[:, 2], b[:, 1] + 5 * (b[:, 3] - b[:, 1])], axis=1)


READINGS: dict[str, Reading] = {
    "corner and size": lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1),
    "center and size": lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1),
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

LIKELY = ("corner and size", "center and size", "y before x", "mirrored left to right", "upside down")
"""Those that happen to files of boxes."""

HEADS = "heads, each with the body below it"
PLACES: dict[str, Reading] = {
    **READINGS,
    HEADS: _below,
    "squeezed to 3/4 of the height (are there black bars above and below?)": _squeezed(1, 0.75),
    "squeezed to 3/4 of the width (are there black bars at the sides?)": _squeezed(0.75, 1),
    "squeezed to 3/4 about the middle (is there a black frame?)": _squeezed(0.75, 0.75),
    "stretched to 4/3 of the height (were black bars cut off?)": _squeezed(1, 4 / 3),
    "stretched to 4/3 of the width (were black bars cut off?)": _squeezed(4 / 3, 1),
    "stretched to 5/4 about the middle (were the borders cut off?)": _squeezed(1.25, 1.25),
    "moved left by a seventh of the width": _moved(-0.15, 0),
    "moved right by a seventh of the width": _moved(0.15, 0),
    "moved up by a seventh of the height": _moved(0, -0.15),
    "moved down by a seventh of the height": _moved(0, 0.15),
}
"""All of them, and what happens to the pictures of a video."""

# Seconds within which a shift of the clock is looked for, and its steps.
WINDOW, _STEP = 3.0, 0.25


def _shift_name(seconds: float) -> str:
    spoken = "half a second" if abs(seconds) == 0.5 else f"{abs(seconds):g} s"
    return f"{spoken} {'later' if seconds > 0 else 'earlier'}"


CLOCKS: dict[str, tuple[float, float]] = {
    _shift_name(seconds): (1.0, float(seconds)) for seconds in np.arange(-WINDOW, WINDOW + _STEP, _STEP) if seconds
}
"""(factor, seconds): what is annotated at t is to be seen at factor * t + seconds."""
CLOCKS |= {
    f"at {text} of the time": (factor, 0.0)
    for text, factor in {
        "24/30": 24 / 30, "25/30": 25 / 30, "0.9": 0.9, "0.95": 0.95, "24/25": 24 / 25, "1000/1001": 1000 / 1001,
        "1001/1000": 1001 / 1000, "25/24": 25 / 24, "1.05": 1.05, "1.1": 1.1, "30/25": 30 / 25, "30/24": 30 / 24,
    }.items()
}  # fmt: skip

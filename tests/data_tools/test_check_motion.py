"""The checker looks whether people move where the boxes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actiondet.video import VideoWriter
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.motion import check_motion

SIZE, SECONDS, RATE = (128, 96), 5, 30
Box = tuple[float, float, float, float]


def place(instant: float) -> Box:
    """Where the person of the film is: he walks to and fro, and comes down slowly."""
    left, top = 0.3 + 0.25 * float(np.sin(2.5 * instant)), 0.05 + 0.06 * instant
    return left, top, left + 0.2, top + 0.4


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rng = np.random.default_rng(0)
    width, height = SIZE
    ground = rng.integers(60, 90, (height, width, 3), dtype=np.uint8)
    coat = np.kron(rng.integers(100, 255, (30, 30, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    with VideoWriter(path, RATE, *SIZE) as writer:
        for frame in range(SECONDS * RATE):
            x1, y1, x2, y2 = (np.array(place(frame / RATE)) * [*SIZE, *SIZE]).astype(int).tolist()
            picture = ground.copy()
            picture[y1:y2, x1:x2] = coat[: y2 - y1, : x2 - x1]
            writer.write(picture)
    return path


def look(film: Path, box: Callable[[float], Box], shift: float = 0.0, rate: float = 1.0) -> Report:
    """Check 24 moments of the film under two names; `shift` is added to their times, which are multiplied by `rate`."""
    instants = np.linspace(1.2, 3.6, 12)
    table = pd.DataFrame([box(instant) for instant in instants], columns=["x1", "y1", "x2", "y2"])
    table["label"] = 1
    table = pd.concat([table.assign(video=name) for name in ("film", "copy")])
    report = Report()
    times = np.rint((instants * rate + shift) * 1e6).astype(np.int64)
    table["instant"] = np.tile(times, 2)
    check_motion([("truth.csv", table)], {"film": film, "copy": film}, None, 1, report)
    return report


def test_boxes_of_what_moves_are_no_fault(film: Path) -> None:
    assert look(film, place).findings == []


def test_boxes_where_nothing_is_known_to_move_are_no_fault(film: Path) -> None:
    assert look(film, lambda instant: (0.4, 0.05, 0.95, 0.2)).findings == []


READINGS: dict[str, Callable[[Box], Box]] = {
    "mirrored": lambda b: (1 - b[2], b[1], 1 - b[0], b[3]),
    "upside down": lambda b: (b[0], 1 - b[3], b[2], 1 - b[1]),
    "180 degrees": lambda b: (1 - b[2], 1 - b[3], 1 - b[0], 1 - b[1]),
    "half as large": lambda b: (2 * b[0], 2 * b[1], 2 * b[2], 2 * b[3]),
    "twice as large": lambda b: (b[0] / 2, b[1] / 2, b[2] / 2, b[3] / 2),
}


@pytest.mark.parametrize("name", READINGS)
def test_boxes_of_other_pictures_are_found(film: Path, name: str) -> None:
    findings = look(film, lambda instant: READINGS[name](place(instant))).findings
    assert [finding.code for finding in findings] == ["motion-elsewhere"]
    assert name in findings[0].message


@pytest.mark.parametrize(
    ("shift", "rate", "message"),
    [
        (1.0, 1.0, "1 s earlier in the videos"),
        (-1.0, 1.0, "1 s later in the videos"),
        (0.0, 30 / 25, "/30 of the time"),
    ],
)
def test_times_of_other_moments_are_found(film: Path, shift: float, rate: float, message: str) -> None:
    findings = look(film, place, shift, rate).findings
    assert [finding.code for finding in findings] == ["motion-at-other-time"]
    assert message in findings[0].message

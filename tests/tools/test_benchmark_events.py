from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.config import load_config
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.models.build import build_detector
from actiondet.tubes.events import Event
from data_tools.toy.actions import TRAINED

ROOT = Path(__file__).resolve().parents[2]
HERE, THERE = (0.1, 0.1, 0.3, 0.9), (0.6, 0.1, 0.8, 0.9)


@pytest.fixture
def events() -> Any:
    return import_module("actiondet.cli.benchmarks.events")


def found(start: float, end: float, peak: float = 0.9, *, box: Any = HERE, film: str = "a") -> Event:
    return Event(film, 0, "jump", start, end, peak, peak, (start + end) / 2, box)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        ([found(1, 3)], 1),
        ([found(2, 4)], 0),  # shares a second of three
        ([found(1, 2)], 1),  # half of it
        ([found(1, 1.9)], 0),
        ([found(1, 3, box=THERE)], 0),
        ([found(1, 3, film="b")], 0),
        ([found(1, 3), found(1, 3, 0.8)], 1),  # found once at most
        ([found(1, 3), found(5, 6)], 2),
        ([found(1, 2, 0.99), found(1, 3)], 1),
        ([], 0),
    ],
)
def test_events_are_right_where_they_agree_with_a_true_one(events: Any, found: list[Event], right: int) -> None:
    boxes = np.tile(np.array(HERE), (300, 1))
    true = [events.TrueEvent("a", "jump", start, end, boxes) for start, end in ((1, 3), (5, 6))]
    assert events.count(found, true) == events.Count(len(found), 2, right)


@pytest.mark.parametrize(
    ("goes_on", "stretches"),
    [
        ("000", []),
        ("11", []),
        ("111", [(0, 3)]),
        ("0111101110011100011", [(1, 14)]),  # gaps of one and two are closed, a gap of three is not
        ("111000111", [(0, 3), (6, 9)]),
        ("1010101", [(0, 7)]),
    ],
)
def test_glimpses_neither_end_nor_make_true_events(events: Any, goes_on: str, stretches: list[tuple[int, int]]) -> None:
    assert events.stretches(np.array([each == "1" for each in goes_on]), 3) == stretches


def test_figures_of_counts(events: Any) -> None:
    count = events.Count(found=4, true=6, right=3) + events.Count(found=0, true=2, right=0)
    assert (count.precision, count.recall) == (0.75, 0.375)
    assert count.f1 == pytest.approx(2 * 0.75 * 0.375 / (0.75 + 0.375))
    assert events.Count().f1 == 0


@pytest.mark.slow
def test_toy_films_are_scored(tmp_path: Path) -> None:
    config = load_config("toy/slowonly_r18")
    torch.manual_seed(0)
    save_checkpoint(Checkpoint(config, build_detector(config.model).state_dict(), TRAINED), tmp_path / "toy.pt")
    command = [sys.executable, "tools/benchmark.py", "events", "--weights", str(tmp_path / "toy.pt")]
    done = subprocess.run([*command, "--films", "1", "--seconds", "4"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "events at temporal IoU 0.5" in done.stdout


@pytest.mark.slow
def test_identities_of_toy_films_are_counted() -> None:
    pytest.importorskip("motmetrics")
    command = [sys.executable, "tools/benchmark.py", "identities", "--films", "1", "--seconds", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "every 0.2 s: gap 0 s: 0." in done.stdout
    assert "switches" in done.stdout

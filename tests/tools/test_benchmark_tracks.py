from __future__ import annotations

import subprocess
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools/benchmark.py", "tracks", *arguments, cwd=ROOT)


def finished(out: Path, arm: str, rate: float, seed: int, score: float) -> None:
    """Keep the result of a training that was never made."""
    tracks = import_module("actiondet.cli.benchmarks.tracks")
    arguments = Namespace(out=out, epochs=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actiondet.cli.benchmarks.arms.ToyRuns._make_films", lambda _: None)
        patch.setattr("actiondet.engine.train.train", lambda *_, **__: score)
        assert tracks.arms(arguments, None)(arm, rate, seed) == score


def test_each_arm_is_reported_at_its_own_best_rate_and_finished_runs_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    for arm, tuned, reported in (("static", (0.3, 0.2), (0.2, 0.3)), ("track", (0.4, 0.5), (0.5, 0.7))):
        for rate, score in zip((0.001, 0.002), tuned, strict=True):
            finished(tmp_path, arm, rate, 0, score)
        for seed, score in zip((1, 2), reported, strict=True):
            finished(tmp_path, arm, 0.001 if arm == "static" else 0.002, seed, score)
    kept = ["--out", str(tmp_path), "--epochs", "5"]
    done = benchmark(*kept, "--rates", "0.001", "0.002", "--seeds", "1", "2")
    assert done.returncode == 0, done.stderr
    assert "static: tuned 0.001: 0.3000, 0.002: 0.2000" in done.stdout
    assert "track: rate 0.002; reported 0.5000, 0.7000" in done.stdout
    assert "+35.00" in done.stdout


def test_the_seed_of_the_tuning_is_not_reported(tmp_path: Path) -> None:
    done = benchmark("--out", str(tmp_path), "--seeds", "0")
    assert done.returncode == 2
    assert "--seeds 0: is the seed of the tuning" in done.stderr

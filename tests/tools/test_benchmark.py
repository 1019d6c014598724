from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actiondet.video import VideoWriter
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools" / "benchmark.py", *arguments, cwd=ROOT)


def test_a_detector_and_a_recognizer_are_measured_against_the_plain_network() -> None:
    configs = ["configs/toy/slowonly_r18.yaml", "configs/toy/recognition_slowfast.yaml"]
    done = run("model", *configs, "--side", 48, "--boxes", 3, "--rounds", 1, "--threads", 1, "--json", "-")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["config"], row["network"]) for row in rows] == [
        (config, network) for config in configs for network in ("plain float32", "float32", "bfloat16")
    ]
    for row in rows:
        assert row["cpu_seconds"] > 0
        assert row["ratio"] == pytest.approx(
            next(plain for plain in rows if plain["config"] == row["config"])["cpu_seconds"] / row["cpu_seconds"]
        )
        exact = {"plain float32": 0, "float32": 1e-5, "bfloat16": 0.3}[row["network"]]
        assert 0 <= row["largest_change"] <= exact
        assert row["largest_change"] > 0 or row["network"] != "bfloat16"


def test_explicit_attention_is_measured_beside_the_fused_kernels() -> None:
    size = ["--side", 36, "--width", 60, "--boxes", 3]
    done = run("model", "toy/vit_narrow", *size, "--explicit", "--rounds", 1, "--threads", 1, "--json", "-")
    assert done.returncode == 0, done.stderr
    rows = {row["network"]: row for row in json.loads(done.stdout)}
    explicit = ["float32, explicit attention", "bfloat16, explicit attention"]
    assert list(rows) == ["plain float32", "float32", "bfloat16", *explicit]
    assert rows["float32, explicit attention"]["largest_change"] < 1e-5


def test_a_missing_configuration_is_one_sentence() -> None:
    done = run("model", "nowhere.yaml")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nowhere.yaml" in done.stderr


def test_training_steps_are_measured_against_the_plain_one() -> None:
    configs = ["configs/toy/slowonly_r18.yaml", "configs/toy/recognition_slowonly.yaml"]
    more = ["--batch", 2, "--side", 32, "--boxes", 2, "--steps", 1, "--threads", 1, "--device", "cpu", "--json", "-"]
    done = run("train", *configs, *more)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    ways = ["plain float32", "float32, channels last", "bfloat16", "bfloat16, channels last"]
    assert [(row["config"], row["way"]) for row in rows] == [(config, way) for config in configs for way in ways]
    for row in rows:
        plain = next(each for each in rows if each["config"] == row["config"])
        assert row["ratio"] == pytest.approx(plain["cpu_seconds"] / row["cpu_seconds"])
        assert row["clips_per_second"] == pytest.approx(2 / row["seconds"])
        assert row["losses"] == pytest.approx(plain["losses"], rel=0.05 if "bfloat16" in row["way"] else 1e-4)
        assert row["losses"][1] != row["losses"][0]  # the weights have changed
        assert row["published_mib"] is None


@pytest.fixture
def multigrid(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return import_module("actiondet.cli.benchmarks.multigrid")


@pytest.mark.parametrize(
    ("multigrid_row", "epochs", "time", "accuracy", "passed"),
    [
        ((0.86, 100.0), 40, 0.25, -0.03, True),
        ((0.85, 100.0), 40, 0.25, -0.04, False),
        ((0.95, 201.0), 40, 0.5025, 0.06, False),
        ((0.90, 200.0), 40, 0.5, 0.01, True),
    ],
)
def test_multigrid_is_held_against_the_shortest_plain_schedule_near_the_best(
    multigrid: Any, multigrid_row: tuple[float, float], epochs: int, time: float, accuracy: float, passed: bool
) -> None:
    plain = [(20, 0.7, 200.0), (80, 0.9, 800.0), (40, 0.89, 400.0), (60, 0.9, 600.0)]
    rows = [("plain", epochs, 3, *each) for epochs, *each in plain] + [("multigrid", 60, 3, *multigrid_row)]
    verdict = multigrid.judge(pd.DataFrame(rows, columns=["kind", "epochs", "runs", "top_1", "cpu_seconds"]))
    assert verdict.plain["epochs"] == epochs
    assert (verdict.time, verdict.accuracy) == pytest.approx((time, accuracy))
    assert verdict.passed == passed


def test_runs_are_averaged_over_their_seeds(multigrid: Any) -> None:
    runs = [("plain", 20, seed, 0.5 + seed / 10, 100 + seed) for seed in (0, 1)] + [("multigrid", 20, 0, 0.7, 30)]
    found = multigrid.means(pd.DataFrame(runs, columns=["kind", "epochs", "seed", "top_1", "cpu_seconds"]))
    rows = list(found.itertuples())
    assert [(row.kind, row.epochs, row.runs) for row in rows] == [("plain", 20, 2), ("multigrid", 20, 1)]
    assert [(row.top_1, row.cpu_seconds) for row in rows] == [(pytest.approx(0.55), 100.5), (0.7, 30)]


@pytest.mark.slow
def test_whole_trainings_are_measured_and_not_repeated(tmp_path: Path) -> None:
    for name in ("dark", "light"):
        with VideoWriter(tmp_path / f"{name}.mp4", rate=Fraction(10), width=48, height=32, sound_of=None) as writer:
            for _ in range(8):
                writer.write(np.full((32, 48, 3), 40 if name == "dark" else 200, dtype=np.uint8))
    (tmp_path / "list.txt").write_text("dark.mp4 0\nlight.mp4 1\n" * 8)
    settings = [
        *("model.backbone.width=4", "model.num_classes=2", "clip={frames: 4, stride: 1}", "data.classes=null"),
        "transform={train_short_side: [32, 32], train_crop: 32, test_short_side: 32, val_crop: 32}",
        *("test.crop=32", f"data.videos={tmp_path}"),
        *(f"data.{part}={tmp_path / 'list.txt'}" for part in ("train", "val")),
    ]
    (tmp_path / "plain.yaml").write_text(f"base: {ROOT}/configs/toy/recognition_slowonly.yaml\n")
    (tmp_path / "short.yaml").write_text(
        "base: plain.yaml\nmultigrid: {short_cycle: false}\n"
        "train: {epochs: 3, batch: 1, base_batch: 1, schedule: {policy: step, steps: [2]}}\n"
    )
    command = ["multigrid", tmp_path / "plain.yaml", tmp_path / "short.yaml", "--out", tmp_path / "runs", "--json", "-"]
    more = ["--epochs", 1, "--seeds", 0, "--settings", *settings]
    first = run(*command, *more)
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert [(each["kind"], each["epochs"], each["kept"]) for each in found["runs"]] == [
        ("plain", 1, True),
        ("multigrid", 3, True),
    ]
    assert all(each["cpu_seconds"] > 1 for each in found["runs"])
    assert found["verdict"]["time"] == pytest.approx(found["runs"][1]["cpu_seconds"] / found["runs"][0]["cpu_seconds"])
    assert run(*command, *more).stdout == first.stdout

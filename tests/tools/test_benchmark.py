from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_a_detector_and_a_recogniser_are_measured_against_the_plain_network() -> None:
    configs = ["configs/toy/slowonly_r18.yaml", "configs/toy/recognition_slowfast.yaml"]
    done = run("model", *configs, "--side", 48, "--boxes", 3, "--rounds", 1, "--threads", 1, "--json")
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


def test_a_missing_configuration_is_one_sentence() -> None:
    done = run("model", "nowhere.yaml")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nowhere.yaml" in done.stderr

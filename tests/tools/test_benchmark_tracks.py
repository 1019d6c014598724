from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/benchmark.py", "tracks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def finished(out: Path, arm: str, rate: float, seed: int, score: float) -> None:
    folder = out / f"{arm}_rate{rate:g}_seed{seed}_epochs5"
    folder.mkdir(parents=True)
    (folder / "score.json").write_text(json.dumps({"mean_ap": score}))


def test_each_arm_is_reported_at_its_own_best_rate_and_finished_runs_are_not_repeated(tmp_path: Path) -> None:
    for arm, tuned, reported in (("static", (0.3, 0.2), (0.2, 0.3)), ("track", (0.4, 0.5), (0.5, 0.7))):
        for rate, score in zip((0.001, 0.002), tuned, strict=True):
            finished(tmp_path, arm, rate, 0, score)
        for seed, score in zip((1, 2), reported, strict=True):
            finished(tmp_path, arm, 0.001 if arm == "static" else 0.002, seed, score)
    done = benchmark("--out", str(tmp_path), "--rates", "0.001", "0.002", "--seeds", "1", "2")
    assert done.returncode == 0, done.stderr
    assert "static: tuned 0.001: 0.3000, 0.002: 0.2000" in done.stdout
    assert "track: rate 0.002; reported 0.5000, 0.7000" in done.stdout
    assert "+35.00" in done.stdout


def test_the_seed_of_the_tuning_is_not_reported(tmp_path: Path) -> None:
    done = benchmark("--out", str(tmp_path), "--seeds", "0")
    assert done.returncode == 2
    assert "--seeds 0: is the seed of the tuning" in done.stderr

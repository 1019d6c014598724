"""The wheel alone, in an empty folder: programs, configurations, label lists and the person detector are in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the installed command in an empty folder; the environment gives the libraries, the wheel everything else."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    folder = tmp_path_factory.mktemp("wheel")
    source, site, work = folder / "source", folder / "site", folder / "work"
    work.mkdir()
    # From a copy of the tracked files: building leaves folders behind, and what is not tracked must not be needed.
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(source)], check=True)
    changed = subprocess.run(["git", "diff", "--binary", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    if changed:
        subprocess.run(["git", "apply"], cwd=source, input=changed, check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("actiondet-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-compile", "--target", str(site), str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def installed(*arguments: str) -> str:
        command = [sys.executable, "-m", "actiondet.cli", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    where = [sys.executable, "-c", "import actiondet.cli, actiondet.configs as c; print(c.__file__)"]
    found = subprocess.run(where, cwd=work, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(site))
    return installed


def test_the_wheel_describes_itself(run: Run) -> None:
    assert run("--version").startswith("actiondet ")
    assert "ava22/slowfast_r50_8x8_tmax_focal_k400" in run("zoo")
    run("copy-config", "ava22/slowfast_r50_8x8_tmax_focal_k400", "mine.yaml")


def test_the_wheel_makes_checks_trains_tests_scores_and_draws(run: Run) -> None:
    run("toy", "--out", "toy_data", "--size", "tiny", "--parts", "detection")
    run("check-dataset", "toy/slowonly_r18")
    run("copy-config", "toy/slowonly_r18", "toy.yaml")
    run("train-det", "toy.yaml", "train.epochs=1", "train.max_steps=2", "train.workers=0", "--out", "run")
    run("test-det", "toy.yaml", "--weights", "run/best.pt", "--out", "test")
    files = ["--truth", "toy_data/ava/ava_val.csv", "--labels", "toy_data/ava/action_list_eval.pbtxt"]
    assert "mAP" in run("eval-ava", *files, "--detections", "test/detections.csv")
    run(
        "demo",
        "toy_data/videos/toy_val_000.mp4",
        "--weights",
        "run/best.pt",
        "--out",
        "drawn.mp4",
        "--html",
        "page.html",
    )

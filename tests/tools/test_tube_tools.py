"""eval_multisports and link_tubes from the command line."""

from __future__ import annotations

import json
import pickle
import runpy
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.programs import run_program

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "multisports"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())["plain"]


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools" / f"{tool}.py", *arguments)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the draw "plain"."""
    folder = tmp_path_factory.mktemp("plain")
    arguments = json.loads((GOLDEN / "draws.json").read_text())["plain"].split()
    runpy.run_path(str(GOLDEN / "gen_multisports.py"))["main"]([str(folder), *arguments])
    return folder


def test_video_all_prints_and_writes_the_official_numbers(plain: Path, tmp_path: Path) -> None:
    files = ["--truth", plain / "GT.pkl", "--detections", plain / "video_detections.pkl"]
    outputs = ["--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv", "--plot", tmp_path / "r.png"]
    done = run("eval_multisports", "video-all", *files, *outputs, "--by-length")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("moments: those that the tubes were linked from; the authors' protocol is all frames")
    assert "video-mAP@0.5 by length" in done.stdout
    assert "0.05:0.45" in done.stdout
    result = json.loads((tmp_path / "r.json").read_text())
    assert 100 * result["mean_ap"] == pytest.approx(EXPECTED["video"]["0.5"]["mean"], abs=1e-9)
    assert list(result["per_class"].values()) == pytest.approx(EXPECTED["video"]["0.5"]["per_class"], abs=1e-12)
    assert [int(label) for label in result["per_class"]] == EXPECTED["labels"]
    for threshold, numbers in EXPECTED["video"].items():
        assert 100 * result["thresholds"][threshold]["mean_ap"] == pytest.approx(numbers["mean"], abs=1e-9)
    assert set(result["ranges"]) == {"0.05:0.45", "0.10:0.90", "0.50:0.95"}
    table = pd.read_csv(tmp_path / "r.csv")
    assert table["id"].tolist() == EXPECTED["labels"]
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_frame_and_its_errors(plain: Path, tmp_path: Path) -> None:
    files = ["--truth", plain / "GT.pkl", "--detections", plain / "frame_detections.pkl"]
    done = run("eval_multisports", "frame", *files, "--thresholds", "0.75", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["moments"] == "all frames, the authors' protocol"
    assert 100 * result["mean_ap"] == pytest.approx(EXPECTED["frame"]["0.75"]["mean"], abs=1e-9)
    outputs = ["--json", tmp_path / "e.json", "--csv", tmp_path / "e.csv", "--plot", tmp_path / "e.png"]
    done = run("eval_multisports", "frame-errors", *files, *outputs)
    assert done.returncode == 0, done.stderr
    assert "cls+loc" in done.stdout
    assert "missed" in json.loads((tmp_path / "e.json").read_text())["means"]


def test_linked_tubes_can_be_scored(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "tubes.pkl"
    files = ["--truth", plain / "GT.pkl", "--detections", plain / "frame_detections.pkl", "--out", out]
    done = run("link_tubes", *files, "--max-gap", "3", "--min-length", "4")
    assert done.returncode == 0, done.stderr
    assert "tubes from" in done.stdout
    tubes = pickle.loads(out.read_bytes())
    assert sorted(tubes) == list(range(66))
    assert min(len(tube) for some in tubes.values() for _, _, tube in some) == 4
    done = run("eval_multisports", "errors", "--truth", plain / "GT.pkl", "--detections", out)
    assert done.returncode == 0, done.stderr


def test_faults_end_in_one_line_and_exit_code_2(plain: Path, tmp_path: Path) -> None:
    truth, frames = plain / "GT.pkl", plain / "frame_detections.pkl"
    done = run("eval_multisports", "video", "--truth", truth, "--detections", frames)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "this looks like frame detections" in done.stderr
    done = run("eval_multisports", "video-all", "--truth", truth, "--detections", frames, "--thresholds", "0.3")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    out = tmp_path / "t.pkl"
    done = run("link_tubes", "--truth", truth, "--detections", frames, "--out", out, "--smooth", "4")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not out.exists()

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools/benchmark.py", "read", *arguments)


def test_every_way_reads_the_clips_of_a_folder(tmp_path: Path, stamped: ModuleType) -> None:
    stamped.write_stamped(tmp_path / "a.mp4", 40)
    done = run("--videos", str(tmp_path), "--clips", "2x4", "--rounds", "1", "--json", "-")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {"ours, pyav", "PySlowFast, PyAV", "OpenCV"} <= {row["way"] for row in rows}
    for row in rows:
        assert (row["clip"], row["coding"]) == ("2x4", "as they are")
        assert row["clips_per_second"] == pytest.approx(1000 / sum(row["milliseconds"].values()))
    assert max(row["ratio"] for row in rows if not row["way"].startswith("ours")) == pytest.approx(1)


def test_a_folder_without_videos_and_a_clip_of_no_form_are_refused(tmp_path: Path) -> None:
    done = run("--videos", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{tmp_path}: holds no video" in done.stderr
    assert "'4y16' is not FRAMESxSTRIDE" in run("--clips", "4y16").stderr

"""Every preparation answers --help at once, names the official sources, and refuses what cannot be meant."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = sorted(path.stem for path in (ROOT / "data_tools").glob("prepare_*.py"))


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(f"data_tools.{program}", *arguments, cwd=ROOT)


def test_there_are_six() -> None:
    assert [name.removeprefix("prepare_") for name in PROGRAMS] == [
        *("ava", "ava_kinetics", "jhmdb", "kinetics", "multisports", "ucf101")
    ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_quick_and_names_the_sources(program: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", f"data_tools.{program}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "Official sources (nothing is downloaded from there):" in done.stdout
    assert done.stdout.count("http") >= 2
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0


@pytest.mark.parametrize("program", PROGRAMS)
def test_faults_of_the_command_line_are_one_line_and_code_2(program: str, tmp_path: Path) -> None:
    assert run(program, "--annotations", str(tmp_path / "none.csv")).returncode == 2, "--videos lacks"
    done = run(program, "--videos", str(tmp_path), "--annotations", str(tmp_path / "none.csv"), "--processes", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--processes 0: expected 1 or more" in done.stderr


@pytest.mark.parametrize(
    "program", ["prepare_ava", "prepare_ava_kinetics", "prepare_kinetics", "prepare_jhmdb --recode"]
)
def test_videos_are_not_coded_into_the_folder_where_they_are(program: str, tmp_path: Path) -> None:
    more = program.split()[1:]
    there = ["--videos", str(tmp_path), "--annotations", "a.csv", "--out", f"{tmp_path}/../{tmp_path.name}", *more]
    done = run(program.split()[0], *there)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is the folder of --videos; outputs would be taken for sources, name another folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_keyframes_that_cannot_be_meant_are_refused(program: str, tmp_path: Path) -> None:
    arguments = ["--videos", str(tmp_path), "--annotations", "a.csv", "--out", str(tmp_path / "out")]
    done = run(program, *arguments, "--gop", "0", "--recode")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--gop 0: expected 1 or more frames" in done.stderr
    if program in ("prepare_jhmdb", "prepare_multisports", "prepare_ucf101"):
        done = run(program, *arguments, "--gop", "8")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "--gop 8: the videos are linked as they are; give --recode to re-encode them" in done.stderr
    if program == "prepare_ava":
        done = run(program, *arguments, "--frames", "--gop", "8")
        assert done.returncode == 2
        assert "--gop and --recode are for videos; --frames makes pictures" in done.stderr


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("label,youtube_id,time_start,time_end,split\na,b,1,2,train\n")
    arguments = ["--annotations", str(tmp_path / "table.csv"), "--out", str(tmp_path / "out")]
    for folder, words in ((tmp_path, "holds no videos"), (tmp_path / "no", "no such folder of videos")):
        done = run("prepare_kinetics", *arguments, "--videos", str(folder))
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    arguments[1] = str(tmp_path / "none.csv")
    done = run("prepare_kinetics", *arguments, "--videos", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n"), "none.csv: No such file" in done.stderr) == (2, 1, True)

"""What the command lines of all programs have in common."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from actiondet.cli.__main__ import PROGRAMS, main

from evaluation.arguments import Parser
from evaluation.formats.video_scores import VideoScores, write_video_scores
from evaluation.messages import LOG

NAMES = sorted({name for programs in PROGRAMS.values() for name in programs})


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a program in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["actiondet", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


class ReadError(Exception):
    """A command line was read; the program goes no further."""


@pytest.mark.parametrize("name", NAMES)
def test_the_help_ends_with_examples_that_are_read(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, name, "--help") == 0
    text = capsys.readouterr().out
    lines = text.rpartition("examples:\n")[2].splitlines()
    commands = [line.strip() for line in lines if line.strip()]
    assert commands

    def stop(*_: object) -> None:
        raise ReadError

    monkeypatch.setattr("evaluation.arguments._begin", stop)
    for command in commands:
        words = shlex.split(command)
        words = words[words.index("actiondet.cli" if "actiondet.cli" in words else "actiondet") + 1 :]
        assert words[0] == name
        monkeypatch.setattr(sys, "argv", ["actiondet", *words])
        with pytest.raises(ReadError):
            main()


@pytest.mark.parametrize("name", NAMES)
def test_every_program_takes_the_common_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["model"] if name == "benchmark" else []
    assert start(monkeypatch, name, *more, "--help") == 0
    text = capsys.readouterr().out
    assert "--quiet" in text
    assert "--log-level {debug,info,warning,error}" in text
    assert ("--json" in text) == ("--json FILE" in text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("demo street.mp4 --out drawn.mp4 --every nan", "argument --every: 'nan'; expected a finite number"),
        ("test-det toy/slowonly_r18 --out scores --min-score inf", "argument --min-score: 'inf'; expected a finite"),
        ("benchmark read --rounds 0", "argument --rounds: '0'; expected a whole number, 1 or more"),
        ("compare-results --seed -1 a.csv b.csv", "argument --seed: '-1'; expected a whole number, 0 or more"),
        ("demo street.mp4 --out drawn.mp4 --top two", "argument --top: invalid int value: 'two'"),
    ],
)
def test_numbers_that_are_none_are_refused(
    line: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, *line.split()) == 2
    assert said in capsys.readouterr().err


def test_help_loads_no_library_that_takes_long() -> None:
    code = f"""
import sys
from actiondet.cli.__main__ import main
for name in {NAMES}:
    sys.argv = ["actiondet", name, "--help"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code
slow = {{"torch", "numpy", "pandas", "scipy", "cv2", "av", "matplotlib", "rich", "pydantic"}} & set(sys.modules)
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """scores.pkl of two videos in the working folder."""
    monkeypatch.chdir(tmp_path)
    scores = VideoScores(("a", "b"), np.array([0, 1]), np.eye(2), ("walk", "run"), (10, 3), "softmax")
    write_video_scores("scores.pkl", scores)


def test_with_json_on_standard_output_nothing_else_is_there(
    dump: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, "eval-rec", "scores.pkl", "--json", "-") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["top_1"] == 1.0
    assert "top-1 1.0" in printed.err
    assert start(monkeypatch, "eval-rec", "scores.pkl", "--json", "a.json") == 0
    assert "top-1 1.0" in capsys.readouterr().out
    assert json.loads(Path("a.json").read_text()) == json.loads(printed.out)


@pytest.mark.parametrize(
    ("options", "shown"),
    [([], {"info", "warning"}), (["--quiet"], {"warning"}), (["--log-level", "error"], set())],
)
def test_options_choose_the_messages_of_one_run(
    options: list[str],
    shown: set[str],
    dump: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def read(path: str) -> None:
        LOG.info("info")
        LOG.warning("warning")
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluation.formats.video_scores.read_video_scores", read)
    assert start(monkeypatch, "eval-rec", "scores.pkl", *options) == 130
    printed = capsys.readouterr()
    assert printed.out == ("info\n" if "info" in shown else "")
    assert ("warning: warning" in printed.err) == ("warning" in shown)
    assert LOG.isEnabledFor(logging.INFO)


def test_long_descriptions_are_wrapped_and_lists_are_kept() -> None:
    parser = Parser(prog="p", description="word " * 60, epilog="kinds:\n  a    first\n  b    second", examples=["p x"])
    text = parser.format_help()
    assert "word " * 60 not in text
    assert text.endswith("kinds:\n  a    first\n  b    second\n\nexamples:\n  p x\n")


def completed(line: str, folder: Path) -> list[str]:
    """What argcomplete proposes for a command line."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(folder / "found"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    done = subprocess.run([sys.executable, "-m", "actiondet.cli"], env=environment, cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    return [word.strip() for word in (folder / "found").read_text().split("\n")]


def test_the_shell_completes_programs_options_and_zoo_names(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    assert set(completed("actiondet tr", tmp_path)) == {"train-det", "train-rec"}
    assert completed("actiondet train-det --res", tmp_path) == ["--resume"]
    assert "ava22/slowfast_r50_8x8_k400" in completed("actiondet train-det ava22/slowf", tmp_path)

"""tools/compare_runs.py from the outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import dump_config, load_config, load_recognition_config

Run = Callable[..., int]
HEAD = "epoch,lr,loss,mean_ap,skipped,seconds\n"


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two detectors' runs, one of a recognizer, and one that has no finished epoch."""
    monkeypatch.chdir(tmp_path)
    more = {"plain": [], "balanced": ["train.loss.class_weight=balanced", "train.optimizer={name: sgd}"], "new": []}
    for name, settings in more.items():
        Path(name).mkdir()
        Path(name, "config.yaml").write_text(dump_config(load_config("toy/slowonly_r18", settings)))
    Path("plain/log.csv").write_text(HEAD + "1,0.1,0.9,0.25,0,60\n2,0.1,0.7,0.5,0,60\n3,0.1,0.6,0.5,0,30\n")
    Path("balanced/log.csv").write_text(HEAD + "1,0.1,0.8,,0,90\n2,0.1,0.5,0.625,0,90\n")
    Path("rec").mkdir()
    Path("rec/config.yaml").write_text(dump_config(load_recognition_config("toy/recognition_slowonly")))
    Path("rec/log.csv").write_text("epoch,lr,loss,top_1,skipped,seconds\n1,0.1,0.9,0.25,0,60\n")
    return tmp_path


def test_the_table_has_what_differs_the_best_score_and_the_time(
    at_work: Path, run_tool: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["--json", "runs.json", "--curves", "curves.png"]
    assert run_tool("compare_runs.py", "plain", "balanced", *wanted) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "train.loss.class_weight" in lines[0]
    assert "mAP@0.5" in lines[0]
    assert "train.epochs" not in lines[0]  # the same in both
    assert lines[2].split()[-4:] == ["3", "0.5000", "2", "2.5"]
    assert lines[3].split()[-4:] == ["2", "0.6250", "2", "3.0"]
    first, second = json.loads(Path("runs.json").read_text())
    assert first["best"] == 0.5
    assert first["seconds"] == 150
    assert second["settings"]["train.loss.class_weight"] == "balanced"
    assert first["settings"]["train.loss.class_weight"] is None
    assert second["settings"]["train.optimizer.name"] == "sgd"
    assert first["settings"]["train.optimizer.momentum"] is None  # which AdamW has not
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    assert at_work


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["plain"], "one run has nothing to be compared with"),
        (["plain", "plain"], "plain: is given twice"),
        (["plain", "nowhere"], "nowhere: holds no config.yaml; expected the run folder of a training"),
        (["plain", "new"], "new/log.csv: holds no finished epoch"),
        (["plain", "rec"], "plain trains a detector and rec a recognizer"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    run_tool: Run, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    assert run_tool("compare_runs.py", *given) == 2
    assert said in capsys.readouterr().err

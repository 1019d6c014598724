"""tools/eval_persons.py from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "truth.csv").write_text(
        "v,0902,0.1,0.1,0.3,0.5,1,0\nv,0902,0.1,0.1,0.3,0.5,2,0\nv,0903,0.5,0.1,0.7,0.5,1,1\nw,0902,0.5,0.1,0.7,0.5,3,1\n"
    )
    (tmp_path / "boxes.csv").write_text("v,0902,0.1,0.1,0.3,0.5,,0.9\nv,0903,0.5,0.1,0.7,0.5,,0.6\n")
    (tmp_path / "excluded.csv").write_text("w,0902\n")
    return ["--truth", str(tmp_path / "truth.csv"), "--persons", str(tmp_path / "boxes.csv")]


def test_it_says_that_recall_bounds_the_action_map(
    files: list[str], run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool("eval_persons.py", *files) == 0
    said = capsys.readouterr().out
    assert "3 persons and 2 boxes at 3 timestamps" in said
    assert "recall at IoU 0.5 bounds the action mAP" in said
    assert "at most 0.6667" in said


def test_threshold_exclusions_and_json(files: list[str], tmp_path: Path, run_tool: Callable[..., int]) -> None:
    out = tmp_path / "out.json"
    more = ["--excluded", str(tmp_path / "excluded.csv"), "--json", str(out)]
    assert run_tool("eval_persons.py", *files, *more) == 0
    assert json.loads(out.read_text())["recall_at"] == pytest.approx([1, 1, 1])
    assert run_tool("eval_persons.py", *files, *more, "--threshold", "0.8") == 0
    result = json.loads(out.read_text())
    assert (result["detections"], result["truths"]) == (1, 2)
    assert result["recall_at"] == pytest.approx([0.5, 0.5, 0.5])
    assert result["largest_map"] == pytest.approx(0.75)


def test_a_missing_file_is_named(
    files: list[str], run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool("eval_persons.py", *files[:3], "none.pkl") == 2
    assert "none.pkl" in capsys.readouterr().err

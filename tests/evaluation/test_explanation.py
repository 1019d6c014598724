"""Why two toolkits print different numbers: each step does what it says, and the last reaches the toolkit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import evaluation
from evaluation.explanation import ExplainedStep, explain, explanation_text

FILE = Path(__file__).resolve().parents[1] / "golden" / "ava" / "disagreements.json"
CASES = json.loads(FILE.read_text())["cases"]


def steps_of(tmp_path: Path, name: str) -> tuple[ExplainedStep, ...]:
    case = CASES[name]
    for file in ("truth", "detections", "excluded"):
        (tmp_path / file).write_text("".join(f"{line}\n" for line in case[file]))
    ids = tuple(case["actions"])
    return explain(
        evaluation.read_ava_csv(tmp_path / "truth"),
        evaluation.read_ava_results(tmp_path / "detections"),
        actions=evaluation.ActionList(ids, tuple(map(str, ids)), (None,) * len(ids)),
        excluded=evaluation.read_excluded(tmp_path / "excluded"),
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("A", "rows claim truths in the order of the file"),
        ("B", "actions without detections are left out"),
        ("D", "detections at timestamps without truth are false"),
        ("D2", "detections at timestamps named only by unlisted actions"),
        ("E", "all rows of a timestamp count"),
        ("F", "boxes and scores in single precision"),
        ("I2", "detections without area are false"),
        ("C", "truth at excluded timestamps counts as missed"),
        ("H2", "equal scores in the order of the truth file's timestamps"),
    ],
)
def test_the_step_that_moves_the_number_is_the_one_that_differs(tmp_path: Path, name: str, what: str) -> None:
    moved = [step.what for step in steps_of(tmp_path, name) if step.change and "taken out first" not in step.what]
    assert any(step.startswith(what) for step in moved), moved


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("D3", "I", "L", "N")])
def test_the_chains_end_at_the_toolkits_numbers(tmp_path: Path, name: str) -> None:
    reached = {step.toolkit: step.mean_ap for step in steps_of(tmp_path, name) if step.toolkit}
    assert reached == pytest.approx(CASES[name]["expected"], abs=1e-12)


def test_exclusion_is_the_first_step_where_there_is_one(tmp_path: Path) -> None:
    first, second, *_ = steps_of(tmp_path, "C")
    assert (first.what, first.mean_ap) == ("the official tool on the files as they are", 0.5)
    assert (second.what, second.change) == ("1 excluded timestamps are taken out first", 0.5)


def test_a_toolkit_that_stops_has_no_number(tmp_path: Path) -> None:
    steps = steps_of(tmp_path, "I")
    assert [step.mean_ap for step in steps if step.toolkit == "mmaction2"] == [None]
    text = explanation_text(steps)
    assert "stops with an error" in text
    assert len({line.rstrip().find("mAP") for line in text.splitlines()[:1]}) == 1

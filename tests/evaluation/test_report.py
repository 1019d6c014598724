"""Results for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from evaluation.errors import InputError
from evaluation.explanation import ExplainedStep
from evaluation.frame_ap import FrameMapResult
from evaluation.protocols import OFFICIAL
from evaluation.tables import table_text

NAN = float("nan")


@pytest.fixture
def result() -> FrameMapResult:
    long = "a very long name that no terminal should ever cut, whatever its width may be " * 3
    return FrameMapResult(
        metric="frame-mAP",
        ids=(1, 12),
        names=("[bold]sit", long),
        types=("CALM", None),
        thresholds=(0.5,),
        ap=np.array([[0.5, NAN]]),
        truths=np.array([2, 0]),
        offsets=np.array([0, 2, 9]),
        scores=np.array([0.9, 0.2, *np.linspace(0.9, 0.1, 7)]),
        hits=np.array([[True] + [False] * 8]),
        videos=("v",),
        video=np.zeros(9, np.int32),
        truths_of_video=np.array([[2, 0]]),
        notes=("Something is odd.",),
        protocol=OFFICIAL,
        ties="stable",
    )


def test_a_printed_result_is_an_aligned_table(result: FrameMapResult) -> None:
    lines = str(result).splitlines()
    assert lines[:2] == ["protocol official, ties stable", ""]
    header, rule, first, second = lines[2:6]
    assert header.split() == ["id", "action", "type", "AP", "truths", "detections", "recall"]
    assert set(rule) == {"─"}
    assert len({len(header), len(first), len(second), len(rule)}) == 1
    assert first.split() == ["1", "[bold]sit", "CALM", "0.5000", "2", "2", "0.5000"]
    assert second.split()[-5:] == ["-", "-", "0", "7", "-"]
    assert result.names[1].strip() in second
    assert lines[-3:] == ["note: Something is odd.", "", "mAP@0.5 0.5000"]


def test_numbers_stand_right_and_words_left() -> None:
    text = table_text(["word", "n"], [("a", 5), ("long", 12345)], numeric={"n"})
    assert [line.rstrip() for line in text.splitlines() if "─" not in line] == [
        "word       n",
        "a          5",
        "long   12345",
    ]


def test_wide_letters_and_marks_keep_the_columns_aligned() -> None:
    lines = table_text(["name", "n"], [("走路", 1), ("pru\u0308fen", 2)], numeric={"n"}).splitlines()
    assert lines == ["name     n", "─" * 10, "走路     1", "pru\u0308fen   2"]
    assert table_text(["name"], []).splitlines() == ["name", "────"]


def test_the_json_file_is_strict_and_complete(tmp_path: Path, result: FrameMapResult) -> None:
    result.to_json(tmp_path / "new" / "result.json")
    content = json.loads((tmp_path / "new" / "result.json").read_text(), parse_constant=pytest.fail)
    assert content["mean_ap"] == 0.5
    assert content["per_class"] == {"1": 0.5, "12": None}
    assert (content["protocol"], content["ties"], content["metric"]) == ("official", "stable", "frame-mAP@0.5")
    first = {"id": 1, "name": "[bold]sit", "type": "CALM", "ap": 0.5, "truths": 2, "detections": 2, "recall": 0.5}
    assert content["actions"][0] == first
    assert content["groups"] == [{"type": "CALM", "mean_ap": 0.5, "actions": 1}]
    assert content["notes"] == ["Something is odd."]


def test_the_json_file_of_an_explanation_is_strict(tmp_path: Path, result: FrameMapResult) -> None:
    result.to_json(tmp_path / "result.json", explanation=[vars(ExplainedStep("begin", NAN, None, "MMAction2"))])
    content = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert content["explanation"] == [{"what": "begin", "mean_ap": None, "change": None, "toolkit": "MMAction2"}]


def test_the_csv_file_reads_back(tmp_path: Path, result: FrameMapResult) -> None:
    result.to_csv(tmp_path / "result.csv")
    again = pd.read_csv(tmp_path / "result.csv")
    assert list(again.columns) == list(result.per_class.columns)
    assert again["ap"].tolist() == pytest.approx([0.5, NAN], nan_ok=True)


def test_a_result_draws_itself_on_given_axes_or_on_a_figure_of_its_own(result: FrameMapResult) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert result.plot(axes=right) is right
    assert (len(left.patches), len(right.patches)) == (0, 2)  # the bar and its color's sample
    matplotlib.use("agg")
    own = result.plot()
    assert [each.get_xlabel() for each in own.figure.axes][1] == "recall"
    pyplot.close(own.figure)


def test_a_plot_is_drawn_and_an_unknown_suffix_refused(tmp_path: Path, result: FrameMapResult) -> None:
    result.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"plot\.xyz: Format 'xyz' is not supported"):
        result.plot(tmp_path / "plot.xyz")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]

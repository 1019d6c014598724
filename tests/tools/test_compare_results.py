"""tools/compare_results.py from the outside."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation import FrameDetections, read_frame_detections, read_multisports, write_frame_detections

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "multisports"
Run = Callable[..., int]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Truth of 30 videos; good detections, and some that find half."""
    rng = np.random.default_rng(0)
    box = "0.1,0.1,0.3,0.5"
    rows = [(f"v{video:02d}", time, 12 + 68 * (time % 2)) for video in range(30) for time in range(902, 906)]
    names = {name: str(tmp_path / name) for name in ("truth.csv", "good.csv", "bad.csv", "labels.pbtxt")}
    (tmp_path / "truth.csv").write_text("".join(f"{v},{time},{box},{label},0\n" for v, time, label in rows))
    (tmp_path / "good.csv").write_text("".join(f"{v},{t},{box},{label},{rng.random():.4f}\n" for v, t, label in rows))
    half = [row for row in rows if rng.random() < 0.5]
    (tmp_path / "bad.csv").write_text("".join(f"{v},{t},{box},{label},{rng.random():.4f}\n" for v, t, label in half))
    (tmp_path / "labels.pbtxt").write_text('item { name: "stand" id: 12 }\nitem { name: "watch" id: 80 }\n')
    return names


def test_a_better_result_is_called_better_and_everything_is_written(
    run_tool: Run, files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [files["bad.csv"], files["good.csv"], "--truth", files["truth.csv"], "--labels", files["labels.pbtxt"]]
    wanted = [*("--json", str(tmp_path / "c.json")), *("--csv", str(tmp_path / "c.csv"))]
    assert run_tool("compare_results.py", *given, *wanted, "--plot", str(tmp_path / "c.png"), "--rounds", "100") == 0
    said = capsys.readouterr().out
    assert "The second is better (frame-mAP@0.5 0." in said
    assert "100 draws of 30 videos" in said
    assert json.loads((tmp_path / "c.json").read_text())["differs"] is True
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 3
    assert (tmp_path / "c.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--labels": None}, "--labels is missing"),
        ({"--threshold": "1.5"}, "IoU thresholds must lie above 0 and up to 1"),
        ({"--level": "95"}, "level of an interval"),
        ({"--truth": "none.csv"}, "none.csv: No such file"),
    ],
)
def test_what_the_user_can_correct_ends_with_one_sentence(
    run_tool: Run, files: dict[str, str], capsys: pytest.CaptureFixture[str], change: dict[str, str], message: str
) -> None:
    options = {"--truth": files["truth.csv"], "--labels": files["labels.pbtxt"], **change}
    given = [text for name, value in options.items() if value for text in (name, value)]
    assert run_tool("compare_results.py", files["good.csv"], files["bad.csv"], *given) == 2
    assert message in capsys.readouterr().err


def test_boxes_and_tubes_of_multisports_are_told_apart_by_their_files(
    run_tool: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = json.loads((GOLDEN / "draws.json").read_text())["plain"].split()
    runpy.run_path(str(GOLDEN / "gen_multisports.py"))["main"]([str(tmp_path), *arguments])
    truth_path, boxes, tubes = (tmp_path / name for name in ("GT.pkl", "frame_detections.pkl", "video_detections.pkl"))
    truth = read_multisports(truth_path)
    half: FrameDetections = read_frame_detections(boxes, truth)
    write_frame_detections(tmp_path / "half.pkl", half.part(0, len(half) // 2))
    options = ["--truth", str(truth_path), "--rounds", "20"]
    assert run_tool("compare_results.py", str(boxes), str(tmp_path / "half.pkl"), *options) == 0
    assert "frame-mAP@0.5" in capsys.readouterr().out
    assert run_tool("compare_results.py", str(tubes), str(tubes), *options) == 0
    assert "The difference may be chance" in capsys.readouterr().out
    assert run_tool("compare_results.py", str(boxes), str(tubes), *options) == 2
    assert "holds boxes of frames" in capsys.readouterr().err

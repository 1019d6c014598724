"""The page of --html shows the result that is printed: nothing is scored twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation import frame_ap, tube_scoring
from tests.evaluation.example_files import write_example_files

AVA = ["eval_ava.py", "--truth", "truth.csv", "--labels", "actions.pbtxt", "--detections", "detections.csv"]
TUBES = ["eval_multisports.py", "video", "--truth", "GT.pkl", "--detections", "tubes.pkl"]
BOXES = ["eval_multisports.py", "frame", "--truth", "GT.pkl", "--detections", "boxes.pkl"]


@pytest.mark.parametrize(
    ("program", "module", "name"),
    [(AVA, frame_ap, "frame_map"), (TUBES, tube_scoring, "video_map"), (BOXES, tube_scoring, "tube_frame_map")],
    ids=["ava", "tubes", "boxes"],
)
def test_each_file_is_scored_once(
    program: list[str],
    module: object,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_tool: Callable[..., int],
) -> None:
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    scored = []
    score = getattr(module, name)

    def counted(*given: object, **named: object) -> object:
        scored.append(given)
        return score(*given, **named)

    monkeypatch.setattr(module, name, counted)
    assert run_tool(*program, "--html", "page.html") == 0
    assert len(scored) == 1
    assert run_tool(*program, "--html", "page.html", "--against", program[-1]) == 0
    assert len(scored) == 3
    assert "Is the difference real?" in (tmp_path / "page.html").read_text(encoding="utf-8")

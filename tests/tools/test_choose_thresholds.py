"""tools/choose_thresholds.py: the best F1 of each action, as the demo's events read it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from actiondet.tubes.events import read_thresholds
from tests.programs import run_program

TOOL = Path(__file__).resolve().parents[2] / "tools" / "choose_thresholds.py"
BOX, OTHER = "0.1,0.1,0.3,0.5", "0.6,0.1,0.9,0.5"
LABELS = 'item { name: "sit" id: 1 }\nitem { name: "fall" id: 2 }\nitem { name: "fly" id: 3 }\n'


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = ["d.csv", "--truth", "t.csv", "--labels", "l.pbtxt", *words]
    return run_program(TOOL, *given, cwd=folder)


def test_the_best_f1_of_each_action_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "l.pbtxt").write_text(LABELS)
    (tmp_path / "t.csv").write_text("".join(f"v,{second},{BOX},{1 + second % 2},0\n" for second in range(8)))
    # "sit" is right down to 0.4, "fall" down to 0.8; lower scores are on other people
    sit = [(0, 0.9, BOX), (2, 0.6, BOX), (4, 0.5, BOX), (6, 0.4, BOX), (1, 0.3, OTHER)]
    fall = [(1, 0.9, BOX), (3, 0.8, BOX), (0, 0.7, OTHER), (2, 0.6, OTHER), (4, 0.5, OTHER)]
    rows = [(1, *row) for row in sit] + [(2, *row) for row in fall]
    (tmp_path / "d.csv").write_text(
        "".join(f"v,{second},{box},{label},{score}\n" for label, second, score, box in rows)
    )
    done = run(tmp_path)
    assert done.returncode == 0
    assert read_thresholds(tmp_path / "thresholds.json") == {"sit": 0.4, "fall": 0.8}
    assert "without a hit, and without a threshold: fly" in done.stderr
    assert "wrote thresholds.json: 2 actions" in done.stdout
    assert json.loads(run(tmp_path, "--out", "-").stdout) == {"sit": 0.4, "fall": 0.8}


def test_detections_without_a_hit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.pbtxt").write_text(LABELS)
    (tmp_path / "t.csv").write_text(f"v,1,{BOX},1,0\n")
    (tmp_path / "d.csv").write_text(f"v,1,{OTHER},1,0.5\n")
    done = run(tmp_path)
    assert done.returncode == 2
    assert "no detection of any action is a hit" in done.stderr
    assert not (tmp_path / "thresholds.json").exists()

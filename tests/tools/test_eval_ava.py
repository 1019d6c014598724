"""tools/eval_ava.py from the outside."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.programs import run_program

TOOL = Path(__file__).resolve().parents[2] / "tools" / "eval_ava.py"
TRUTH = "v,0902,0.1,0.1,0.3,0.5,12,0\nv,0902,0.5,0.1,0.7,0.5,80,1\nw,0903,0.1,0.1,0.3,0.5,12,0\n"
DETECTIONS = "v,902,0.1,0.1,0.3,0.5,12,0.9\nv,902,0.5,0.1,0.7,0.5,80,0.8\nx,902,0.5,0.1,0.7,0.5,80,0.8\n"
LABELS = 'item {\n  name: "stand"\n  id: 12\n}\nitem {\n  name: "watch (a person)"\n  id: 80\n}\n'


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "detections.csv").write_text(DETECTIONS)
    (tmp_path / "labels.pbtxt").write_text(LABELS)
    return [
        *("--truth", str(tmp_path / "truth.csv"), "--detections", str(tmp_path / "detections.csv")),
        *("--labels", str(tmp_path / "labels.pbtxt")),
    ]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(TOOL, *arguments)


def test_it_prints_the_number_and_writes_everything_it_is_asked_for(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "excluded.csv").write_text("w,0903\n")
    out = tmp_path / "out"
    wanted = [*("--json", str(out / "r.json")), *("--csv", str(out / "r.csv")), *("--plot", str(out / "r.png"))]
    done = run(*files, "--excluded", str(tmp_path / "excluded.csv"), "--explain", *wanted)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nprotocol official, ties stable\n" in done.stdout
    assert done.stdout.endswith("\nmAP@0.5 1.0000\n")
    assert "watch (a person)" in done.stdout
    assert "PERSON_INTERACTION" in done.stdout
    assert "1 of their videos are altogether unknown" in done.stdout
    assert "= mmaction2" in done.stdout
    result = json.loads((out / "r.json").read_text())
    assert result["mean_ap"] == 1.0
    assert result["per_class"] == {"12": 1.0, "80": 1.0}
    assert result["explanation"][0]["mean_ap"] == 0.75
    assert sorted(path.name for path in out.iterdir()) == ["r.csv", "r.json", "r.png"]


def test_a_protocol_is_chosen_by_name(files: list[str]) -> None:
    done = run(*files, "--protocol", "pyslowfast", "--ties", "official")
    assert done.stdout.startswith("protocol pyslowfast, ties official\n")
    assert done.stdout.endswith("\nmAP@0.5 0.5000\n")  # x's row is false, and first


def test_empty_detections_score_nothing_and_say_so(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "detections.csv").write_text("")
    done = run(*files)
    assert done.returncode == 0
    assert done.stdout.endswith("\nmAP@0.5 0.0000\n")
    assert "note: The detections are empty: every action scores 0." in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("truth.csv", "", "truth.csv: the truth file is empty"),
        ("truth.csv", TRUTH + "v,0902,32,24,96,120,12,0\n", "truth.csv, line 4: x1 = 32 in column 3 looks like pixels"),
        ("detections.csv", DETECTIONS.replace(",", ";"), "detections.csv, line 1: 1 columns; expected"),
        ("detections.csv", pickle.dumps(print), "detections.csv: not a text file"),
        ("labels.pbtxt", "", "labels.pbtxt: no actions found"),
        ("truth.csv", None, "truth.csv: Is a directory"),
    ],
)
def test_bad_files_end_with_one_sentence_and_code_2(
    tmp_path: Path, files: list[str], name: str, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run(*files)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("eval_ava.py: ")
    assert message in done.stderr


def test_films_called_by_numbers_are_excluded_and_scored_by_name(tmp_path: Path, files: list[str]) -> None:
    truth = "".join(f"{name},0902,0.1,0.1,0.3,0.5,12,0\n" for name in ("0001", "1", "0002"))
    found = "".join(f"{name},902,0.1,0.1,0.3,0.5,12,0.9\n" for name in ("0001", "1", "other"))
    (tmp_path / "truth.csv").write_text(truth)
    (tmp_path / "detections.csv").write_text(found)
    (tmp_path / "excluded.csv").write_text("0002,0902\nother,0001\n")
    done = run(*files, "--excluded", str(tmp_path / "excluded.csv"), "--json", str(tmp_path / "r.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["mean_ap"] == 1.0


def test_thresholds_errors_and_strata_are_shown_and_written(tmp_path: Path, files: list[str]) -> None:
    asked = [
        "--thresholds",
        "0.50:0.95",
        "0.3",
        "--errors",
        "--by",
        "size",
        "--calibration",
        "--confusion",
        "--json",
        str(tmp_path / "r.json"),
    ]
    done = run(*files, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mAP@0.50:0.95 0.7500" in done.stdout
    assert "mAP@0.5 by size" in done.stdout
    assert "what fixing would give" in done.stdout
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["ranges"] == {"0.50:0.95": 0.75}
    assert content["thresholds"]["0.3"]["mean_ap"] == 0.75
    counts = {row["kind"]: row["count"] for row in content["errors"]["fixes"] if row["count"]}
    assert counts == {"missed_person": 1}
    assert len(content["strata"]["strata"]) == 4
    assert content["calibration"]["ece"] == pytest.approx(0.15)
    assert content["confusion"]["persons"] == 2


@pytest.mark.parametrize("threshold", ["1.5", "0.5:0.7", "half"])
def test_a_threshold_that_is_none_is_refused(files: list[str], threshold: str) -> None:
    done = run(*files, "--thresholds", threshold)
    assert done.returncode == 2
    assert "threshold" in done.stderr


def test_a_page_has_pictures_of_the_videos_and_the_other_run(tmp_path: Path, files: list[str]) -> None:
    from actiondet.video import VideoWriter

    with VideoWriter(tmp_path / "v.mp4", 10, 160, 120) as writer:
        for number in range(30):
            writer.write(np.full((120, 160, 3), 8 * number, np.uint8))
    (tmp_path / "other.csv").write_text("v,902,0.1,0.1,0.3,0.5,80,0.9\n")
    page = ["--html", str(tmp_path / "page.html"), "--against", str(tmp_path / "other.csv")]
    done = run(*files, *page, "--videos", str(tmp_path), "--video-start", "900")
    assert (done.returncode, done.stderr) == (0, "")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Is the difference real?" in html
    assert "data:image/jpeg" in html
    done = run(*files, *page, "--videos", str(tmp_path), "--video-start", "0")
    assert "is --video-start right?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--videos", "films"), "--videos is for the page; add --html FILE"),
        (("--against", "b.csv"), "--against is for the page; add --html FILE"),
        (("--html", "truth.csv/page.html"), "not a writable folder"),
    ],
)
def test_options_of_a_page_that_cannot_be_meant_are_refused(
    arguments: tuple[str, str], message: str, files: list[str], tmp_path: Path
) -> None:
    if arguments[0] == "--html":
        arguments = ("--html", str(tmp_path / arguments[1]))
    done = run(*files, *arguments)
    assert done.returncode == 2
    assert message in done.stderr

"""tools/detect_persons.py from the command line: in one process and in two, stopped by force, and its messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from evaluation.formats.person_boxes import read_proposals
from tests.programs import die_at_first_part, run_copies

ROOT = Path(__file__).parents[2]
# A detector of the user's own, slow enough to be stopped: the person's right edge is the mean of the frame.
OWN = """
import time
from typing import Literal

import numpy as np

from actiondet.config import PersonsConfig
from actiondet.persons.build import build_persons
from evaluation.records import PersonBoxes


class OwnPersons(PersonsConfig):
    name: Literal["own"] = "own"


class OwnDetector:
    def detect(self, frames, keys):
        return [
            PersonBoxes(key, np.array([[0, 0, frame.mean() / 255, 1]], np.float32), np.ones(1, np.float32))
            for frame, key in zip(frames, keys)
        ]


@build_persons.register
def _(config: OwnPersons, device="cpu"):
    return OwnDetector()
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, stamped: ModuleType) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "own_persons.py").write_text(OWN)
    for number in range(5):
        stamped.write_stamped(folder / f"v{number}.mp4", 30 + 10 * number)
    return folder


def program(films: Path, out: Path, *more: str, processes: int = 1) -> tuple[list[str], dict[str, str]]:
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    arguments = ["--persons", "own", "--import", "own_persons", "--moments", "0.5s", "--out", str(out), *more]
    path = f"{films}{os.pathsep}{ROOT}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    return [*start, str(ROOT / "tools/detect_persons.py"), str(films), *arguments], environment


def test_a_killed_run_goes_on_and_two_processes_end_with_the_file_of_one(
    run_tool: Callable[..., int],
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(films))
    command, _ = program(films, tmp_path / "whole.pkl")
    assert run_tool("detect_persons.py", *command[2:]) == 0
    assert len(read_proposals(tmp_path / "whole.pkl")) == 3 + 4 + 4 + 5 + 6

    settings = ("--batch", "1")
    command, _ = program(films, tmp_path / "boxes.pkl", *settings)
    assert run_copies(*command[1:], before=die_at_first_part).returncode == -signal.SIGKILL
    (parts,) = tmp_path.glob("boxes.pkl.*.parts")
    assert len(list(parts.glob("v*.npz"))) == 1
    assert not (tmp_path / "boxes.pkl").exists()

    command, environment = program(films, tmp_path / "boxes.pkl", *settings, processes=2)
    again = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("found 22 persons at 22 key frames of 5 videos") == 1
    assert again.stdout.count("wrote ") == 1
    assert (tmp_path / "boxes.pkl").read_bytes() == (tmp_path / "whole.pkl").read_bytes()
    assert not parts.exists()


def test_an_unreadable_video_is_named_and_the_exit_code_is_1(
    films: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "good.mp4").write_bytes((films / "v0.mp4").read_bytes())
    (videos / "broken.mp4").write_text("no video")
    arguments = [str(videos), "--persons", "ssd", "--moments", "1s", "--out", str(tmp_path / "boxes.pkl")]
    assert run_tool("detect_persons.py", *arguments) == 1
    error = capsys.readouterr().err
    assert "left out:" in error
    assert "broken.mp4" in error
    assert "1 of 2 videos could not be searched; correct them and repeat the command" in error
    assert [key.video for key in read_proposals(tmp_path / "boxes.pkl")] == ["good", "good"]


def test_listed_videos_that_are_missing_are_named_too(
    films: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "truth.csv").write_text("v0,0901,0,0,1,1,1,1\ngone,0901,0,0,1,1,1,1\n")
    more = ["--persons", "ssd", "--moments", str(tmp_path / "truth.csv"), "--start", "900"]
    assert run_tool("detect_persons.py", str(films), *more, "--out", str(tmp_path / "all.pkl")) == 1
    assert "lists 1 videos that are not there: gone" in capsys.readouterr().err
    assert run_tool("detect_persons.py", str(films / "v0.mp4"), *more, "--out", str(tmp_path / "one.pkl")) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--persons", "ssd", "treshold=0.3"], "persons.treshold"),
        (["--persons", "sdd"], "no 'sdd' is known here"),
        (["--persons", "ssd", "0.3"], "'0.3': expected key=value"),
        (["--persons", "stored"], "persons.boxes"),
        (["--persons", "ssd", "--form", "pyslowfast"], ".csv is for pyslowfast"),
        (["--persons", "ssd", "--import", "no_such_module"], "--import no_such_module"),
        (["--persons", "torchvision", "--weights", "none.pth"], "'none.pth' is neither a file"),
    ],
)
def test_faults_are_one_sentence(
    films: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert (
        run_tool("detect_persons.py", str(films), *arguments, "--moments", "1s", "--out", str(tmp_path / "b.pkl")) == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_without_detectron2_its_installation_page_is_named(
    run_tool: Callable[..., int],
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "detectron2", None)
    arguments = [str(films), "--persons", "detectron2", "--moments", "1s", "--out", str(tmp_path / "boxes.pkl")]
    assert run_tool("detect_persons.py", *arguments) == 2
    error = capsys.readouterr().err
    assert "detectron2 is not installed; see https://detectron2.readthedocs.io/" in error
    assert "ssd, torchvision, stored" in error
    assert error.count("\n") == 1
    arguments[2] = "ssd"  # nothing of the first attempt is in the way
    assert run_tool("detect_persons.py", *arguments) == 0


def test_an_older_result_is_replaced_on_demand_only(
    films: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "boxes.pkl"
    out.write_text("precious")
    arguments = [str(films / "v0.mp4"), "--persons", "ssd", "--moments", "1s", "--out", str(out)]
    assert run_tool("detect_persons.py", *arguments) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert run_tool("detect_persons.py", *arguments, "--overwrite") == 0
    assert len(read_proposals(out)) == 2


def test_a_finished_search_that_is_repeated_does_nothing(
    films: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes((films / "v0.mp4").read_bytes())
    out = tmp_path / "boxes.pkl"
    arguments = [str(videos), "--persons", "ssd", "--moments", "1s", "--out", str(out)]
    assert run_tool("detect_persons.py", *arguments) == 0
    said, before = capsys.readouterr().out.splitlines()[-1], out.stat().st_mtime_ns
    assert run_tool("detect_persons.py", *arguments) == 0
    repeated = capsys.readouterr().out.splitlines()
    assert repeated == [f"{out} is finished already; --overwrite makes it again", said]
    assert out.stat().st_mtime_ns == before

    assert run_tool("detect_persons.py", *arguments, "threshold=0.9") == 2
    assert "with other settings (persons); --overwrite replaces it" in capsys.readouterr().err
    (videos / "b.mp4").write_bytes((films / "v1.mp4").read_bytes())
    assert run_tool("detect_persons.py", *arguments) == 2
    assert "of other videos (b); --overwrite replaces it" in capsys.readouterr().err
    assert run_tool("detect_persons.py", *arguments, "--overwrite") == 0
    assert run_tool("detect_persons.py", *arguments) == 0
    out.write_bytes(out.read_bytes() + b"more")
    capsys.readouterr()
    assert run_tool("detect_persons.py", *arguments) == 2
    assert "was changed since it was made; --overwrite replaces it" in capsys.readouterr().err

"""The two programs from end to end, and one clear sentence for everything a user can get wrong."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from actiondet.engine.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs/toy/slowonly_r18.yaml")
SMALL = [
    "model.backbone.width=4",
    "clip.frames=4",
    "transform.train_short_side=[64,72]",
    "transform.train_crop=[64,64]",
    "transform.test_short_side=64",
    "train.epochs=1",
    "train.batch=4",
    "train.workers=0",
]


@pytest.fixture
def data(toy: Path, tmp_path: Path) -> Path:
    """A copy of the tiny set that a test may damage."""
    folder = tmp_path / "data"
    shutil.copytree(toy / "ava", folder / "ava")
    shutil.copytree(toy / "videos", folder / "videos")
    return folder


def settings(data: Path) -> list[str]:
    ava = data / "ava"
    return [
        *SMALL,
        f"data.videos={data / 'videos'}",
        f"data.actions={ava / 'action_list.pbtxt'}",
        f"data.evaluated_actions={ava / 'action_list_eval.pbtxt'}",
        f"data.train.truth={ava / 'ava_train.csv'}",
        f"data.train.proposals={ava / 'dense_proposals_train.pkl'}",
        f"data.val.truth={ava / 'ava_val.csv'}",
        f"data.val.proposals={ava / 'dense_proposals_val.pkl'}",
    ]


def test_train_then_test(
    data: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out, tested = tmp_path / "run", tmp_path / "tested"
    assert run_tool("train_det.py", CONFIG, *settings(data), "--out", str(out)) == 0
    trained = capsys.readouterr().out.splitlines()[-1]
    weights = ["--weights", str(out / "best.pt"), "--out", str(tested), "--dump"]
    assert run_tool("test_det.py", CONFIG, *settings(data), *weights) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("mAP@0.5 0.")
    # Testing the best checkpoint gives the number that validation gave.
    assert said == trained
    results = json.loads((tested / "results.json").read_text())
    assert results["moments"] == "annotated"
    assert set(results["per_class"]) == {"1", "3", "4", "6", "7", "9", "11", "12", "14"}
    persons = pickle.loads((data / "ava/dense_proposals_val.pkl").read_bytes())
    with np.load(tested / "dense_scores.npz") as dense:
        assert dense["action_scores"].shape[1] == 14
        assert 0 < len(dense["action_scores"]) <= sum(map(len, persons.values()))

    # The program that only scores agrees with the one that tests.
    scored = ["--truth", str(data / "ava/ava_val.csv"), "--detections", str(tested / "detections.csv")]
    labels = ["--labels", str(data / "ava/action_list_eval.pbtxt"), "--json", str(tmp_path / "scores.json")]
    assert run_tool("eval_ava.py", *scored, *labels) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["mean_ap"] == pytest.approx(results["mean_ap"], abs=1e-9)


def damage_csv(data: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = data / "ava/ava_train.csv"
    lines = path.read_text().splitlines()
    lines[2] = ",".join(change(lines[2].split(",")))
    path.write_text("\n".join(lines) + "\n")


def a_letter_for_a_number(data: Path) -> None:
    damage_csv(data, lambda row: [*row[:3], "x" + row[3], *row[4:]])


def a_box_outside(data: Path) -> None:
    damage_csv(data, lambda row: [*row[:4], "1.500", *row[5:]])


def an_unknown_action(data: Path) -> None:
    damage_csv(data, lambda row: [*row[:6], "99", *row[7:]])


def no_video(data: Path) -> None:
    (data / "videos/toy_train_001.mp4").unlink()


def a_truncated_video(data: Path) -> None:
    for path in (data / "videos").glob("toy_train_*.mp4"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_proposals_in_the_file(data: Path) -> None:
    (data / "ava/dense_proposals_train.pkl").write_bytes(pickle.dumps({}))


def an_empty_proposals_file(data: Path) -> None:
    (data / "ava/dense_proposals_train.pkl").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (a_letter_for_a_number, ["ava_train.csv, line 3", "not a number"]),
        (a_box_outside, ["ava_train.csv, line 3", "unit boxes"]),
        (an_unknown_action, ["ava_train.csv", "99", "action_list.pbtxt"]),
        (no_video, ["toy_train_001"]),
        (a_truncated_video, ["toy_train_00", ".mp4"]),
        (no_proposals_in_the_file, ["dense_proposals_train.pkl"]),
        (an_empty_proposals_file, ["dense_proposals_train.pkl"]),
    ],
)
def test_damaged_data_is_one_clear_message(
    damage: Callable[[Path], None],
    words: list[str],
    data: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(data)
    assert run_tool("train_det.py", CONFIG, *settings(data), "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert [word for word in words if word not in error] == [], error


def test_every_typo_of_a_config_is_reported_at_once(
    tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    typos = ["train.epoch=3", "model.backbone.dept=18", "clip.frames=many"]
    assert run_tool("train_det.py", CONFIG, *typos, "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert "train.epoch" in error
    assert "did you mean 'epochs'?" in error
    assert "did you mean 'depth'?" in error
    assert "clip.frames" in error
    assert not (tmp_path / "run").exists()


def test_an_unreadable_video_can_be_skipped_and_is_counted(
    data: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = data / "videos/toy_train_001.mp4"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    arguments = [CONFIG, *settings(data), "data.unreadable=skip", "--out", str(tmp_path / "run")]
    assert run_tool("train_det.py", *arguments) == 2
    error = capsys.readouterr().err
    assert "training clips of epoch 1 could not be read" in error
    assert f"{broken.name}: " in error
    assert "more than data.max_unreadable=0.1 of the epoch" in error
    assert not (tmp_path / "run/best.pt").exists()
    arguments += ["data.max_unreadable=0.9", "--overwrite"]
    assert run_tool("train_det.py", *arguments) == 0
    said = capsys.readouterr().out
    assert "skipped clips" in said
    assert re.search(r"left out: \d+ of \d+ training clips of epoch 1, whose video could not be read", said)


def test_broken_validation_videos_end_training_after_its_work_is_saved_or_are_counted(
    data: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (broken,) = (data / "videos").glob("toy_val_*.mp4")
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    arguments = [CONFIG, *settings(data), "--out", str(tmp_path / "run")]
    assert run_tool("train_det.py", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert broken.name in error
    assert error.endswith("data.unreadable=skip leaves such clips out")
    assert (tmp_path / "run/last.pt").is_file()
    assert run_tool("train_det.py", *arguments, "--resume", "data.unreadable=skip") == 0
    assert "resuming at epoch 1, its validation" in (said := capsys.readouterr().out)
    assert "validation: clips that cannot be read: " in said
    assert f"such as of '{broken.stem}'; nobody is found there" in said

    truth, found = data / "ava/ava_val.csv", data / "ava/dense_proposals_val.pkl"
    persons = pickle.loads(found.read_bytes())
    persons |= {key.replace(broken.stem, "nowhere"): boxes for key, boxes in persons.items()}
    found.write_bytes(pickle.dumps(persons))
    truth.write_text(truth.read_text() + truth.read_text().splitlines()[0].replace(broken.stem, "nowhere") + "\n")
    tested = tmp_path / "tested"
    weights = ["--weights", str(tmp_path / "run/best.pt"), "--out", str(tested), "data.unreadable=skip"]
    assert run_tool("test_det.py", CONFIG, *settings(data), *weights) == 0
    said = capsys.readouterr().out
    notes = json.loads((tested / "results.json").read_text())["notes"]
    assert "missing videos: 1, such as 'nowhere'; their truth counts as missed" in notes
    assert any(note.startswith("clips that cannot be read: ") and broken.stem in note for note in notes)
    assert all(f"note: {note}" in said for note in notes)


def test_a_folder_that_cannot_be_written_is_refused_before_the_test(
    data: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [CONFIG, *settings(data), "--out", str(tmp_path / "run")]
    assert run_tool("train_det.py", *arguments) == 0
    (tmp_path / "tested").write_text("a file")
    capsys.readouterr()
    weights = ["--weights", str(tmp_path / "run/best.pt"), "--out", str(tmp_path / "tested")]
    assert run_tool("test_det.py", CONFIG, *settings(data), *weights) == 2
    said = capsys.readouterr()
    assert "tested is not a writable folder" in said.err
    assert "testing" not in said.out + said.err
    assert (tmp_path / "tested").read_text() == "a file"


READ_ONLY = """
from actiondet.engine import train

take_step = train.take_step

def step(run, group):
    if run.progress.step == 1:
        for path in (run.folder, *run.folder.rglob("*")):
            path.chmod(0o500)
    return take_step(run, group)

train.take_step = step
"""


def without_roots_rights() -> None:
    """Let a process of root obey the permissions of files, as all others do."""
    if os.geteuid() == 0:
        drop_from_bounding_set, override, read_search = 24, 1, 2  # linux/prctl.h, linux/capability.h
        for capability in (override, read_search):
            ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="drops root's rights as Linux has them")
def test_a_folder_that_becomes_read_only_ends_training_in_one_sentence_each_time(data: Path, tmp_path: Path) -> None:
    (tmp_path / "read_only.py").write_text(READ_ONLY)
    out = tmp_path / "run"
    program = [sys.executable, str(ROOT / "tools/train_det.py"), CONFIG, *settings(data), "--out", str(out)]
    program += ["train.batch=1", "train.save_minutes=1e-6", "--resume"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)}
    ends = []
    for more in (["--import", "read_only"], []):
        done = subprocess.run(
            [*program, *more], capture_output=True, text=True, env=environment, preexec_fn=without_roots_rights
        )
        assert done.returncode == 2
        ends.append(done.stderr)
    out.chmod(0o700)
    (events,) = (out / "tensorboard").iterdir()
    assert ends[0] == f"train_det.py: {events}: Permission denied\n"
    expected = "cannot be written to (Permission denied); make it writable, or choose another --out"
    assert ends[1] == f"train_det.py: {out}: {expected}\n"
    assert load_checkpoint(out / "last.pt").training is not None, "what was saved before is whole"


def test_weights_of_another_network_are_refused(
    data: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_tool("train_det.py", CONFIG, *settings(data), "--out", str(out)) == 0
    capsys.readouterr()
    other = ["model.backbone.width=8", "--weights", str(out / "best.pt"), "--out", str(tmp_path / "tested")]
    assert run_tool("test_det.py", CONFIG, *settings(data), *other) == 2
    error = capsys.readouterr().err
    assert "width" in error
    assert not (tmp_path / "tested").exists()

"""From a trained network to scored tubes on a set in MultiSports' form, with the programs alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actiondet.config import load_config
from actiondet.engine.action_names import named_actions
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.models.build import build_detector
from evaluation.formats.multisports import read_multisports, read_video_detections, write_multisports
from tests.programs import die_at_first_part, run_copies

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs/toy/multisports_slowfast_r18.yaml")
SMALL = [
    "model.backbone.width=4",
    "model.backbone.beta_inv=1",
    "transform.train_short_side=[64,72]",
    "transform.train_crop=[64,64]",
    "transform.test_short_side=64",
    "data.train_every=120",
    "data.val_every=20",
    "train.epochs=1",
    "train.workers=0",
]


@pytest.fixture
def settings(toy: Path) -> list[str]:
    """The toy configuration on the tiny set."""
    folder = toy / "multisports"
    files = [f"data.{part}.truth={folder / 'multisports_GT.pkl'}" for part in ("train", "val")]
    files += [f"data.{part}.proposals={folder / f'person_boxes/{part}.pkl'}" for part in ("train", "val")]
    return [CONFIG, *SMALL, f"data.videos={folder / 'trimmed_videos'}", *files]


@pytest.fixture
def weights(settings: list[str], tmp_path: Path) -> Path:
    """An untrained network."""
    config = load_config(settings[0], settings[1:])
    network = build_detector(config.model)
    save_checkpoint(Checkpoint(config, network.state_dict(), named_actions(config)), tmp_path / "untrained.pt")
    return tmp_path / "untrained.pt"


def test_train_test_link_and_score(
    settings: list[str],
    toy: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    truth, run = str(toy / "multisports/multisports_GT.pkl"), tmp_path / "run"
    settings = [*settings, "model.head.roi=track"]
    assert run_tool("train_det.py", *settings, "--out", str(run)) == 0
    assert "mAP@0.5 0." in capsys.readouterr().out
    how = ["--weights", str(run / "best.pt"), "--out", str(run / "test"), "--stride", "4", "--smooth", "9"]
    assert run_tool("test_det.py", *settings, *how) == 0
    assert "moments: all" in capsys.readouterr().out
    boxes, tubes = str(run / "test/frame_detections.pkl"), str(run / "tubes.pkl")
    assert run_tool("eval_multisports.py", "frame", "--truth", truth, "--detections", boxes) == 0
    told = capsys.readouterr().out
    assert told.startswith("moments: all frames, the authors' protocol")
    mean_ap = json.loads((run / "test/results.json").read_text())["mean_ap"]
    assert f"{mean_ap:.4f}" in told
    assert run_tool("link_tubes.py", "--detections", boxes, "--truth", truth, "--out", tubes) == 0
    assert run_tool("eval_multisports.py", "video", "--truth", truth, "--detections", tubes) == 0
    annotated = ["--moments", "annotated"]
    assert run_tool("eval_multisports.py", "frame", "--truth", truth, "--detections", boxes, *annotated) == 0
    assert "MMAction2's protocol" in capsys.readouterr().out
    assert run_tool("eval_multisports.py", "video", "--truth", truth, "--detections", tubes, *annotated) == 2
    assert "link_tubes.py --moments" in capsys.readouterr().err
    known = set(read_multisports(truth).test_videos)
    assert set(read_video_detections(tubes).videos) <= known


def test_what_belongs_to_the_other_kind_of_set_is_refused(
    settings: list[str],
    weights: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    how = ["--weights", str(weights), "--out", str(tmp_path / "out")]
    assert run_tool("test_det.py", *settings, *how, "--dump") == 2
    assert "--dump is for AVA-format sets; on MultiSports --min-score 0 writes every score" in capsys.readouterr().err
    ava = str(ROOT / "configs/toy/slowonly_r18.yaml")
    for option in ("--stride", "--min-score"):
        assert run_tool("test_det.py", ava, *how, option, "2") == 2
        told = capsys.readouterr().err
        assert "--stride, --smooth, --min-score, --labels-per-box are for MultiSports; data.name is 'ava'" in told
    assert run_tool("test_det.py", *settings, *how, "--min-score", "5") == 2
    assert "--min-score 5: expected a score, 0 to 1" in capsys.readouterr().err
    assert run_tool("test_det.py", *settings, *how, "--stride", "0") == 2
    assert "--stride 0: expected 1 (every frame) or more" in capsys.readouterr().err
    assert run_tool("test_det.py", *settings, *how, "--smooth", "4") == 2
    assert "--smooth 4: expected an odd number of frames" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_test_resumes_and_two_processes_write_the_same_file(
    settings: list[str], toy: Path, weights: Path, tmp_path: Path
) -> None:
    # The two training videos are tested: there is only one for validation.
    truth = toy / "multisports/multisports_GT.pkl"
    official = read_multisports(truth)
    swapped = tmp_path / "GT.pkl"
    write_multisports(swapped, replace(official, test_videos=official.train_videos))
    persons = toy / "multisports/person_boxes/train.pkl"
    settings = [*settings, f"data.val.truth={swapped}", f"data.val.proposals={persons}"]
    program = [ROOT / "tools/test_det.py", *settings, "--weights", weights, "--min-score", "0.01", "--out"]
    assert run_copies(*program, tmp_path / "whole").returncode == 0

    killed = run_copies(*program, tmp_path / "killed", before=die_at_first_part)
    assert killed.returncode == -signal.SIGKILL
    (part,) = (tmp_path / "killed").glob("*.parts/**/[!.]*.npz")
    kept = part.stat().st_mtime_ns
    assert not (tmp_path / "killed/frame_detections.pkl").exists()
    assert run_copies(*program, tmp_path / "killed").returncode == 0
    assert kept < (tmp_path / "killed/frame_detections.pkl").stat().st_mtime_ns

    assert run_copies(*program, tmp_path / "two", processes=2).returncode == 0
    whole, *others = ((tmp_path / name / "frame_detections.pkl").read_bytes() for name in ("whole", "killed", "two"))
    assert all(each == whole for each in others)

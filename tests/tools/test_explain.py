"""tools/explain.py from the outside: a strip and a video that show where the person is whom it is about."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, load_config
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.loading import load_trained
from actiondet.explaining import explain
from actiondet.models.build import build_detector
from actiondet.persons.stored import StoredPersonDetector
from actiondet.video import VideoWriter, index_video, open_video
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes

Run = Callable[..., int]
CONFIG = """
task: detection
model:
  backbone: {name: slowonly, depth: 18, width: 8, zero_init_residual: false}
  head: {name: roi, roi: ROI}
  num_actions: 5
clip: {frames: 4, stride: 6}
transform: {train_short_side: [48, 48], train_crop: 48, test_short_side: 48}
data:
  name: ava
  videos: videos
  actions: actions.pbtxt
  train: {truth: train.csv}
  val: {truth: val.csv}
persons: {name: stored, boxes: boxes.pkl}
"""
LEFT, RIGHT = (0.05, 0.1, 0.4, 0.9), (0.6, 0.1, 0.95, 0.9)


@pytest.fixture(params=["static", "track"])
def at_work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a video of 3 seconds, two persons of whom one comes later, and a checkpoint."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    with VideoWriter("street.mp4", Fraction(10), 160, 120) as writer:
        for _ in range(30):
            writer.write(random.integers(60, 120, (120, 160, 3), dtype=np.uint8))
    stored = [
        PersonBoxes(
            FrameKey("street", second * 1_000_000),
            np.array([LEFT] if second < 1 else [RIGHT, LEFT], dtype=np.float32),
            np.array([0.8] if second < 1 else [0.9, 0.8], dtype=np.float32),
        )
        for second in range(3)
    ]
    write_proposals("boxes.pkl", stored)
    Path("net.yaml").write_text(CONFIG.replace("ROI", request.param))
    config = load_config("net.yaml")
    torch.manual_seed(0)
    actions = ActionList((1, 2, 5), ("walk", "wave", "jump"), (None,) * 3)
    save_checkpoint(Checkpoint(config, build_detector(config.model).state_dict(), actions), Path("best.pt"))
    return tmp_path


@pytest.mark.usefixtures("at_work")
def test_a_strip_and_a_video_show_the_clip(run_tool: Run, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["street.mp4", "--at", "1.4", "--weights", "best.pt", "--action", "jump", "--device", "cpu"]
    assert run_tool("explain.py", *given, "--person", "1", "--out", "right") == 0
    assert "person 1, jump: 0." in capsys.readouterr().out
    assert run_tool("explain.py", *given, "--person", "0", "--out", "left") == 0
    strips = [cv2.imread(f"{name}.png")[..., ::-1].astype(int) for name in ("left", "right")]
    assert [strip.shape for strip in strips] == [(240, 4 * 320, 3)] * 2
    for strip, (x1, y1, _, y2) in zip(strips, (LEFT, RIGHT), strict=True):
        # The yellow edge of the person's box, in the first picture.
        edge = strip[round(y1 * 240) + 40 : round(y2 * 240) - 40, round(x1 * 320)]
        assert np.abs(edge - (255, 220, 0)).max(axis=1).mean() < 40
    assert not np.array_equal(*strips)
    drawn = index_video("right.mp4")
    assert len(drawn) == 4
    assert min(drawn.width, drawn.height) == 480
    # Frames 0.2 seconds apart, at half their speed.
    assert float(drawn.rate) == pytest.approx(2.5, rel=0.01)
    with open_video("right.mp4") as reader:
        assert reader.read([3]).std() > 5


@pytest.mark.parametrize("at_work", ["static"], indirect=True)
@pytest.mark.usefixtures("at_work")
def test_the_only_person_and_its_best_action_are_taken(run_tool: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tool("explain.py", "street.mp4", "--at", "0", "--weights", "best.pt", "--device", "cpu") == 0
    assert "wrote street_explained.png and street_explained.mp4" in capsys.readouterr().out


@pytest.mark.parametrize("at_work", ["static"], indirect=True)
@pytest.mark.usefixtures("at_work")
def test_a_network_with_a_feature_bank_is_refused() -> None:
    trained = load_trained("best.pt", DetectionConfig)
    trained.network.head.bank = torch.nn.Identity()  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"has a feature bank .*; explain a network without model.head.bank"):
        explain(trained, "street.mp4", at=1, persons=StoredPersonDetector([]))


@pytest.mark.parametrize("at_work", ["static"], indirect=True)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--at", "1.4"], "street.mp4 at 1.4 s: several persons are there; choose one of 0, 1"),
        (["--at", "1.4", "--person", "7"], "street.mp4 at 1.4 s: person 7 is not there; expected one of 0, 1"),
        (["--at", "9"], "street.mp4: lasts 2.90 s and has no moment 9 s"),
        (["--at", "nan"], "argument --at: 'nan'; expected a finite number"),
        (["--at", "-1"], "--at -1: expected seconds from the beginning"),
        (["--at", "1", "--persons-every", "0"], "--persons-every 0: expected seconds above 0"),
        (["--at", "0", "--action", "wav"], "action: the network has no action 'wav'; did you mean 'wave'?"),
        (["--at", "2.9"], "street.mp4 at 2.9 s: nobody is found there"),
    ],
)
@pytest.mark.usefixtures("at_work")
def test_what_cannot_be_explained_is_one_sentence(
    run_tool: Run, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert run_tool("explain.py", "street.mp4", "--weights", "best.pt", "--device", "cpu", *more) == 2
    assert said in capsys.readouterr().err
    assert not Path("street_explained.png").exists()

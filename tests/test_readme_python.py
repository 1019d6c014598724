"""Every line of the READMEs' Python runs, in order; a server on this machine is the host of the weights."""

from __future__ import annotations

import hashlib
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actiondet import downloads, pipeline
from actiondet.config import load_config
from actiondet.engine.action_names import named_actions
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.models.build import build_detector
from actiondet.video import VideoWriter
from evaluation.formats.ava import read_ava_csv

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "actiondet/README.md", "evaluation/README.md", "tools/README.md")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
]
EVALUATION = [block for block in BLOCKS if block.startswith("import evaluation\n")]
DETECTRON2 = [block for block in BLOCKS if "detectron2" in block]
EXPORTED = [block for block in BLOCKS if "import onnxruntime" in block]  # tests/actiondet/test_exported_detector
LIBRARY = [block for block in BLOCKS if block not in EVALUATION + DETECTRON2 + EXPORTED]


def is_ours(page: Path) -> bool:
    """Whether a page of this repository, not of an installed library, holds Python."""
    inside = page.relative_to(ROOT).parts
    return not inside[0].startswith(".") and "```python" in page.read_text()


def test_the_pages_hold_the_blocks_that_are_run_here() -> None:
    with_python = {page.relative_to(ROOT).as_posix() for page in ROOT.glob("**/README.md") if is_ours(page)}
    assert with_python == set(PAGES)
    assert len(EVALUATION) == 1
    assert len(DETECTRON2) == 1
    assert len(EXPORTED) == 1
    assert len(LIBRARY) >= 4


def test_pythons_evaluation(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(toy / "ava" / "ava_val.csv", "ava_val_v2.2.csv")
    shutil.copy(toy / "ava" / "action_list_eval.pbtxt", "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    rows = [line.split(",")[:7] for line in Path("ava_val_v2.2.csv").read_text().splitlines()]
    Path("detections.csv").write_text("".join(",".join([*row, "0.9"]) + "\n" for row in rows))
    assert len(read_ava_csv("ava_val_v2.2.csv"))
    names: dict[str, Any] = {}
    exec(compile(EVALUATION[0], "page", "exec"), names)
    assert "1.0" in str(names["result"]) or "100" in str(names["result"])


def write_video(path: Path) -> None:
    """1.2 seconds of a picture that moves, 160 x 120 at 10 frames a second."""
    coarse = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    with VideoWriter(path, Fraction(10), 160, 120, sound_of=None) as writer:
        for shift in range(12):
            writer.write(np.roll(coarse, shift, axis=1).repeat(8, axis=0).repeat(8, axis=1))


def write_weights(config_path: str, folder: Path) -> str:
    """Random weights of a network, as a host would publish them; returns the file's name."""
    config = load_config(config_path)
    torch.manual_seed(0)
    network = build_detector(config.model)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(Checkpoint(config, network.state_dict(), named_actions(config)), folder / "w.pth")
    name = f"w-{hashlib.sha256((folder / 'w.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "w.pth").rename(folder / name)
    return name


@pytest.fixture
def host(weights_host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of the README's published network come from a server on this machine."""
    (zoo_name,) = {name for block in LIBRARY for name in re.findall(r'from_pretrained\("(.*?)"\)', block)}
    name = write_weights(zoo_name, tmp_path / "host")
    weights_host.files[name] = (tmp_path / "host" / name).read_bytes()
    published = load_config(zoo_name).published.weights

    def download(url: str) -> Path:
        assert url == published
        return downloads.download(weights_host.url(name))

    monkeypatch.setattr(pipeline, "download", download)
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path / "cache"))


def test_pythons_library(host: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("street.mp4"))
    config = load_config("toy/slowfast_r18")
    weights = write_weights("toy/slowfast_r18", tmp_path / "runs" / "demo")
    (tmp_path / "runs" / "demo" / weights).rename(tmp_path / "runs" / "demo" / "best.pt")
    frames = np.random.default_rng(1).integers(0, 256, (15, 60, 80, 3), dtype=np.uint8)
    side = config.transform.test_short_side
    names: dict[str, Any] = {
        "frames": frames,
        "camera": ((place / 10, frame) for place, frame in enumerate(frames)),
        "shown": [(place / 10, frame) for place, frame in enumerate(frames)][::5],
        "clips": torch.rand(1, 3, config.clip.frames, side, side),
        "boxes": [torch.tensor([[4.0, 4.0, 40.0, 40.0]])],
    }
    for block in LIBRARY:
        exec(compile(block, "page", "exec"), names)
    for written in ("street.json", "street.csv", "street_drawn.mp4"):
        assert Path(written).is_file()
    assert names["logits"].shape == (1, config.model.num_actions)
    assert names["picture"].ndim == 3

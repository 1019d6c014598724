from __future__ import annotations

import subprocess
from pathlib import Path

import torch
import yaml

from actiondet.config import RecognitionConfig
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.models.build import build_detector, build_recognizer
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "golden" / "models" / "slowonly_r50_16x4_tricks.pt"
CONFIG = """
task: detection
model:
  backbone: {name: slowonly, width: 4}
  head: {name: roi, context: true, classifier: mlp, temporal_pool: max}
data:
  name: ava
  videos: videos
  actions: ACTIONS
  train: {truth: train.csv}
  val: {truth: val.csv}
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools" / "convert_checkpoint.py", *arguments, cwd=ROOT)


def write_inputs(folder: Path) -> tuple[Path, Path]:
    source, config, actions = folder / "theirs.pth", folder / "config.yaml", folder / "actions.pbtxt"
    torch.save({"state_dict": torch.load(REFERENCE, weights_only=True)["state_dict"]}, source)
    actions.write_text('item {\n  name: "stand"\n  id: 1\n}\nitem {\n  name: "walk"\n  id: 80\n}\n')
    config.write_text(CONFIG.replace("ACTIONS", str(actions)))
    return source, config


def test_a_converted_checkpoint_is_ours(tmp_path: Path) -> None:
    source, config = write_inputs(tmp_path)
    done = run(source, "--config", config, "--out", tmp_path / "ours.pt")
    assert done.returncode == 0, done.stderr
    assert "weights of mmaction2, 320 matched, 2 converted" in done.stdout
    checkpoint = load_checkpoint(tmp_path / "ours.pt")
    build_detector(checkpoint.config.model).load_state_dict(dict(checkpoint.weights))
    assert checkpoint.actions.names == ("stand", "walk")


def test_a_recognizers_checkpoint_is_converted_too(tmp_path: Path) -> None:
    reference = torch.load(REFERENCE.with_name("rec_slowfast_r50_8x8_lateral_norm.pt"), weights_only=True)
    torch.save({"state_dict": reference["state_dict"]}, tmp_path / "theirs.pth")
    classes = len(reference["state_dict"]["cls_head.fc_cls.bias"])
    names = tmp_path / "classes.txt"
    names.write_text("".join(f"class {label}\n" for label in range(classes)))
    settings = [
        "model.backbone={name: slowfast, width: 4, beta_inv: 4, res5_stride: 2, lateral_norm: true}",
        f"model.num_classes={classes}",
        f"data.classes={names}",
    ]
    done = run(
        tmp_path / "theirs.pth",
        *settings,
        "--config",
        ROOT / "configs/kinetics400/slowfast_r50_8x8_scratch.yaml",
        "--out",
        tmp_path / "ours.pt",
    )
    assert done.returncode == 0, done.stderr
    assert "names its columns class 0, class 1" in done.stdout
    checkpoint = load_checkpoint(tmp_path / "ours.pt", RecognitionConfig)
    network = build_recognizer(checkpoint.config.model)
    network.load_state_dict(dict(checkpoint.weights))
    theirs = reference["state_dict"]["backbone.slow_path.conv1.conv.weight"]
    assert torch.equal(network.backbone.slow.stem.conv.weight, theirs)
    assert len(checkpoint.actions) == classes


def test_what_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    source, config = write_inputs(tmp_path)
    done = run(source, "model.backbone.width=8", "--config", config, "--out", tmp_path / "ours.pt")
    assert done.returncode == 2
    assert "backbone.width is 4 in the file's network, 8 in yours" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "ours.pt").exists()


def test_a_network_without_a_head_is_converted_on_demand_only(tmp_path: Path) -> None:
    source, config = write_inputs(tmp_path)
    content = torch.load(source, weights_only=True)
    headless = {key: value for key, value in content["state_dict"].items() if not key.startswith("roi_head")}
    torch.save({"state_dict": headless}, source)
    done = run(source, "--config", config, "--out", tmp_path / "ours.pt")
    assert done.returncode == 2, done.stdout
    assert "head" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "ours.pt").exists()
    assert run(source, "--config", config, "--out", tmp_path / "ours.pt", "--allow", "head").returncode == 0


def test_an_inferred_configuration_fits(tmp_path: Path) -> None:
    source, config = write_inputs(tmp_path)
    done = run(source, "--infer")
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load(done.stdout)["model"]
    settings["head"]["temporal_pool"] = "max"  # as the tool says: nothing in the file tells
    assert "# check: model.head.temporal_pool" in done.stdout
    whole = yaml.safe_load(config.read_text()) | {"model": settings}
    config.write_text(yaml.safe_dump(whole))
    done = run(source, "--config", config, "--out", tmp_path / "ours.pt")
    assert done.returncode == 0, done.stderr

"""An exported detector finds what the network in torch finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet import VideoPipeline, export_network
from actiondet.config import DetectionConfig, dump_config, load_config
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.exported import OnnxNetwork
from actiondet.exported_detector import OnnxScorer
from actiondet.models.build import build_detector
from actiondet.persons.base import Frame
from actiondet.video import VideoWriter
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.records import FrameKey, PersonBoxes
from tests.programs import run_program

pytest.importorskip("onnxscript")
ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "model.backbone={name: slowonly, depth: 18, width: 4}",
    "transform={train_short_side: [48, 48], train_crop: 48, test_short_side: 48}",
    "clip.frames=4",
]


def trained(folder: Path, *settings: str) -> tuple[DetectionConfig, Path]:
    """A narrow network with random weights, saved as if it were trained."""
    config = load_config(ROOT / "configs/toy/slowonly_r18.yaml", [*SMALL, *settings])
    torch.manual_seed(0)
    detector = build_detector(config.model)
    actions = ActionList.numbered([f"action {number}" for number in range(1, 15)], first=1)
    save_checkpoint(Checkpoint(config, detector.state_dict(), actions), folder / "best.pt")
    return config, folder / "best.pt"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of blocks that move, 100 x 74."""
    path = tmp_path_factory.mktemp("exported") / "blocks.mp4"
    coarse = np.random.default_rng(0).integers(0, 256, (10, 13, 3), dtype=np.uint8)
    blocks = coarse.repeat(8, axis=0).repeat(8, axis=1)
    with VideoWriter(path, 10, 100, 74) as writer:
        for number in range(30):
            writer.write(np.roll(blocks, 3 * number, axis=1)[:74, :100])
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network, best.pt, and what it is exported to, det.onnx: a quarter of a minute of work."""
    folder = tmp_path_factory.mktemp("exported")
    config, weights = trained(folder)
    export_network(config, weights, folder / "det.onnx", format="onnx")
    return folder


class Crowd:
    """As many persons as half seconds have passed."""

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        return [self.persons(key) for key in keys]

    def persons(self, key: FrameKey) -> PersonBoxes:
        count = key.moment // 500_000
        boxes = np.array([[0.1 * n, 0.2, 0.1 * n + 0.4, 0.9] for n in range(count)], dtype=np.float32)
        return PersonBoxes(key, boxes.reshape(-1, 4), np.linspace(0.9, 0.5, count, dtype=np.float32))


def test_detections_are_those_of_torch(exported: Path, video: Path) -> None:
    assert_detections_are_those_of_torch(exported, video)


def test_detections_along_tracks_are_those_of_torch(video: Path, tmp_path: Path) -> None:
    settings = ("model.head.roi=track", "test.flip=true", "test.person_score=multiply")
    config, weights = trained(tmp_path, *settings)
    export_network(config, weights, tmp_path / "det.onnx", format="onnx")
    assert_detections_are_those_of_torch(tmp_path, video)


def assert_detections_are_those_of_torch(folder: Path, video: Path) -> None:
    looked = VideoPipeline.from_checkpoint(folder / "best.pt", persons=Crowd(), every=0.5)(video)
    pipeline = VideoPipeline.from_exported(folder / "det.onnx", persons=Crowd(), every=0.5)
    assert pipeline.actions.names == looked.actions.names
    found = pipeline(video)
    assert sum(map(len, found)) == 0 + 1 + 2 + 3 + 4 + 5
    for each, other in zip(found, looked, strict=True):
        assert each.key == other.key
        assert np.array_equal(each.boxes, other.boxes)
        assert each.action_scores == pytest.approx(other.action_scores, abs=1e-4)
    assert np.ptp(np.concatenate([each.action_scores for each in found])) > 0.01
    assert found.to_frame()["person"].tolist() == looked.to_frame()["person"].tolist()
    assert [(e.person, e.start, e.end, e.action) for e in found.events()] == [
        (e.person, e.start, e.end, e.action) for e in looked.events()
    ]


def test_what_a_file_cannot_do_is_said(exported: Path, tmp_path: Path) -> None:
    import onnx

    config, _ = trained(tmp_path, "test.short_sides=[40, 48]")
    model = onnx.load(exported / "det.onnx")
    (entry,) = (entry for entry in model.metadata_props if entry.key == "config")
    entry.value = dump_config(config)  # all that differs from an export of this configuration
    onnx.save(model, tmp_path / "det.onnx")
    with pytest.raises(InputError, match=r"det\.onnx: .* short sides \[40, 48\], but .* sees 48 pixels alone"):
        OnnxScorer(OnnxNetwork(tmp_path / "det.onnx"))
    with pytest.raises(InputError, match=r"no provider 'NpuExecutionProvider'; expected cpu, cuda, .*CPUExecution"):
        OnnxNetwork(tmp_path / "det.onnx", device="NpuExecutionProvider")
    kept = [entry for entry in model.metadata_props if entry.key not in ("names", "config")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(InputError, match=r"bare\.onnx: its metadata lacks config, names; expected what `actiondet exp"):
        OnnxNetwork(tmp_path / "bare.onnx")


# What tools/README.md does not list for a machine that runs exported detectors.
ABSENT = ("torch", "torchvision", "lightning_fabric", "tensorboard", "safetensors", "decord", "onnx", "onnxscript")
WITHOUT = """
import sys, runpy
for name in {absent!r}:
    sys.modules[name] = None  # any import of it fails
sys.path.insert(0, {root!r})
sys.argv = ["demo.py", *{arguments!r}]
runpy.run_path({tool!r}, run_name="__main__")
"""


def run_with_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(ROOT / "tools/demo.py", *arguments, cwd=folder)


def run_without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(absent=ABSENT, root=str(ROOT), tool=str(ROOT / "tools/demo.py"), arguments=arguments)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)


def test_the_demo_needs_no_torch(exported: Path, video: Path, tmp_path: Path) -> None:
    for name in ("best.pt", "det.onnx"):
        shutil.copy(exported / name, tmp_path)
    boxes = ("--person-setting", "threshold=0.06", "--every", "0.5", "--event-threshold", "0.3")
    for name, network, without_torch in (
        ("exported", ("--model", "det.onnx", "--device", "cpu"), True),
        ("torch", ("--weights", "best.pt", "--device", "cpu"), False),
    ):
        files = (
            "--threshold",
            "0",
            "--quality",
            "30",
            "--out",
            f"{name}.mp4",
            "--json",
            f"{name}.json",
            "--events",
            f"{name}.jsonl",
        )
        run = run_without_torch if without_torch else run_with_torch
        done = run(tmp_path, str(video), *network, *boxes, *files)
        assert done.returncode == 0, done.stderr
        assert ("by CPU" in done.stdout) == (name == "exported")
    persons, of_torch = (
        [(moment["time"], each) for moment in found["moments"] for each in moment["persons"]]
        for found in (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("exported", "torch"))
    )
    assert persons
    for (time, each), (other_time, other) in zip(persons, of_torch, strict=True):
        assert (time, each["identity"]) == (other_time, other["identity"])
        assert each["box"] == pytest.approx(other["box"], abs=1e-4)
        scores, expected = ({action["id"]: action["score"] for action in of["actions"]} for of in (each, other))
        assert len(scores) == 14
        assert scores == pytest.approx(expected, abs=1e-4)
    events, expected_events = (
        [(event["person"], event["action"], event["start"], event["end"]) for event in map(json.loads, lines)]
        for lines in ((tmp_path / f"{name}.jsonl").read_text().splitlines() for name in ("exported", "torch"))
    )
    assert events == expected_events
    assert events
    assert (tmp_path / "exported.mp4").stat().st_size == pytest.approx((tmp_path / "torch.mp4").stat().st_size, rel=0.1)
    done = run_without_torch(tmp_path, str(video), "--model", "det.onnx", "--weights", "best.pt")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--model det.onnx is a whole network; leave out --weights" in done.stderr


def test_the_example_for_other_programs_runs_with_numpy_and_onnxruntime_alone(exported: Path) -> None:
    page = (ROOT / "tools/README.md").read_text()
    (example,) = re.findall(r"^```python\n(import json.*?^import onnxruntime.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(example.splitlines()) <= 35
    blocked = (*ABSENT, "actiondet", "evaluation", "cv2", "pandas", "scipy", "pydantic", "av")
    code = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked) + example
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=exported)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(action \d+ 0\.\d+\n){2}", done.stdout)

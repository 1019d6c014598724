"""Exported networks score as the network does: the exporter itself checks 0, 1 and 37 boxes, and these tests too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from actiondet.config import DetectionConfig, RecognitionConfig, load_config, load_recognition_config, parse_config
from actiondet.data.transforms import BoxedClip, WholeFrameTransform
from actiondet.data.video_transforms import VideoTestTransform
from actiondet.engine import export
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.export import Format, export_network
from actiondet.engine.recognition.recognize import load_recognizer
from actiondet.exported import OnnxNetwork, OnnxRecognizer
from actiondet.models.blocks import Backbone
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.deployed import DeployedDetector, DeployedRecognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.heads.acar import AcarHead
from actiondet.models.heads.acrn import AcrnHead
from actiondet.models.heads.person import PersonHead
from actiondet.video import VideoWriter
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList

ROOT = Path(__file__).resolve().parents[3]
BACKBONES = {
    "slowonly": "model.backbone={name: slowonly, depth: 18, width: 4, res5_stride: STRIDE}",
    "slowfast": "model.backbone={name: slowfast, depth: 18, width: 8, beta_inv: 4, alpha: 2, res5_stride: STRIDE}",
    "vit": "model.backbone={name: vit, depth: 2, width: 16, heads: 2, patch: 8, frames: 4, image: 64}",
    "vit_padded": "model.backbone={name: vit, depth: 2, width: 16, heads: 2, patch: 8, tubelet: 1, frames: 4, "
    "image: 64, remainder: pad}",
    # Its first block does all that blocks do: the exporter reasons for half a minute about each.
    "mvit_block": "model.backbone={name: mvit, depth: 1, width: 8, frames: 4, image: 64, widen_at: [0], pool_at: [0]}",
    "mvit": "model.backbone={name: mvit, depth: 2, width: 8, frames: 4, image: 64, widen_at: [1], pool_at: [1]}",
    "mvit_v1": "model.backbone={name: mvit, depth: 3, width: 8, frames: 4, image: 64, widen_at: [1], pool_at: [1], "
    "pool_every_query: false, widen_in: mlp, residual_pooling: false, relative_positions: none, "
    "absolute_positions: separate}",
}
SMALL = ["clip.frames=4", "transform.test_short_side=64"]


def trained_detector(name: str, folder: Path, *more: str) -> tuple[DetectionConfig, Path]:
    """A narrow network with random weights, saved as if it were trained."""
    settings = [
        BACKBONES[name].replace("STRIDE", "1"),
        *SMALL,
        *more,
        "transform.train_short_side=[64, 64]",
        "transform.train_crop=64",
    ]
    config = load_config(ROOT / "configs/toy/slowonly_r18.yaml", settings)
    torch.manual_seed(0)
    names = tuple(f"action {number}" for number in range(14))
    actions = ActionList(tuple(range(1, 15)), names, (None,) * 14)
    save_checkpoint(Checkpoint(config, build_detector(config.model).state_dict(), actions), folder / "best.pt")
    return config, folder / "best.pt"


def trained_recognizer(name: str, folder: Path, *more: str) -> tuple[RecognitionConfig, Path]:
    settings = [BACKBONES[name].replace("STRIDE", "2"), *SMALL, "transform.val_crop=56", "test.crop=64", *more]
    config = load_recognition_config(ROOT / "configs/toy/recognition_slowonly.yaml", settings)
    torch.manual_seed(0)
    network = build_recognizer(config.model)
    torch.nn.init.normal_(network.head.fc.weight)
    names = tuple(f"class {number}" for number in range(9))
    actions = ActionList(tuple(range(9)), names, (None,) * 9)
    save_checkpoint(Checkpoint(config, network.state_dict(), actions), folder / "best.pt")
    return config, folder / "best.pt"


def pictures(clips: int, height: int, width: int, frames: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (clips, frames, height, width, 3), dtype=np.uint8)


def write_film(path: Path) -> None:
    with VideoWriter(path, rate=Fraction(10), width=96, height=72, sound_of=None) as writer:
        for picture in pictures(1, 72, 96, frames=20)[0]:
            writer.write(picture)


def people(count: int, clips: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    boxes = np.sort(random.random((count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    return boxes, random.integers(0, clips, count)


def run_exported(path: Path, format: Format, inputs: list[np.ndarray]) -> np.ndarray:
    if format == "onnx":
        return OnnxNetwork(path)(*inputs)
    return torch.export.load(path).module()(*map(torch.from_numpy, inputs)).numpy()


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("slowonly", "onnx"),
        ("mvit_block", "onnx"),
        ("vit", "onnx"),
        ("vit_padded", "torch_export"),
        pytest.param("vit", "torch_export", marks=pytest.mark.slow),
        pytest.param("vit_padded", "onnx", marks=pytest.mark.slow),
        pytest.param("mvit_v1", "onnx", marks=pytest.mark.slow),
        pytest.param("mvit", "onnx", marks=pytest.mark.slow),
        pytest.param("mvit", "torch_export", marks=pytest.mark.slow),
        pytest.param("slowfast", "onnx", marks=pytest.mark.slow),
        pytest.param("slowfast", "torch_export", marks=pytest.mark.slow),
        pytest.param("slowonly", "torch_export", marks=pytest.mark.slow),
    ],
)
def test_an_exported_detector_scores_as_the_network_does(name: str, format: Format, tmp_path: Path) -> None:
    config, weights = trained_detector(name, tmp_path)
    report = export_network(config, weights, tmp_path / "det.file", format=format)
    assert report.largest_difference < 1e-4
    network = build_detector(config.model)
    network.load_state_dict(torch.load(weights, weights_only=True)["weights"])
    deployed = DeployedDetector(network.eval(), short_side=64, multi_label=True)
    for clips, height, width, count in [(1, 72, 96, 0), (2, 72, 96, 1), (2, 130, 77, 37), (1, 64, 64, 37)]:
        inputs = [pictures(clips, height, width), *people(count, clips)]
        found = run_exported(tmp_path / "det.file", format, inputs)
        with torch.inference_mode():
            expected = deployed(*map(torch.from_numpy, inputs)).numpy()
        assert found.shape == (count, 14)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    if name.startswith(("mvit", "vit")):
        return  # it takes clips of one length
    longer = [pictures(1, 64, 80, frames=8), *people(2, 1)]
    assert run_exported(tmp_path / "det.file", format, longer).shape == (2, 14)


class OneConvolution(Backbone):
    """A backbone that is exported in a second."""

    channels = (6,)
    stride = 16

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv3d(3, 6, (1, 16, 16), (1, 16, 16))

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.conv(clips),)


SHORT_SIDE = 112  # 7 cells, of which acar makes 3
RELATIONS: dict[str, Callable[[], PersonHead]] = {
    "acrn": lambda: AcrnHead(channels=(6,), num_actions=5, relation_channels=8),
    "acar": lambda: AcarHead(channels=(6,), num_actions=5, reduced_channels=8, relation_channels=8, layers=1),
}


@pytest.mark.parametrize(
    ("head", "format"),
    [
        ("acrn", "onnx"),
        ("acar", "torch_export"),
        pytest.param("acrn", "torch_export", marks=pytest.mark.slow),
        pytest.param("acar", "onnx", marks=pytest.mark.slow),
    ],
)
def test_exported_persons_are_related_within_their_clip(head: str, format: Format, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = ActionDetector(OneConvolution(), RELATIONS[head]())
    deployed = DeployedDetector(detector, short_side=SHORT_SIDE, multi_label=True).eval().requires_grad_(False)
    program = export._export(deployed, 2)
    if format == "onnx":
        export._write_onnx(program, {}, tmp_path / "det.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "det.onnx", providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
    for clips, height, width in [(1, 72, 96), (3, 72, 96), (3, 96, 72), (1, 80, 80)]:
        for count in (0, 1, 37):
            inputs = [pictures(clips, height, width, frames=2), *people(count, clips)]
            expected = deployed(*map(torch.from_numpy, inputs)).numpy()
            if format == "onnx":
                found = session.run(None, dict(zip(names, inputs, strict=True)))[0]
            else:
                found = program.module()(*map(torch.from_numpy, inputs)).numpy()
            assert found.shape == (count, 5)
            np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "format", "track_head"),
    [
        ("slowfast", "torch_export", "pool"),
        ("slowfast", "onnx", "pool"),
        ("slowonly", "onnx", "conv"),
    ],
)
@pytest.mark.slow
def test_an_exported_detector_follows_tracks(name: str, format: Format, track_head: str, tmp_path: Path) -> None:
    config, weights = trained_detector(name, tmp_path, "model.head.roi=track", f"model.head.track_head={track_head}")
    assert export_network(config, weights, tmp_path / "det.file", format=format).largest_difference < 1e-4
    network = build_detector(config.model)
    network.load_state_dict(torch.load(weights, weights_only=True)["weights"])
    deployed = DeployedDetector(network.eval(), short_side=64, multi_label=True)
    for clips, count, frames in [(1, 0, 4), (2, 1, 4), (2, 37, 8)]:
        boxes, owners = people(count * frames, clips)
        inputs = [pictures(clips, 72, 96, frames=frames), boxes.reshape(count, frames, 4), owners[:count]]
        found = run_exported(tmp_path / "det.file", format, inputs)
        with torch.inference_mode():
            expected = deployed(*map(torch.from_numpy, inputs)).numpy()
        assert found.shape == (count, 14)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        pytest.param("mvit", "onnx", marks=pytest.mark.slow),
        ("slowfast", "torch_export"),
        pytest.param("slowonly", "onnx", marks=pytest.mark.slow),
        pytest.param("slowfast", "onnx", marks=pytest.mark.slow),
        pytest.param("slowonly", "torch_export", marks=pytest.mark.slow),
    ],
)
def test_an_exported_recognizer_scores_as_the_network_does(name: str, format: Format, tmp_path: Path) -> None:
    config, weights = trained_recognizer(name, tmp_path)
    assert export_network(config, weights, tmp_path / "rec.file", format=format).largest_difference < 1e-4
    network = build_recognizer(config.model)
    network.load_state_dict(torch.load(weights, weights_only=True)["weights"])
    deployed = DeployedRecognizer(network.eval(), short_side=64, crop=56, round_up=False)
    for clips, height, width in [(1, 72, 96), (2, 130, 77)]:
        inputs = [pictures(clips, height, width)]
        found = run_exported(tmp_path / "rec.file", format, inputs)
        with torch.inference_mode():
            np.testing.assert_allclose(found, deployed(torch.from_numpy(inputs[0])).numpy(), atol=1e-4)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    if format == "torch_export":
        said = {"actiondet.json": ""}
        torch.export.load(tmp_path / "rec.file", extra_files=said)
        metadata = json.loads(said["actiondet.json"])
        assert json.loads(metadata["names"]) == [f"class {number}" for number in range(9)]
        assert parse_config(metadata["config"], source="rec.file") == config


@pytest.mark.parametrize(("slow_frames", "format"), [("strided", "torch_export"), ("spread", "onnx")])
@pytest.mark.slow
def test_slow_and_fast_frames_may_be_given_apart(slow_frames: str, format: Format, tmp_path: Path) -> None:
    config, weights = trained_recognizer("slowfast", tmp_path, f"model.backbone.slow_frames={slow_frames}")
    report = export_network(config, weights, tmp_path / "rec.file", format=format, inputs="pathways")
    assert report.largest_difference < 1e-4
    network = build_recognizer(config.model)
    network.load_state_dict(torch.load(weights, weights_only=True)["weights"])
    whole = DeployedRecognizer(network.eval(), short_side=64, crop=56, round_up=False)
    for clips, height, width, frames in [(1, 72, 96, 4), (2, 130, 77, 8)]:
        fast = pictures(clips, height, width, frames)
        slow = fast[:, [0, frames - 1] if frames == 4 else [0, 2, 4, 7]] if slow_frames == "spread" else fast[:, ::2]
        with torch.inference_mode():
            expected = whole(torch.from_numpy(fast)).numpy()
        np.testing.assert_allclose(run_exported(tmp_path / "rec.file", format, [slow, fast]), expected, atol=1e-4)
    if format == "onnx":
        write_film(tmp_path / "film.mp4")
        found = OnnxRecognizer(OnnxNetwork(tmp_path / "rec.file"))(tmp_path / "film.mp4")
        np.testing.assert_allclose(found, load_recognizer(weights)(tmp_path / "film.mp4"), atol=5e-3)


def test_only_a_slowfast_recognizer_takes_its_frames_apart(tmp_path: Path) -> None:
    config, weights = trained_recognizer("slowonly", tmp_path)
    with pytest.raises(InputError, match="only a SlowFast recognizer"):
        export_network(config, weights, tmp_path / "rec.pt2", format="torch_export", inputs="pathways")


def test_a_network_that_takes_some_numbers_only_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("Guard failed: frames.size()[0] < 2")  # as torch.export's modules do

    program = SimpleNamespace(module=lambda: refuse)
    monkeypatch.setattr("actiondet.engine.export._export", lambda *_: program)
    monkeypatch.setattr("torch.export.save", lambda *_, **__: None)
    monkeypatch.setattr("torch.export.load", lambda _: program)
    config, weights = trained_recognizer("slowonly", tmp_path)
    with pytest.raises(InputError, match=r"refuses 2 clips of 90x120 .*Guard failed.* nothing was written"):
        export_network(config, weights, tmp_path / "rec.pt2", format="torch_export")
    assert not (tmp_path / "rec.pt2").exists()


@pytest.mark.parametrize("size", [(72, 96), (130, 77), (64, 64), (48, 40)])
def test_resizing_inside_is_that_of_testing(size: tuple[int, int], tmp_path: Path) -> None:
    # Residual blocks of random weights would make more of a pixel's rounding than trained ones do.
    config, _ = trained_detector("slowonly", tmp_path, "model.backbone.zero_init_residual=true")
    detector = build_detector(config.model).eval()
    frames, (boxes, owners) = pictures(1, *size), people(3, 1)
    clip, pixel_boxes = WholeFrameTransform(short_side=64)(BoxedClip.of(frames[0], boxes)).tensors()
    with torch.inference_mode():
        expected = detector(detector.normalize(clip[None]), [pixel_boxes]).sigmoid()
        found = DeployedDetector(detector, short_side=64, multi_label=True)(
            *map(torch.from_numpy, (frames, boxes, owners))
        )
    # Frames are uint8 there and rounded here: a value may be one apart.
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("round_up", [False, True])
def test_the_middle_is_that_of_testing(round_up: bool, tmp_path: Path) -> None:
    config, _ = trained_recognizer("slowonly", tmp_path)
    network = build_recognizer(config.model).eval()
    frames = pictures(1, 73, 96)
    transform = VideoTestTransform(short_side=64, side=57, crops=1, rounding="up" if round_up else "down")
    with torch.inference_mode():
        expected = network(network.normalize(transform(frames[0]))).softmax(dim=1)
        found = DeployedRecognizer(network, short_side=64, crop=57, round_up=round_up)(torch.from_numpy(frames))
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3)


def test_weights_without_a_classifier_are_refused(tmp_path: Path) -> None:
    config, _ = trained_detector("slowonly", tmp_path)
    _, weights = trained_recognizer("slowonly", tmp_path)
    with pytest.raises(InputError, match="holds no classifier"):
        export_network(config, weights, tmp_path / "det.onnx", format="onnx")
    assert not (tmp_path / "det.onnx").exists()


# What tools/README.md does not name for a machine that only uses exported networks.
ABSENT = (
    *("cv2", "decord", "lightning_fabric", "matplotlib", "onnx", "onnxscript", "pandas", "pycocotools", "scipy"),
    *("supervision", "tensorboard", "torch", "torchvision"),
)
PREDICT = """
import sys, runpy
for name in {absent!r}:
    sys.modules[name] = None  # any import of it fails
sys.path.insert(0, {root!r})
sys.argv = ["predict.py", *{arguments!r}]
runpy.run_path({tool!r}, run_name="__main__")
"""


def test_an_exported_recognizer_names_videos_without_torch(tmp_path: Path) -> None:
    config, weights = trained_recognizer("slowonly", tmp_path)
    write_film(tmp_path / "film.mp4")
    assert "times as fast" in str(export_network(config, weights, tmp_path / "rec.onnx", format="onnx"))
    (tmp_path / "bad.mp4").write_text("no video")  # and a folder, for its progress bar
    arguments = ["--input", tmp_path, "--model", tmp_path / "rec.onnx", "--json", tmp_path / "found.json"]
    tool = str(ROOT / "tools" / "predict.py")
    code = PREDICT.format(root=str(ROOT), tool=tool, arguments=[*map(str, arguments)], absent=ABSENT)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 videos could not be read" in done.stderr
    found = json.loads((tmp_path / "found.json").read_text())[str(tmp_path / "film.mp4")]
    expected = load_recognizer(weights)(tmp_path / "film.mp4")
    assert len(found) == 5
    for each in found:
        assert each["score"] == pytest.approx(expected[int(each["class"].split()[1])], abs=5e-3)
    code = PREDICT.format(root=str(ROOT), tool=tool, arguments=["--input", "x", "--weights", "y"], absent=ABSENT)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--weights needs torch" in done.stderr


def test_files_that_are_no_export_of_ours_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        OnnxNetwork(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"text.onnx: onnxruntime cannot read it"):
        OnnxNetwork(tmp_path / "text.onnx")
    with pytest.raises(InputError, match=r"cannot run on 'tensorrt' .* pip install onnxruntime-gpu"):
        OnnxNetwork(tmp_path / "text.onnx", device="tensorrt")


def test_a_runtime_that_falls_back_to_the_cpu_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.onnx").touch()
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    runtime = SimpleNamespace(InferenceSession=lambda *_, **__: session)
    monkeypatch.setattr("actiondet.exported._onnxruntime", lambda *_: runtime)
    with pytest.raises(InputError, match=r"cannot run on 'cuda' here; expected a device"):
        OnnxNetwork(tmp_path / "net.onnx", device="cuda")


@pytest.mark.parametrize(
    ("operator", "format"),
    [
        ("nonlocal", "onnx"),
        pytest.param("max", "onnx", marks=pytest.mark.slow),
        pytest.param("avg", "onnx", marks=pytest.mark.slow),
        pytest.param("nonlocal", "torch_export", marks=pytest.mark.slow),
    ],
)
def test_a_detector_with_a_bank_takes_what_it_remembers(operator: str, format: Format, tmp_path: Path) -> None:
    bank = f"{{channels: 6, window: 3, persons: 2, latent: 8, operator: {operator}, zero_init: false}}"
    config, weights = trained_detector("slowonly", tmp_path, "model.head.dropout_at=vector", f"model.head.bank={bank}")
    path = tmp_path / "network.onnx"
    assert export_network(config, weights, path, format=format).largest_difference <= 1e-4
    random = np.random.default_rng(0)
    clips, (boxes, owners) = pictures(2, 80, 100), people(3, 2)
    filled = random.random((2, 6)) < 0.5
    remembered = np.where(filled[..., None], random.random((2, 6, 6)), 0).astype(np.float32)
    scores = run_exported(path, format, [clips, boxes, owners, remembered, filled])
    other = run_exported(path, format, [clips, boxes, owners, 2 * remembered, filled])
    assert scores.shape == (3, 14)
    assert not np.allclose(scores, other)

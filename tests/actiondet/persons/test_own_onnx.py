"""Detectors of the user's own, exported as ONNX: small networks made here, exported, and read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.ops import batched_nms

from actiondet.config.schema import OnnxPersons
from actiondet.persons.build import build_persons, parse_persons
from evaluation.errors import InputError
from evaluation.records import FrameKey, PersonBoxes

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")  # of tracing
KEY = FrameKey("v", 0)
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
UNIT = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}


def export(model: nn.Module, example: Tensor, path: Path, outputs: list[str], **more: Any) -> str:
    model.eval()
    torch.onnx.export(
        model, (example,), str(path), input_names=["images"], output_names=outputs, dynamo=False, **more
    )  # fmt: skip
    return str(path)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Something to see: coarse noise of 90 x 160."""
    coarse = np.random.default_rng(3).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)


def find(frame: np.ndarray, **settings: Any) -> PersonBoxes:
    (found,) = build_persons(OnnxPersons(**settings)).detect([frame], [KEY])
    return found


def check(found: PersonBoxes, pixel_boxes: np.ndarray, scores: np.ndarray, frame: np.ndarray) -> None:
    """Compare with boxes in pixels of the frame, best first."""
    height, width = frame.shape[:2]
    order = np.argsort(-scores, kind="stable")
    expected = np.clip(pixel_boxes[order], 0, [width, height, width, height])
    assert len(found) >= 2
    assert found.scores == pytest.approx(scores[order], abs=1e-4)
    assert found.boxes * [width, height, width, height] == pytest.approx(expected, abs=0.05)


# ---------------------------------------------------------------- boxes, labels, scores


@pytest.fixture(scope="module")
def ssdlite(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, str]:
    """torchvision's smallest detector with random weights, which sees its classes everywhere, and its file."""
    torch.manual_seed(2)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3, score_thresh=0.2)
    model.detections_per_img = 20
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.momentum = None
    with torch.no_grad():  # without statistics of its own, random features vanish and all scores are alike
        model.train()
        model.head(list(model.backbone(torch.randn(4, 3, 320, 320)).values()))
        for weights in model.head.parameters():
            if weights.ndim == 4 and weights.shape[-1] == 1:
                weights.normal_(std=0.03)
    path = tmp_path_factory.mktemp("ssdlite") / "ssdlite.onnx"
    return model.eval(), export(
        model,
        torch.rand(1, 3, 90, 160),
        path,
        ["boxes", "scores", "labels"],
        dynamic_axes={"images": {2: "height", 3: "width"}},
    )


def test_torchvisions_boxes_labels_and_scores_are_read_back(ssdlite: tuple[nn.Module, str], frame: np.ndarray) -> None:
    model, path = ssdlite
    with torch.inference_mode():
        (own,) = model(torch.from_numpy(frame).permute(2, 0, 1)[None] / 255)
    seen = {label: int((own["labels"] == label).sum()) for label in (1, 2)}
    label = max(seen, key=lambda each: seen[each])
    settings = {"outputs": "boxes", "fit": "none", "channels": "RGB", **UNIT, "threshold": 0.0}
    found = find(frame, model=path, label=label, **settings)
    of_label = own["labels"] == label
    check(found, own["boxes"][of_label].numpy(), own["scores"][of_label].numpy(), frame)


class BoxesWithScores(nn.Module):
    """MMDeploy's form of the convention: boxes (1, N, 5) and labels (1, N), in pixels of the input."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        bright = images.mean() * 0 + 1
        boxes = torch.tensor([[[10.0, 10, 30, 50, 0.6], [0, 0, 32, 36, 0.9], [5, 5, 9, 9, 0.8]]]) * bright
        return boxes, torch.tensor([[0, 0, 7]])


def test_boxes_that_end_in_their_score_are_read_too(tmp_path: Path) -> None:
    path = export(BoxesWithScores(), torch.rand(1, 3, 64, 64), tmp_path / "mm.onnx", ["dets", "labels"])
    frame = np.zeros((128, 256, 3), dtype=np.uint8)
    settings = {"outputs": "boxes", "channels": "RGB", **UNIT, "label": 0}
    found = find(frame, model=path, fit="stretch", **settings)
    assert found.scores == pytest.approx([0.9, 0.6])
    assert found.boxes[0] == pytest.approx([0, 0, 0.5, 36 / 64])
    found = find(frame, model=path, fit="letterbox", **settings)
    assert found.boxes[0] == pytest.approx([0, 0, 0.5, 1.0])  # four frame pixels each way, cut at the border


# ---------------------------------------------------------------- DETR


class SmallDetr(nn.Module):
    """Logits and unit boxes of 12 queries, which depend on the picture."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 12 * 16), nn.Tanh())
        self.logits, self.boxes = nn.Linear(16, classes), nn.Linear(16, 4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        queries = self.look(images).reshape(1, 12, 16)
        return self.logits(queries) * 4, self.boxes(queries).sigmoid()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_detrs_queries_are_read_back(kind: str, frame: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = SmallDetr(3)
    path = export(model, torch.rand(1, 3, 64, 96), tmp_path / "detr.onnx", ["pred_logits", "pred_boxes"])
    picture = torch.from_numpy(cv2.resize(frame, (96, 64), interpolation=cv2.INTER_LINEAR)).float()
    picture = (picture - torch.tensor(IMAGENET["mean"])) / torch.tensor(IMAGENET["std"])
    with torch.inference_mode():
        logits, boxes = model(picture.permute(2, 0, 1)[None])
    scores = logits[0].softmax(-1)[:, :-1] if kind == "softmax" else logits[0].sigmoid()
    best, labels = scores.max(-1)
    label = int(labels.mode().values)
    x, y, w, h = boxes[0, labels == label].unbind(-1)
    expected = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=-1) * torch.tensor([160, 90, 160, 90])
    settings = {"outputs": "detr", "scores": kind, "fit": "stretch", "channels": "RGB", **IMAGENET, "threshold": 0.0}
    found = find(frame, model=path, label=label, **settings)
    check(found, expected.numpy(), best[labels == label].numpy(), frame)


# ---------------------------------------------------------------- YOLOX


class SmallYolox(nn.Module):
    """YOLOX' undecoded head: strides 8, 16 and 32, three classes; objectness and classes with their sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(3, 8, stride, stride=stride) for stride in (8, 16, 32))

    def forward(self, images: Tensor) -> Tensor:
        maps = [head(images / 255 - 0.5) for head in self.heads]
        maps = [torch.cat([each[:, :4], (each[:, 4:] * 2).sigmoid()], dim=1) for each in maps]
        return torch.cat([each.flatten(2) for each in maps], dim=2).permute(0, 2, 1)


@pytest.fixture(scope="module")
def yolox(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, str]:
    torch.manual_seed(0)
    model = SmallYolox()
    path = tmp_path_factory.mktemp("yolox") / "yolox.onnx"
    return model, export(model, torch.rand(1, 3, 64, 96), path, ["output"])


def test_yoloxs_grids_are_read_back(yolox: tuple[nn.Module, str], frame: np.ndarray) -> None:
    model, path = yolox
    # 90 x 160 into 64 x 96, blue first: 0.6 times as large, 54 x 96, the rest of the ground at the bottom.
    ground = np.full((64, 96, 3), 114, dtype=np.uint8)
    ground[:54] = cv2.resize(frame, (96, 54), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]
    with torch.inference_mode():
        rows = model(torch.from_numpy(ground).float().permute(2, 0, 1)[None])[0]
    boxes, scores, labels, place = [], [], [], 0
    for stride in (8, 16, 32):
        for y in range(64 // stride):
            for x in range(96 // stride):
                dx, dy, w, h, there, *classes = rows[place].tolist()
                middle, half = ((dx + x) * stride, (dy + y) * stride), (np.exp(w) * stride / 2, np.exp(h) * stride / 2)
                boxes.append([middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]])
                scores.append(there * max(classes))
                labels.append(int(np.argmax(classes)))
                place += 1
    assert place == len(rows)
    every, likely, kinds = (
        torch.tensor(boxes, dtype=torch.float64),
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(labels),
    )
    kept = batched_nms(every, likely, kinds, 0.45)
    kept = kept[(kinds[kept] == 1) & (likely[kept] >= 0.2)]
    settings = {"outputs": "yolox", "fit": "letterbox", "channels": "BGR", **RAW, "threshold": 0.2}
    found = find(frame, model=path, label=1, **settings)
    check(found, every[kept].numpy() / 0.6, likely[kept].numpy(), frame)


# ---------------------------------------------------------------- what is proposed and refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {},
            r"persons\.outputs, persons\.fit, persons\.channels, persons\.mean, persons\.std, persons\.label must be "
            r"given.*look like outputs=yolox fit=letterbox channels=BGR mean=\[0,0,0\] std=\[1,1,1\] label=ID",
        ),
        (
            {"fit": "stretch", "label": "1"},
            r"yolox\.onnx: persons\.outputs, persons\.channels, persons\.mean, .*must be",
        ),
    ],
)
def test_what_a_file_looks_like_is_proposed(settings: dict[str, str], said: str, yolox: tuple[nn.Module, str]) -> None:
    with pytest.raises(InputError, match=said):
        build_persons(parse_persons("onnx", {"model": yolox[1], **settings}))


def test_a_proposal_can_be_given_back_as_it_is(
    ssdlite: tuple[nn.Module, str], yolox: tuple[nn.Module, str], tmp_path: Path, frame: np.ndarray
) -> None:
    detr = export(SmallDetr(92), torch.rand(1, 3, 64, 96), tmp_path / "detr.onnx", ["logits", "pred_boxes"])
    for path in (ssdlite[1], detr, yolox[1]):
        with pytest.raises(InputError) as refused:
            build_persons(parse_persons("onnx", {"model": path}))
        words = str(refused.value).split(" look like ")[1].split(", which only")[0].split()
        proposed = {key: value for key, _, value in (word.partition("=") for word in words)}
        if path == yolox[1]:
            assert proposed["label"] == "ID"  # of three classes nobody knows what the first is
            proposed["label"] = "0"
        else:
            assert proposed["label"] == "1"  # COCO's person
        (found,) = build_persons(parse_persons("onnx", {"model": path, **proposed})).detect([frame], [KEY])
        assert found.key == KEY


def test_names_in_the_files_metadata_are_labels(yolox: tuple[nn.Module, str], tmp_path: Path) -> None:
    settings = {"outputs": "yolox", "fit": "letterbox", "channels": "BGR", **RAW, "threshold": 0.2}
    frame = np.full((64, 96, 3), 200, dtype=np.uint8)
    for text in ("{0: 'person', 1: 'cow', 2: 'dog'}", '["person", "cow", "dog"]'):
        model = onnx.load(yolox[1])
        model.metadata_props.add(key="names", value=text)
        onnx.save(model, tmp_path / "named.onnx")
        by_name = find(frame, model=str(tmp_path / "named.onnx"), label="Cow", **settings)
        by_id = find(frame, model=yolox[1], label=1, **settings)
        assert np.array_equal(by_name.boxes, by_id.boxes)
        with pytest.raises(InputError, match=r"'horse': .*named\.onnx has no such class, expected one of 0 person"):
            find(frame, model=str(tmp_path / "named.onnx"), label="horse", **settings)


WHOLE = {"outputs": "yolox", "fit": "letterbox", "channels": "BGR", **RAW, "label": 0}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"outputs": "detr", "scores": "softmax"},
            r"persons\.outputs detr means logits \(1, Q, C\) and boxes .*output \(1",
        ),
        ({"outputs": "boxes"}, r"persons\.outputs boxes means boxes \(N, 4\), labels and scores \(N,\), found output"),
        ({"size": (64, 64)}, r"persons\.size \[64, 64\] \(height, width\), but its input is images \(1, 3, 64, 96\)"),
        ({"fit": "none"}, r"persons\.fit none leaves frames as they are, but the size \(64, 96\) is asked for"),
    ],
)
def test_settings_that_contradict_the_file_are_refused(
    settings: dict[str, Any], said: str, yolox: tuple[nn.Module, str]
) -> None:
    with pytest.raises(InputError, match=said):
        build_persons(OnnxPersons(model=yolox[1], **{**WHOLE, **settings}))


class Two(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(2).permute(0, 2, 1)[:, :, :1] * torch.ones(1, 1, 9)


def test_other_networks_are_refused(tmp_path: Path, yolox: tuple[nn.Module, str]) -> None:
    with pytest.raises(InputError, match=r"persons\.model none\.onnx: no such file"):
        build_persons(OnnxPersons(model="none.onnx"))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(InputError, match=r"text\.onnx: ONNX Runtime cannot read it"):
        build_persons(OnnxPersons(model=str(tmp_path / "text.onnx")))
    rows = export(Two(), torch.rand(1, 3, 8, 8), tmp_path / "rows.onnx", ["rows"])
    with pytest.raises(InputError, match=r"rows \(1, 64, 9\) are of none of the conventions boxes, detr and yolox"):
        build_persons(OnnxPersons(model=rows))
    detector = build_persons(OnnxPersons(model=rows, **WHOLE))
    with pytest.raises(InputError, match=r"rows\.onnx: its answer is not of the convention .*64 rows are not YOLOX'"):
        detector.detect([np.zeros((8, 8, 3), np.uint8)], [KEY])
    flat = export(nn.Flatten(), torch.rand(1, 7), tmp_path / "flat.onnx", ["flat"])
    with pytest.raises(InputError, match=r"takes images \(1, 7\); expected a picture \(1, 3, H, W\)"):
        build_persons(OnnxPersons(model=flat))


def test_without_onnx_runtime_it_is_named(yolox: tuple[nn.Module, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"ONNX Runtime is not installed.*pip install onnxruntime"):
        build_persons(OnnxPersons(model=yolox[1], **WHOLE))


def test_lists_of_the_command_line_are_lists() -> None:
    settings = {"model": "m.onnx", "mean": "[1,2,3]", "std": "[1, 2, 3]", "size": "[64, 96]", "label": "3"}
    parsed = parse_persons("onnx", settings)
    assert parsed == OnnxPersons(model="m.onnx", mean=(1, 2, 3), std=(1, 2, 3), size=(64, 96), label=3)
    with pytest.raises(InputError, match=r"persons\.mean"):
        parse_persons("onnx", {"model": "m.onnx", "mean": "[1,2"})

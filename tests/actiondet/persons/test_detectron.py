import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from actiondet.config.schema import DetectronPersons
from actiondet.persons.build import build_persons
from actiondet.persons.detectron import DetectronPersonDetector, load_detectron, load_weights
from evaluation.errors import InputError
from evaluation.records import FrameKey

needs_detectron2 = pytest.mark.skipif(importlib.util.find_spec("detectron2") is None, reason="detectron2 is missing")


def test_without_detectron2_the_message_points_to_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(InputError, match=r"detectron2 is not installed; see https://detectron2\.readthedocs\.io/\S+"):
        build_persons(DetectronPersons())


class Found:
    """What detectron2 calls Instances."""

    def __init__(self, boxes: torch.Tensor, classes: torch.Tensor, scores: torch.Tensor) -> None:
        self.pred_boxes, self.pred_classes, self.scores = SimpleNamespace(tensor=boxes), classes, scores

    def to(self, _: str) -> "Found":
        return self

    def __getitem__(self, kept: torch.Tensor) -> "Found":
        return Found(self.pred_boxes.tensor[kept], self.pred_classes[kept], self.scores[kept])


class Contract(nn.Module):
    """A network with detectron2's contract that remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def forward(self, inputs: Sequence[dict[str, Any]]) -> list[dict[str, Found]]:
        self.seen += inputs
        boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 10], [5, 5, 50, 50]])
        found = Found(boxes, torch.tensor([2, 0, 0]), torch.tensor([0.9, 0.6, 0.8]))
        return [{"instances": found} for _ in inputs]


def test_frames_go_in_as_bgr_and_persons_come_out_as_unit_boxes() -> None:
    network = Contract()
    detector = DetectronPersonDetector(network, resize=lambda frame: frame[::2, ::2], threshold=0.5)
    red = np.zeros((20, 40, 3), dtype=np.uint8)
    red[..., 0] = 200
    found = detector.detect([red] * 6, [FrameKey("v", moment) for moment in range(6)])
    assert len(network.seen) == len(found) == 6
    assert (network.seen[0]["height"], network.seen[0]["width"]) == (20, 40)
    assert network.seen[0]["image"].shape == (3, 10, 20)
    assert network.seen[0]["image"][:, 0, 0].tolist() == [0.0, 0.0, 200.0]
    assert found[5].boxes.tolist() == [[0.125, 0.25, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]
    assert found[5].scores.tolist() == pytest.approx([0.8, 0.6])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"model": {"weight": torch.zeros(81, 4), "bias": torch.zeros(81)}}, file)
    with pytest.raises(InputError, match=r"other\.pth: weights of another network.*first weight"):
        load_weights(nn.Linear(4, 2), file)


def test_zoo_pickles_are_read_without_running_code(tmp_path: Path) -> None:
    import pickle

    weight = np.arange(8, dtype=np.float32).reshape(2, 4)
    file = tmp_path / "zoo.pkl"
    file.write_bytes(pickle.dumps({"model": {"weight": weight, "bias": np.ones(2, np.float32)}, "__author__": "zoo"}))
    network = nn.Linear(4, 2)
    load_weights(network, file)
    assert torch.equal(network.weight, torch.from_numpy(weight))
    file.write_bytes(pickle.dumps({"model": Path}))
    with pytest.raises(InputError, match=r"refused"):
        load_weights(network, file)


def sample_frames(folder: Path) -> list[np.ndarray]:
    av = pytest.importorskip("av")
    frames = []
    for name, number in [("vtest_ocv.avi", 0), ("vtest_ocv.avi", 40), ("demo.mp4", 10)]:
        with av.open(str(folder / name)) as container:
            frames += [
                frame.to_ndarray(format="rgb24")
                for place, frame in enumerate(container.decode(video=0))
                if place == number
            ]
    return frames


@needs_detectron2
@pytest.mark.slow
def test_boxes_and_scores_are_those_of_detectron2s_own_predictor(shared: Path, tmp_path: Path) -> None:
    import detectron2
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor
    from detectron2.modeling import build_model

    name = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
    settings = get_cfg()
    settings.merge_from_file(str(Path(detectron2.__file__).parent / "model_zoo" / "configs" / name))
    settings.MODEL.DEVICE = "cpu"
    settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    torch.manual_seed(0)
    random = build_model(settings)
    with torch.no_grad():
        # Without ImageNet's batch norm statistics the features reach 1e4, and every proposal collapses.
        for name, weight in random.backbone.named_parameters():
            weight *= 1e-3 if name.startswith("fpn_output") else 1.0
        # So that persons are among the best hundred boxes of 80 classes.
        random.roi_heads.box_predictor.cls_score.bias[0] += 3.0
    DetectionCheckpointer(random, save_dir=str(tmp_path)).save("random")
    settings.MODEL.WEIGHTS = str(tmp_path / "random.pth")

    predictor = DefaultPredictor(settings)
    ours = load_detectron("faster_rcnn_R_50_FPN_3x", settings.MODEL.WEIGHTS, threshold=0.0)
    frames = sample_frames(shared / "videos")
    keys = [FrameKey("v", moment) for moment in range(len(frames))]
    batched = ours.detect(frames, keys)
    single = [ours.detect([frame], [key])[0] for frame, key in zip(frames, keys, strict=True)]

    compared, off_by = 0, 0.0
    for frame, one, other in zip(frames, batched, single, strict=True):
        expected = predictor(np.ascontiguousarray(frame[:, :, ::-1]))["instances"]
        expected = expected[expected.pred_classes == 0]
        height, width = frame.shape[:2]
        size = np.array([width, height, width, height])
        boxes, scores = expected.pred_boxes.tensor.numpy(), expected.scores.numpy()
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        order = np.flatnonzero(has_area)[np.argsort(-scores[has_area], kind="stable")]
        for found in (one, other):
            assert len(found) == len(order)
            pixels = np.abs(found.boxes * size - boxes[order])
            off_by = max(off_by, pixels.max(initial=0.0), np.abs(found.scores - scores[order]).max(initial=0.0))
        compared += len(one)
    print(
        f"{compared} persons in {len(frames)} frames, batched and single: off by at most {off_by:.1e} (pixels, scores)"
    )
    assert compared >= 20
    assert off_by <= 1e-4

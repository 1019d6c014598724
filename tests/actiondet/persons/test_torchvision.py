from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from actiondet.persons import torchvision as room
from actiondet.persons.torchvision import TorchvisionPersonDetector, load_torchvision_model
from evaluation.errors import InputError
from evaluation.records import FrameKey


class BrightestColumn(nn.Module):
    """torchvision's contract: finds one person at the mean red, a dog, and a faint person, in each image."""

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        answers = []
        for image in images:
            assert image.dtype == torch.float32
            red = float(image[0].mean())
            boxes = torch.tensor([[-5.0, 0, 10, 20], [0, 0, 5, 5], [10, 10, 30, 20]])
            answers.append(
                {"boxes": boxes, "labels": torch.tensor([1, 18, 1]), "scores": torch.tensor([red, 0.9, 0.2])}
            )
        return answers


def test_persons_are_kept_cut_to_the_frame_and_scaled_to_unit_boxes() -> None:
    frames = [np.full((20, 40, 3), (255, 0, 0), dtype=np.uint8) for _ in range(6)]
    frames[5] = np.full((40, 80, 3), (128, 0, 0), dtype=np.uint8)
    keys = [FrameKey("v", moment) for moment in range(6)]
    found = TorchvisionPersonDetector(BrightestColumn(), threshold=0.3).detect(frames, keys)
    assert [each.key.moment for each in found] == list(range(6))
    assert found[0].boxes.tolist() == [[0.0, 0.0, 0.25, 1.0]]
    assert found[0].scores.tolist() == [1.0]
    assert found[5].boxes.tolist() == [[0.0, 0.0, 0.125, 0.5]]
    assert found[5].scores.tolist() == pytest.approx([128 / 255])


def test_the_threshold_reaches_the_network() -> None:
    for name in ("fcos_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"):
        model = room.get_model(name, weights=None, weights_backbone=None)
        TorchvisionPersonDetector(model, threshold=0.01)
        assert getattr(model, "roi_heads", model).score_thresh == 0.01
        TorchvisionPersonDetector(model, threshold=0.5)
        assert getattr(model, "roi_heads", model).score_thresh == 0.01  # what is above is dropped afterwards


def test_weights_of_a_file_are_those_that_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name = "ssdlite320_mobilenet_v3_large"
    model = room.get_model(name, weights=None, weights_backbone=None)
    file = tmp_path / "ssd.pth"
    torch.save(model.state_dict(), file)
    loaded = load_torchvision_model(name, str(file))
    first, again = next(iter(model.parameters())), next(iter(loaded.parameters()))
    assert torch.equal(first, again)


def test_faults_name_what_is_wrong(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    with pytest.raises(InputError, match=r"no detector 'fasterrcnn'.*fasterrcnn_resnet50_fpn_v2"):
        load_torchvision_model("fasterrcnn", "DEFAULT")
    with pytest.raises(InputError, match=r"'no.pth' is neither a file nor one of torchvision's: COCO_V1, DEFAULT"):
        load_torchvision_model(name, "no.pth")
    text = tmp_path / "text.pth"
    text.write_text("not a checkpoint")
    with pytest.raises(InputError, match=r"text.pth: not a state dict"):
        load_torchvision_model(name, str(text))
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(InputError, match=r"other.pth: not a state dict of torchvision's ssdlite320"):
        load_torchvision_model(name, str(other))


def test_without_network_the_message_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> nn.Module:
        raise URLError("Name or service not known")

    monkeypatch.setattr(room, "get_model", offline)
    with pytest.raises(InputError, match=r"could not be downloaded.*https://download\.pytorch\.org/\S+\.pth"):
        load_torchvision_model("fasterrcnn_resnet50_fpn_v2", "DEFAULT")

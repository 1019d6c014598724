"""Training and testing create no float64 tensor on the device, which Apple's GPU (mps) could not hold.

torch's meta device is used for the GPU: its tensors are marked, those of the CPU are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from actiondet.config import load_config, load_recognition_config
from actiondet.models import precision
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.inference import optimize_for_inference
from actiondet.models.losses import action_loss

DETECTORS = {
    "slowonly": ["toy/slowonly_r18", "model.backbone.width=8"],
    "slowfast": ["toy/slowfast_r18", "model.backbone.width=16"],
    "non-local": ["ava21/slowonly_r50_nl_4x16_k400", "model.backbone.width=8"],
    "context, mlp": ["ava_kinetics/slowonly_r50_8x8_context_tmax_mlp_k700", "model.backbone.width=8"],
    "tracks": ["toy/slowonly_r18", "model.backbone.width=8", "model.head.roi=track", "model.head.track_head=conv"],
    "mvit": ["ava22/mvitv2_s_16x4_k400"],
    "vit": ["ava22/vit_s_16x4_videomae_k400"],
}


class DoublesOnDevice(TorchDispatchMode):
    """Refuses every operation whose result is a float64 tensor on the device."""

    def __init__(self, device: str = "meta") -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and each.device.type == self.device:
                assert each.dtype != torch.float64, f"{func} makes a float64 tensor on the device"
        return result


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The meta device, without float64."""
    monkeypatch.setattr(precision, "WITHOUT_FLOAT64", (*precision.WITHOUT_FLOAT64, "meta"))
    with DoublesOnDevice():
        yield


def step(network: nn.Module, loss: Tensor) -> None:
    """Update the weights, and their moving average."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    average = torch.optim.swa_utils.AveragedModel(network)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    average.update_parameters(network)


def test_a_double_on_the_device_is_found() -> None:
    torch.ones(2, dtype=torch.float64)
    with pytest.raises(AssertionError, match="float64 tensor on the device"):
        torch.ones(2, device="meta").double()


@pytest.mark.parametrize("settings", DETECTORS.values(), ids=DETECTORS)
def test_detectors_train_and_test_in_single_precision(settings: list[str]) -> None:
    config = load_config(settings[0], settings[1:])
    detector = build_detector(config.model).to("meta")
    clips = torch.zeros(1, 3, config.clip.frames, 64, 64, dtype=torch.uint8, device="meta")
    shape = (2, config.clip.frames, 4) if "model.head.roi=track" in settings else (2, 4)
    boxes = [torch.zeros(shape, device="meta")]
    logits = detector(detector.normalize(clips), boxes)
    step(detector, logits.mean())
    with torch.inference_mode():
        fast = optimize_for_inference(detector)
        assert fast(fast.normalize(clips), boxes).sigmoid().dtype == torch.float32


@pytest.mark.parametrize("multi_label", [True, False])
def test_the_loss_is_of_single_precision(multi_label: bool) -> None:
    # On the CPU: it selects the persons who do something, which the meta device does not know.
    logits, labels = torch.zeros(2, 3, requires_grad=True), torch.eye(2, 3)
    normalizer = torch.tensor(2.0)
    with DoublesOnDevice("cpu"):
        action_loss(logits, labels, multi_label=multi_label, normalizer=normalizer, focal_gamma=1.0).backward()


@pytest.mark.parametrize("name", ["toy/recognition_slowfast", "kinetics400/mvitv2_s_16x4_scratch"])
def test_recognizers_train_and_test_in_single_precision(name: str) -> None:
    config = load_recognition_config(name)
    recognizer = build_recognizer(config.model).to("meta")
    clips = torch.zeros(2, 3, config.clip.frames, 64, 64, dtype=torch.uint8, device="meta")
    logits = recognizer(recognizer.normalize(clips))
    step(recognizer, nn.functional.cross_entropy(logits, torch.zeros(2, dtype=torch.long, device="meta")))
    assert recognizer.eval()(recognizer.normalize(clips)).softmax(dim=1).dtype == torch.float32

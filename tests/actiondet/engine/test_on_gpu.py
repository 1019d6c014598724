"""What a GPU does otherwise: `pytest -m gpu` on a machine that has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.networks import NonLocalConfig, SlowOnlyConfig
from actiondet.data import build_test_set
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.engine.detection.testing import build_test_loader, detect_all
from actiondet.engine.devices import launch
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.engine.run import start
from actiondet.engine.train import train
from actiondet.models.build import build_backbone, build_detector

pytestmark = pytest.mark.gpu
Config = Callable[..., DetectionConfig]


def assert_trained(weights: dict[str, torch.Tensor]) -> None:
    assert all(bool(weight.isfinite().all()) for weight in weights.values())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_detectors_train_in_every_precision_and_resume(tiny_config: Config, tmp_path: Path, precision: str) -> None:
    config = tiny_config(f"train.precision={precision}", "train.save_every=1")
    fabric = launch(precision=precision)
    assert fabric.device.type == "cuda"
    train(config, folder=tmp_path, fabric=fabric)
    assert_trained(dict(load_checkpoint(tmp_path / "best.pt").weights))
    (tmp_path / "epoch_001.pt").unlink()
    train(config, folder=tmp_path, fabric=launch(precision=precision), resume=True)


def test_a_compiled_backbone_trains_on_weights_that_lie_channels_last(tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config("train.compile=true", "train.precision=bf16-mixed", "train.epochs=1")
    begun = start(config, folder=tmp_path, fabric=launch(precision="bf16-mixed"), resume=False, overwrite=False)
    stem = begun.task.network.backbone.stem.conv.weight
    assert stem.is_contiguous(memory_format=torch.channels_last_3d)
    assert begun.task.network.backbone._compiled_call_impl is not None
    train(config, folder=tmp_path, fabric=launch(precision="bf16-mixed"), overwrite=True)
    checkpoint = load_checkpoint(tmp_path / "best.pt")
    assert_trained(dict(checkpoint.weights))
    build_detector(config.model).load_state_dict(dict(checkpoint.weights))


def test_a_gpu_scores_as_the_processor_does(tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config()
    train(config, folder=tmp_path, fabric=launch())
    dataset = build_test_set(
        config.data, clip=config.clip, transform=config.transform, num_actions=config.model.num_actions
    )
    scores = []
    for device in ("cuda", "cpu"):
        fabric = launch()
        detector = network_for_testing(load_trained(tmp_path / "best.pt", config), fabric)
        if device == "cpu":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(torch.cuda, "is_available", lambda: False)
                patch.setattr(torch.cuda, "device_count", lambda: 0)
                fabric = launch()
            detector = detector.to("cpu")
        assert fabric.device.type == device
        found = detect_all(detector, dataset, build_test_loader(dataset, config, fabric), config, fabric)
        scores.append(np.concatenate([each.action_scores for each in found]))
    assert np.ptp(scores[0]) > 0.01
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=5e-3)  # convolutions run in TF32


def test_multigrid_trains_in_float16(multigrid_config: Callable[..., RecognitionConfig], tmp_path: Path) -> None:
    config = multigrid_config("train.precision=16-mixed")
    train(config, folder=tmp_path / "run", fabric=launch(precision="16-mixed"))
    assert_trained(dict(load_checkpoint(tmp_path / "run/best.pt", RecognitionConfig).weights))


@pytest.mark.parametrize("attention", ["softmax", "dot_product"])
def test_nonlocal_blocks_fit_into_float16(attention: str) -> None:
    blocks = NonLocalConfig.model_validate({"after": [[], [1, 3], [1, 3, 5], []], "attention": attention, "pool": None})
    torch.manual_seed(0)
    backbone = build_backbone(SlowOnlyConfig(depth=50, nonlocal_blocks=blocks)).cuda().train()
    with torch.autocast("cuda", dtype=torch.float16):
        (found,) = backbone(torch.randn(1, 3, 16, 224, 224, device="cuda"))
    assert bool(found.isfinite().all())
    assert all(bool(buffer.isfinite().all()) for buffer in backbone.buffers())

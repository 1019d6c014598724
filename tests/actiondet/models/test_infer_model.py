"""The configuration that a checkpoint asks for is proposed, and takes its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from actiondet.config.networks import DetectorConfig, RecognizerConfig
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import load_weights
from actiondet.models.weights.infer import infer_model


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("psf_slowfast_nln_8x8_r50", {"alpha": 4, "fusion_kernel": 5, "slow_frames": "spread", "lateral_norm": True}),
        ("slowfast_r50_8x8_tmax", {"alpha": 4, "fusion_kernel": 7, "slow_frames": "strided", "lateral_norm": False}),
        ("rec_slowfast_r101r50_4x16", {"alpha": 8, "depth": 101, "fast_depth": 50, "res5_stride": 2}),
        ("psf_slow_4x16_r50_ava_c2", {"name": "slowonly", "width": 8, "res5_dilation": 2, "res5_stride": 1}),
        ("slowonly_r50_4x16_nl", {"nonlocal_blocks": {
            "after": [[], [0, 2], [0, 2, 4], []], "attention": "softmax", "pool": [1, 2, 2], "pool_first": False,
        }}),
    ],
    indirect=["reference"],
)  # fmt: skip
def test_a_configuration_is_inferred_and_fits(reference: Any, expected: dict[str, Any], tmp_path: Path) -> None:
    path = reference.write(tmp_path)
    settings, doubts = infer_model(path)
    assert {key: settings["backbone"][key] for key in expected} == expected
    if reference.boxes is not None:
        assert settings["num_actions"] == 80
        assert settings["head"]["aligned"] is (reference.origin != "caffe2")
        assert any("multi_label" in doubt for doubt in doubts)
        network: ActionDetector | ActionRecognizer = build_detector(DetectorConfig.model_validate(settings))
    else:
        assert settings["num_classes"] == len(reference.build().head.fc.bias)
        network = build_recognizer(RecognizerConfig.model_validate(settings))
    assert not load_weights(network, path).remarks


def test_a_configuration_for_images_is_inferred(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "imagenet.pth")
    settings, _ = infer_model(tmp_path / "imagenet.pth")
    assert settings["backbone"] == {"name": "slowonly", "depth": 18, "width": 64, "in_channels": 3}

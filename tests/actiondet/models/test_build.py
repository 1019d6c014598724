from __future__ import annotations

import inspect
from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor

from actiondet.config.networks import (
    BackboneConfig,
    DetectorConfig,
    MViTConfig,
    NonLocalConfig,
    RecognizerConfig,
    RoIHeadConfig,
    SlowFastConfig,
    SlowOnlyConfig,
    VitConfig,
)
from actiondet.models.backbones.mvit import MViT
from actiondet.models.backbones.vit import Vit
from actiondet.models.blocks import Backbone
from actiondet.models.build import build_backbone, build_detector, build_recognizer
from actiondet.models.heads.roi import RoIHead
from actiondet.models.heads.track import TrackHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from evaluation.errors import InputError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "models"


@pytest.mark.parametrize(
    "backbone",
    [
        SlowOnlyConfig(depth=18, width=8),
        SlowOnlyConfig(depth=50, width=8, nonlocal_blocks=NonLocalConfig()),
        SlowFastConfig(depth=50, fast_depth=50, width=16, alpha=2, fusion_kernel=5, slow_frames="spread"),
    ],
)
def test_a_detector_scores_each_box(backbone: BackboneConfig) -> None:
    head = RoIHeadConfig(context=True, classifier="mlp", temporal_pool="max")
    detector = build_detector(DetectorConfig(backbone=backbone, head=head, num_actions=7)).eval()
    clips = detector.normalize(torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8))
    boxes = [torch.tensor([[1.0, 2.0, 20.0, 30.0], [0.0, 0.0, 32.0, 32.0]]), torch.zeros(0, 4)]
    with torch.inference_mode():
        batch = detector(clips, boxes)
        torch.testing.assert_close(batch, detector(clips[:1], boxes[:1]), rtol=1e-4, atol=1e-5)
    assert batch.shape == (2, 7)
    with pytest.raises(ValueError, match="1 lists of boxes for 2 clips"):
        detector(clips, boxes[:1])


def test_the_head_follows_the_stride_of_the_backbone() -> None:
    for stride in (1, 2):
        config = DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8, res5_stride=stride))
        assert build_detector(config).head.stride == 16 * stride


def test_a_recognizer_scores_each_clip() -> None:
    config = RecognizerConfig(backbone=SlowFastConfig(depth=18, width=8, res5_stride=2), num_classes=5)
    assert build_recognizer(config)(torch.randn(2, 3, 4, 64, 64)).shape == (2, 5)


ROI = {"channels", "stride", "num_actions"}
"""What a head is built with beside its settings: the maps of its backbone, and its columns."""


@pytest.mark.parametrize(
    ("config", "builds", "also"),
    [
        (SlowOnlyConfig, [SlowOnly], {"stem_frames", "lateral_channels"}),
        (SlowFastConfig, [SlowFast], set()),
        (MViTConfig, [MViT], set()),
        (VitConfig, [Vit], set()),
        (NonLocalConfig, [NonLocalSpec], set()),
        (RoIHeadConfig, [RoIHead, TrackHead], {*ROI, "spread_frames"}),
    ],
)
def test_settings_are_the_arguments_of_what_they_build(
    config: type[BaseModel], builds: list[type[object]], also: set[str]
) -> None:
    parameters = {
        name
        for kind in builds
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    assert parameters - also == set(config.model_fields) - {"name", "roi"}


class PlainConfig(BackboneConfig):
    name: Literal["plain"] = "plain"
    width: int = 4


class Plain(Backbone):
    channels = (4,)
    stride = 16

    def forward(self, clips: Tensor) -> list[Tensor]:
        return [torch.zeros(len(clips), 4, 1, 4, 4)]


def test_a_backbone_of_ones_own_joins_by_one_class_and_one_function() -> None:
    with pytest.raises(TypeError, match="no builder for the backbone settings PlainConfig"):
        build_backbone(PlainConfig())

    @build_backbone.register
    def _(config: PlainConfig) -> Backbone:
        return Plain()

    detector = build_detector(DetectorConfig.model_validate({"backbone": {"name": "plain"}, "num_actions": 3}))
    assert detector(torch.zeros(1, 3, 2, 8, 8), [torch.ones(2, 4)]).shape == (2, 3)


def test_settings_that_do_not_go_together_are_told() -> None:
    config = DetectorConfig(backbone=SlowOnlyConfig(depth=18, nonlocal_blocks=NonLocalConfig()))
    with pytest.raises(InputError, match=r"settings of the model .* after block 2 of res3: it has 0 to 1"):
        build_detector(config)


def test_normalization_is_mmaction2s() -> None:
    """Authority: preprocess.pt, by MMAction2 1.2.0."""
    truth = torch.load(GOLDEN / "preprocess.pt", weights_only=True)
    detector = build_detector(DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8)))
    torch.testing.assert_close(detector.normalize(truth["raw"]), truth["normalised"], rtol=0, atol=1e-6)


def test_normalization_stays_exact_in_half_precision_and_out_of_the_state() -> None:
    detector = build_detector(DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8)))
    clips = torch.full((1, 3, 1, 1, 1), 200, dtype=torch.uint8)
    before = detector.normalize(clips)
    assert torch.equal(detector.bfloat16().normalize(clips), before)
    assert not [name for name in detector.state_dict() if name.endswith(("mean", "std")) and "running" not in name]

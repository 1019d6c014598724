from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import actiondet
from actiondet.config.networks import (
    BackboneConfig,
    DetectorConfig,
    NonLocalConfig,
    RecognizerConfig,
    RoIHeadConfig,
    SlowFastConfig,
    SlowOnlyConfig,
)
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import FlatConv, computes_in_bfloat16

BACKBONES: dict[str, BackboneConfig] = {
    "slowonly": SlowOnlyConfig(depth=50, width=4, nonlocal_blocks=NonLocalConfig()),
    "slowonly_r18": SlowOnlyConfig(depth=18, width=4, res5_dilation=2),
    "slowfast": SlowFastConfig(depth=50, width=8, beta_inv=4, alpha=2, fusion_kernel=5),
    "slowfast_plain_laterals": SlowFastConfig(depth=18, width=8, alpha=2, lateral_norm=False),
}


def vary_norms(network: nn.Module) -> None:
    """Without it, folding would have little to do."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)


def detector_named(name: str) -> ActionDetector:
    torch.manual_seed(0)
    head = RoIHeadConfig(context=True, temporal_pool="max", classifier="mlp")
    detector = build_detector(DetectorConfig(backbone=BACKBONES[name], head=head, num_actions=5)).eval()
    vary_norms(detector)
    return detector


def people() -> tuple[Tensor, list[Tensor]]:
    """Three clips, with three boxes, none and one."""
    torch.manual_seed(1)
    corners = torch.rand(4, 2, 2) * 24
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1) + 8], dim=1)
    return torch.randn(3, 3, 4, 32, 32), [boxes[:3], boxes[:0], boxes[3:]]


@pytest.mark.parametrize("name", BACKBONES)
def test_scores_stay_the_same_and_the_network_given_is_left_alone(name: str) -> None:
    detector, (clips, boxes) = detector_named(name), people()
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    with torch.inference_mode():
        expected = detector(clips, boxes).sigmoid()
    fast = actiondet.optimize_for_inference(detector)
    assert type(fast) is ActionDetector
    assert (fast(clips, boxes).sigmoid() - expected).abs().max() < 1e-5
    assert (fast.mean, fast.std) == (detector.mean, detector.std)
    after = detector.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_batch_norms_are_gone_and_convolutions_are_flat() -> None:
    fast = actiondet.optimize_for_inference(detector_named("slowfast"))
    left = [module for module in fast.modules() if isinstance(module, nn.BatchNorm3d | nn.Conv3d)]
    assert [conv.kernel_size for conv in left] == [(5, 7, 7)]  # the stem of the fast pathway alone spans both
    assert sum(isinstance(module, FlatConv) for module in fast.modules()) > 100


@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"),
    [
        ((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
        ((1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
        ((1, 3, 3), (1, 1, 1), (0, 2, 2), (1, 2, 2)),
        ((3, 1, 1), (1, 1, 1), (1, 0, 0), (1, 1, 1)),
        ((5, 1, 1), (4, 1, 1), (2, 0, 0), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last_3d])
def test_a_flat_convolution_is_the_one_it_replaces(
    size: tuple[int, int, int],
    stride: tuple[int, int, int],
    padding: tuple[int, int, int],
    dilation: tuple[int, int, int],
    memory: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv3d(6, 5, size, stride, padding, dilation).requires_grad_(False)
    x = torch.randn(2, 6, 8, 9, 7).contiguous(memory_format=memory)
    torch.testing.assert_close(FlatConv(conv)(x), conv(x))


def test_bfloat16_moves_scores_a_little_and_returns_float32() -> None:
    detector, (clips, boxes) = detector_named("slowonly"), people()
    with torch.inference_mode():
        expected = detector(clips, boxes).sigmoid()
    half = actiondet.optimize_for_inference(detector, precision="bfloat16")
    scores = half(clips, boxes).sigmoid()
    assert scores.dtype == torch.float32
    assert 0 < (scores - expected).abs().max() < 0.1
    alone = torch.cat([half(clip[None], [own]) for clip, own in zip(clips, boxes, strict=True)]).sigmoid()
    torch.testing.assert_close(scores, alone, rtol=0, atol=1e-3)
    twice = actiondet.optimize_for_inference(actiondet.optimize_for_inference(detector), precision="bfloat16")
    torch.testing.assert_close(twice(clips, boxes).sigmoid(), scores, rtol=0, atol=1e-3)


def test_auto_takes_bfloat16_where_the_processor_computes_in_it() -> None:
    fast = actiondet.optimize_for_inference(detector_named("slowonly_r18"), precision="auto")
    own = computes_in_bfloat16(torch.device("cpu"))
    assert next(fast.backbone.buffers()).dtype == (torch.bfloat16 if own else torch.float32)


@pytest.mark.parametrize("name", ["slowonly", "slowfast"])
def test_clips_with_different_numbers_of_boxes_score_as_clip_by_clip(name: str) -> None:
    plain, (clips, boxes) = detector_named(name), people()
    for network in (plain, actiondet.optimize_for_inference(plain)):
        with torch.inference_mode():
            together = network(clips, boxes)
            alone = torch.cat([network(clip[None], [own]) for clip, own in zip(clips, boxes, strict=True)])
        assert together.shape == (4, 5)
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_a_recognizer_is_made_fast_too_and_no_gradients_are_recorded() -> None:
    torch.manual_seed(0)
    recognizer = build_recognizer(RecognizerConfig(backbone=BACKBONES["slowfast"], num_classes=7)).eval()
    vary_norms(recognizer)
    clips = torch.randn(2, 3, 4, 32, 32)
    expected = recognizer(clips)
    found = actiondet.optimize_for_inference(recognizer)(clips.requires_grad_())
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_scores() -> None:
    detector, (clips, boxes) = detector_named("slowonly_r18"), people()
    with torch.inference_mode():
        expected = detector(clips, boxes).sigmoid()
    scores = actiondet.optimize_for_inference(detector, compile=True)(clips, boxes).sigmoid()
    assert (scores - expected).abs().max() < 1e-5

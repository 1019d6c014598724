"""Training in bfloat16 on the CPU: the gradients of every convolution that a shipped configuration can meet."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from actiondet.config import load_config, load_recognition_config
from actiondet.config.networks import SlowFastConfig, SlowOnlyConfig
from actiondet.engine.run import check_bfloat16
from actiondet.models.build import build_backbone
from actiondet.models.convolution import Conv3d
from evaluation.errors import InputError

CONFIGS = Path(__file__).parents[3] / "configs"

TEMPORAL_KERNELS = [(3, 1, 1), (3, 3, 3), (5, 1, 1), (7, 1, 1), (5, 7, 7)]


def weight_gradient(conv: nn.Conv3d, clips: Tensor, *, reduced: bool) -> Tensor:
    conv.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
        features = conv(clips)
    features.float().square().sum().backward()
    assert conv.weight.grad is not None
    return conv.weight.grad.clone()


@pytest.mark.parametrize("channels", [8, 16, 32])
@pytest.mark.parametrize("kernel", TEMPORAL_KERNELS)
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 8])
def test_a_convolution_over_time_has_the_gradient_of_float32(
    frames: int, kernel: tuple[int, ...], channels: int
) -> None:
    torch.manual_seed(0)
    conv = Conv3d(channels, channels, kernel, padding=tuple(size // 2 for size in kernel), bias=False)
    clips = torch.randn(2, channels, frames, 7, 7)
    exact = weight_gradient(conv, clips, reduced=False)
    torch.testing.assert_close(weight_gradient(conv, clips, reduced=True), exact, rtol=0.02, atol=0.02 * exact.std())


def test_a_convolution_over_space_computes_in_bfloat16() -> None:
    conv = Conv3d(8, 8, (1, 3, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(torch.randn(1, 8, 2, 8, 8)).dtype == torch.bfloat16


def shipped_backbones() -> dict[str, tuple[SlowOnlyConfig | SlowFastConfig, set[int]]]:
    """Each distinct backbone of the shipped configurations, narrow, with the clip lengths it trains on."""
    found: dict[str, tuple[SlowOnlyConfig | SlowFastConfig, set[int]]] = {}
    for path in sorted(CONFIGS.glob("[!_]*/*.yaml")):
        text = path.read_text()
        if "multigrid:" in text or "recognition" in path.name or path.parent.name in RECOGNITION:
            config = load_recognition_config(path)
            lengths = {config.clip.frames}
            if config.multigrid is not None:
                lengths |= {max(config.clip.frames // divisor, 1) for divisor in (2, 4)}
        else:
            config = load_config(path)
            lengths = {config.clip.frames}
        backbone = config.model.backbone
        if isinstance(backbone, SlowOnlyConfig | SlowFastConfig):
            narrow = backbone.model_copy(update={"width": 16})
            found.setdefault(repr(narrow), (narrow, set()))[1].update(lengths)
    return found


RECOGNITION = {"kinetics400", "kinetics700", "ucf101"}


def shapes() -> Iterator[tuple[SlowOnlyConfig | SlowFastConfig, int]]:
    for config, lengths in shipped_backbones().values():
        alpha = config.alpha if isinstance(config, SlowFastConfig) else 1
        yield from itertools.product([config], sorted(each for each in lengths if each % alpha == 0))


def test_shipped_networks_have_the_gradients_of_float32_at_every_clip_length() -> None:
    """Each convolution alone, on the map that it meets: through a whole network bfloat16 itself moves gradients."""
    met: set[tuple[object, ...]] = set()
    for config, frames in shapes():
        torch.manual_seed(0)
        backbone = build_backbone(config).eval()
        convolutions: list[tuple[nn.Conv3d, Tensor]] = []
        for module in backbone.modules():
            if isinstance(module, nn.Conv3d):
                module.register_forward_pre_hook(
                    lambda conv, inputs: convolutions.append((conv, inputs[0].detach()))  # noqa: B023
                )
        with torch.no_grad():
            backbone(torch.randn(1, 3, frames, 32, 32))
        for conv, clips in convolutions:
            shape = (tuple(clips.shape[1:]), conv.out_channels, conv.kernel_size, conv.stride, conv.dilation)
            if shape in met:
                continue
            met.add(shape)
            plain = copy.deepcopy(conv)
            plain._forward_pre_hooks.clear()
            exact = weight_gradient(plain, clips, reduced=False)
            got = weight_gradient(plain, clips, reduced=True)
            assert float((got - exact).norm() / exact.norm()) < 0.02, shape
    assert len({(shape[0][1], shape[2]) for shape in met if shape[2][0] > 1}) > 5  # type: ignore[index]


def test_a_network_of_plain_convolutions_over_time_is_refused_in_bfloat16() -> None:
    check_bfloat16(nn.Sequential(nn.Conv3d(2, 2, (1, 3, 3)), Conv3d(2, 2, 3)))
    with pytest.raises(InputError, match=r"gradients of 0, a plain nn\.Conv3d over 3 frames"):
        check_bfloat16(nn.Sequential(nn.Conv3d(2, 2, 3)))

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from actiondet.config.networks import SlowFastConfig
from actiondet.models.blocks import Bottleneck
from actiondet.models.build import build_backbone
from actiondet.models.nonlocal_block import NonLocalBlock, NonLocalSpec
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from actiondet.video.sampling import spread_frames

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "models"
NONLOCAL = NonLocalSpec(after=((), (0, 2), (0, 2, 4), ()))


def test_spread_frames_are_pyslowfasts() -> None:
    """Authority: slow_index_tables.json, torch.linspace and numpy.linspace as PySlowFast and PaddleVideo use them."""
    tables = json.loads((GOLDEN / "slow_index_tables.json").read_text())
    assert len(tables) > 10
    for key, table in tables.items():
        frames, alpha = map(int, key.split("/"))
        assert spread_frames(frames, frames // alpha) == table["torch"] == table["numpy"], key


def test_strided_frames_begin_with_the_first() -> None:
    clips = torch.arange(8.0).view(1, 1, 8, 1, 1)
    network = SlowFast(width=8, depth=18)
    assert network.pick_slow_frames(clips).flatten().tolist() == [0, 4]


def test_a_clip_that_alpha_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="clips of 6 frames; alpha 4 needs a multiple of 4"):
        SlowFast(width=8, depth=18)(torch.zeros(1, 3, 6, 32, 32))


@pytest.mark.parametrize(
    ("network", "millions"),
    # Published with 400 Kinetics classes (MMAction2's model zoo); the head adds 400 x (channels + 1).
    [
        (lambda: SlowOnly(), 32.45),
        (lambda: SlowOnly(depth=101), 60.36),
        (lambda: SlowOnly(nonlocal_blocks=NONLOCAL), 39.81),
        (lambda: SlowFast(alpha=8, fusion_kernel=5, lateral_norm=False), 34.5),
        (lambda: SlowFast(fusion_kernel=7, lateral_norm=False), 34.6),
        (lambda: SlowFast(depth=101, fusion_kernel=7, lateral_norm=False), 62.9),
        (lambda: SlowFast(depth=101, fast_depth=50, alpha=8, fusion_kernel=5, lateral_norm=False), 62.4),
    ],
)
def test_networks_have_as_many_weights_as_published(network: type, millions: float) -> None:
    with torch.device("meta"):
        backbone = network()
    count = sum(p.numel() for p in backbone.parameters()) + 400 * (sum(backbone.channels) + 1)
    assert count / 1e6 == pytest.approx(millions, abs=0.051 if millions * 10 % 1 == 0 else 0.0051)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize(("stride", "dilation"), [(2, 1), (1, 1), (1, 2)])
def test_maps_have_the_promised_channels_and_stride(depth: int, stride: int, dilation: int) -> None:
    networks = [
        SlowOnly(depth=depth, width=8, res5_stride=stride, res5_dilation=dilation),
        SlowFast(depth=depth, width=8, alpha=2, res5_stride=stride, res5_dilation=dilation),
    ]
    for network in networks:
        features = network.eval()(torch.randn(1, 3, 4, 32, 64))
        assert tuple(feature.shape[1] for feature in features) == network.channels
        for feature, frames in zip(features, (4,) if len(features) == 1 else (2, 4), strict=True):
            assert tuple(feature.shape[2:]) == (frames, 32 // network.stride, 64 // network.stride)


def test_blocks_begin_as_the_identity() -> None:
    """Zero-initialized last norms (Goyal et al. 2017): a fresh network passes its stem through its shortcuts."""
    network = SlowOnly(width=8, nonlocal_blocks=NONLOCAL).train()
    x = torch.rand(2, 64, 2, 8, 8)
    assert isinstance(network.res3[2], Bottleneck)
    torch.testing.assert_close(network.res3[2](x), x)
    for part in network.modules():
        if isinstance(part, nn.Conv3d):
            fan_out = part.weight.shape[0] * part.weight[0, 0].numel()
            assert float(part.weight.detach().std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.5)


@pytest.mark.parametrize("depth", [18, 50])
def test_blocks_may_begin_with_all_they_compute(depth: int) -> None:
    """zero_init_residual=False: every norm of both pathways scales by one."""
    network = build_backbone(SlowFastConfig(depth=depth, width=8, zero_init_residual=False))
    scales = [part.weight for part in network.modules() if isinstance(part, nn.BatchNorm3d)]
    assert scales
    assert all(bool((scale == 1).all()) for scale in scales)


@pytest.mark.parametrize(
    ("settings", "temporal"),
    [
        ({}, (0, 0, 6, 3)),
        ({"depth": 101}, (0, 0, 23, 3)),
        ({"depth": 101, "temporal_blocks": (0, 0, 6, 3)}, (0, 0, 6, 3)),
        ({"depth": 18, "temporal_blocks": (1, 2, 0, 1)}, (1, 2, 0, 1)),
    ],
)
def test_the_first_blocks_of_a_stage_look_over_time(settings: dict, temporal: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = SlowOnly(**settings)
    stages = (network.res2, network.res3, network.res4, network.res5)
    for stage, count in zip(stages, temporal, strict=True):
        kernels = [block.conv_a.kernel_size[0] for block in stage]
        assert kernels == [3] * count + [1] * (len(kernels) - count)


@pytest.mark.parametrize("attention", ["softmax", "dot_product"])
@pytest.mark.parametrize("pool", [None, (1, 2, 2), (2, 2, 2)])
@pytest.mark.parametrize("pool_first", [False, True])
def test_a_nonlocal_block_is_a_weighted_sum_over_positions(
    attention: str, pool: tuple | None, pool_first: bool
) -> None:
    block = NonLocalBlock(6, spec=NonLocalSpec(((), (), (), ()), attention, pool, pool_first)).double().eval()
    x = torch.randn(2, 6, 4, 4, 6, dtype=torch.float64)
    pooled = (lambda t: t) if pool is None else nn.MaxPool3d(pool)
    keys = (block.phi(pooled(x)) if pool_first else pooled(block.phi(x))).flatten(2)
    values = (block.g(pooled(x)) if pool_first else pooled(block.g(x))).flatten(2)
    queries = block.theta(x).flatten(2)
    products = torch.einsum("bcq,bck->bqk", queries, keys)
    weights = (products / 3**0.5).softmax(2) if attention == "softmax" else products / keys.shape[2]
    summed = torch.einsum("bqk,bck->bcq", weights, values).reshape(2, 3, 4, 4, 6)
    torch.testing.assert_close(block(x), x + block.norm(block.out(summed)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SlowOnly(depth=77), "unknown ResNet depth 77; expected one of 18, 50, 101"),
        (lambda: SlowOnly(temporal_blocks=(0, 0, 7, 3)), "7 temporal blocks in res4: it has 6 at depth 50"),
        (lambda: SlowOnly(nonlocal_blocks=NonLocalSpec(((), (4,), (), ()))), "after block 4 of res3: it has 0 to 3"),
        (lambda: SlowFast(depth=50, fast_depth=18), "depths 50 and 18 have different kinds of block"),
    ],
)
def test_impossible_networks_are_refused(build: type, message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build()

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from actiondet.config.networks import DetectorConfig, RoIHeadConfig, SlowFastConfig, SlowOnlyConfig
from actiondet.models.build import build_detector
from actiondet.models.heads.roi import RoIHead
from actiondet.models.heads.track import TrackHead

BOXES = [
    torch.tensor([[3.0, 4.0, 60.0, 90.0], [10.0, 0.0, 40.0, 33.0]]),
    torch.zeros(0, 4),
    torch.tensor([[20.0, 9.0, 80.0, 70.0]]),
]


def maps(*lengths: int, channels: int = 6, height: int = 6, width: int = 9) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(3, channels, length, height, width, generator=generator) for length in lengths]


def standing(boxes: list[Tensor], frames: int) -> list[Tensor]:
    return [each[:, None].expand(-1, frames, -1) for each in boxes]


def twins(**settings: object) -> tuple[RoIHead, TrackHead]:
    """A static head and one that follows tracks, with the same weights."""
    static = RoIHead(channels=(6, 6), num_actions=4, **settings)
    track = TrackHead(channels=(6, 6), num_actions=4, **settings)
    track.load_state_dict(static.state_dict())
    return static.eval(), track.eval()


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
@pytest.mark.parametrize("aligned", [False, True])
def test_people_who_stand_still_score_as_with_one_box(context: bool, classifier: str, aligned: bool) -> None:
    static, track = twins(context=context, classifier=classifier, aligned=aligned)
    features = maps(2, 8)
    people = track.pool(features, standing(BOXES, 8))
    torch.testing.assert_close(people, static.pool(features, BOXES), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(people, track.pool(features, BOXES), rtol=0, atol=0)
    expected = static.classify(static.pool(features, BOXES))
    torch.testing.assert_close(track.classify(people), expected, rtol=1e-5, atol=1e-5)


def test_max_pooling_takes_the_frame_with_the_strongest_response() -> None:
    features = maps(3)
    head = TrackHead(channels=(6,), num_actions=4, temporal_pool="max")
    moving = [torch.cat([each[:, None] + 7.0 * t for t in range(3)], dim=1) for each in BOXES]
    static = RoIHead(channels=(6,), num_actions=4)
    frames = [static.pool([features[0][:, :, t : t + 1]], [each[:, t] for each in moving]) for t in range(3)]
    torch.testing.assert_close(head.pool(features, moving), torch.stack(frames).amax(dim=0))


def test_each_map_is_cut_at_the_boxes_of_the_frames_that_it_shows() -> None:
    # A slow map shows frames 0 and 4 of 8; spread ones show frames 0 and 7.
    boxes = torch.arange(8.0)[None, :, None] * 4 + torch.tensor([0.0, 0.0, 30.0, 50.0])
    feature = maps(2)[0][:1]
    static = RoIHead(channels=(6,), num_actions=4)
    for spread, shown in ((False, (0, 4)), (True, (0, 7))):
        head = TrackHead(channels=(6,), num_actions=4, spread_frames=spread)
        alone = [static.pool([feature[:, :, [t]]], [boxes[:, frame]]) for t, frame in enumerate(shown)]
        torch.testing.assert_close(head.pool([feature], [boxes]), torch.stack(alone).mean(dim=0))


@pytest.mark.parametrize("track_head", ["pool", "conv"])
def test_a_person_is_seen_wherever_he_goes(track_head: str) -> None:
    # One cell of each frame's map is lit: the one under a person who walks to the right.
    feature = torch.zeros(1, 1, 4, 6, 12)
    boxes = torch.stack([torch.tensor([32.0 * t + 32, 32.0, 32.0 * t + 48, 48.0]) for t in range(4)])[None]
    for t in range(4):
        feature[0, 0, t, 2, 2 * t + 2] = 1.0
    head = TrackHead(channels=(1,), num_actions=2, track_head=track_head).eval()
    followed, left_behind = head.pool([feature], [boxes]), head.pool([feature], [boxes[:, :1].expand(-1, 4, -1)])
    assert followed.amax() == pytest.approx(1.0, abs=0.3)
    assert followed.sum() == pytest.approx(4 * float(left_behind.sum()), rel=1e-4)


@pytest.mark.parametrize("track_head", ["pool", "conv"])
@pytest.mark.parametrize("context", [False, True])
def test_a_batch_gives_the_same_logits_as_clip_by_clip(track_head: str, context: bool) -> None:
    features = maps(2, 8)
    torch.manual_seed(0)
    head = TrackHead(channels=(6, 6), num_actions=4, context=context, classifier="mlp", track_head=track_head).eval()
    boxes = [each + torch.arange(8.0)[:, None] for each in standing(BOXES, 8)]
    batch = head.classify(head.pool(features, boxes))
    single = [
        head.classify(head.pool([each[clip : clip + 1] for each in features], [people]))
        for clip, people in enumerate(boxes)
    ]
    assert [len(each) for each in single] == [2, 0, 1]
    torch.testing.assert_close(batch, torch.cat(single))


def test_convolutions_tell_the_order_of_the_frames() -> None:
    torch.manual_seed(0)
    head = TrackHead(channels=(6,), num_actions=4, track_head="conv").eval()
    pool = TrackHead(channels=(6,), num_actions=4).eval()
    people, feature = BOXES[:1], maps(6)[0][:1]
    difference = {
        name: float(
            (each.classify(each.pool([feature], people)) - each.classify(each.pool([feature.flip(2)], people)))
            .detach()
            .abs()
            .max()
        )
        for name, each in (("conv", head), ("pool", pool))
    }
    assert difference["conv"] > 1e-2
    assert difference["pool"] < 1e-5


@pytest.mark.parametrize("dropout_at", ["cells", "vector"])
def test_gradients_reach_maps_and_convolutions(dropout_at: str) -> None:
    feature = maps(4)[0].requires_grad_()
    head = TrackHead(channels=(6,), num_actions=4, track_head="conv", dropout_at=dropout_at, dropout=0.2).train()
    head.classify(head.pool([feature], standing(BOXES, 4))).square().sum().backward()
    assert feature.grad is not None
    assert feature.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_half_precision_maps_are_cut_with_exact_boxes() -> None:
    features, boxes = (
        maps(2),
        standing([torch.tensor([[100.3, 40.7, 130.9, 80.2]]), torch.zeros(0, 4), torch.zeros(0, 4)], 2),
    )
    head = TrackHead(channels=(6,), num_actions=4)
    half = head.pool([each.bfloat16() for each in features], boxes)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), head.pool(features, boxes), rtol=0, atol=0.02)


@pytest.mark.parametrize("track_head", ["pool", "conv"])
def test_the_head_is_exported_for_any_number_of_people_and_frames(track_head: str) -> None:
    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = TrackHead(channels=(3, 2), num_actions=4, track_head=track_head).eval()

        def forward(self, slow: Tensor, fast: Tensor, boxes: Tensor, clip_index: Tensor) -> Tensor:
            return self.head.classify(self.head.pool_rows([slow, fast], boxes, clip_index))

    def example(people: int, slow_frames: int) -> tuple[Tensor, ...]:
        frames = 2 * slow_frames
        slow, fast = torch.randn(2, 3, slow_frames, 6, 9), torch.randn(2, 2, frames, 6, 9)
        return slow, fast, torch.rand(people, frames, 4) * 80, torch.arange(people) % 2

    slow_frames, dynamic = torch.export.Dim("slow_frames", min=1), torch.export.Dim.DYNAMIC
    clip, people = {0: dynamic}, {0: dynamic, 1: 2 * slow_frames}
    shapes = ({**clip, 2: slow_frames}, {**clip, 2: 2 * slow_frames}, people, {0: dynamic})
    network = Cut()
    exported = torch.export.export(network, example(5, 2), dynamic_shapes=shapes).module()
    for people_count, count in ((0, 2), (1, 2), (3, 4), (2, 1)):
        inputs = example(people_count, count)
        torch.testing.assert_close(exported(*inputs), network(*inputs))


def test_a_static_head_refuses_tracks() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2, 4\); expected \(P, 4\), this head follows no tracks"):
        RoIHead(channels=(6,), num_actions=4).pool(maps(2), standing(BOXES, 2))


def test_the_setting_builds_the_head_for_its_backbone() -> None:
    backbone = SlowFastConfig(depth=18, width=8, slow_frames="spread")
    head = RoIHeadConfig(roi="track", track_head="conv", conv_channels=16)
    detector = build_detector(DetectorConfig(backbone=backbone, head=head, num_actions=3)).eval()
    assert isinstance(detector.head, TrackHead)
    assert detector.head.follows_tracks
    assert detector.head.spread_frames
    boxes = [torch.rand(2, 8, 4).sort(dim=2).values * 64, torch.zeros(0, 8, 4)]
    assert detector(torch.randn(2, 3, 8, 64, 64), boxes).shape == (2, 3)
    strided = DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8), head=RoIHeadConfig(roi="track"))
    assert not build_detector(strided).head.spread_frames
    assert not build_detector(DetectorConfig(backbone=backbone)).head.follows_tracks


def test_a_temporal_head_without_tracks_is_refused() -> None:
    with pytest.raises(ValueError, match="track_head 'conv' belongs to roi 'track'"):
        RoIHeadConfig(track_head="conv")

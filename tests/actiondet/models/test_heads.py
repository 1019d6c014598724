from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from actiondet.models.heads.pooling import average_cells
from actiondet.models.heads.recognition import RecognitionHead
from actiondet.models.heads.roi import RoIHead

BOXES = [
    torch.tensor([[3.0, 4.0, 60.0, 90.0], [10.0, 0.0, 40.0, 33.0]]),
    torch.zeros(0, 4),
    torch.tensor([[20.0, 9.0, 80.0, 70.0]]),
]


def maps(*lengths: int, channels: int = 6, height: int = 6, width: int = 9) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(3, channels, length, height, width, generator=generator) for length in lengths]


@pytest.mark.parametrize("temporal_pool", ["avg", "max"])
@pytest.mark.parametrize("context", [False, True])
def test_pooling_time_first_equals_repeating_the_slow_map(temporal_pool: str, context: bool) -> None:
    slow, fast = maps(2, 8)
    head = RoIHead(channels=(6, 6), num_actions=4, temporal_pool=temporal_pool, context=context)
    together = head.pool([slow, fast], BOXES)
    one = RoIHead(channels=(12,), num_actions=4, temporal_pool=temporal_pool, context=context)
    repeated = one.pool([torch.cat([slow.repeat_interleave(4, dim=2), fast], dim=1)], BOXES)
    torch.testing.assert_close(together, repeated)
    assert together.shape == (3, 24 if context else 12, 8, 8)


@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_a_batch_gives_the_same_logits_as_clip_by_clip(classifier: str) -> None:
    features = maps(2, 8)
    head = RoIHead(channels=(6, 6), num_actions=4, context=True, classifier=classifier).eval()
    batch = head.classify(head.pool(features, BOXES))
    single = [
        head.classify(head.pool([each[clip : clip + 1] for each in features], [boxes]))
        for clip, boxes in enumerate(BOXES)
    ]
    assert [len(each) for each in single] == [2, 0, 1]
    torch.testing.assert_close(batch, torch.cat(single))


def test_boxes_without_area_give_zeros_where_aligned() -> None:
    flat = [torch.tensor([[5.0, 5.0, 5.0, 50.0], [30.0, 30.0, 20.0, 20.0]]), torch.zeros(0, 4), torch.zeros(1, 4)]
    head = RoIHead(channels=(6,), num_actions=4)
    assert not head.pool(maps(2), flat).any()


def test_a_box_is_cut_from_its_own_clip() -> None:
    features = [torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 1, 2, 6, 9)]
    people = RoIHead(channels=(1,), num_actions=4).pool(features, BOXES)
    assert people.amax(dim=(1, 2, 3)).tolist() == [0, 0, 2]


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (8, 8), (14, 25), (17, 9)])
def test_context_cells_are_adaptive_average_pooling(size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(average_cells(image, 8), F.adaptive_avg_pool2d(image, 8))


def test_context_pooling_is_exported_for_every_image_size() -> None:
    class Context(torch.nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return average_cells(image, 8)

    sizes = {2: torch.export.Dim("height", min=2, max=64), 3: torch.export.Dim("width", min=2, max=64)}
    exported = torch.export.export(Context(), (torch.randn(1, 3, 14, 25),), dynamic_shapes=(sizes,)).module()
    other = torch.randn(1, 3, 16, 21)
    torch.testing.assert_close(exported(other), F.adaptive_avg_pool2d(other, 8))


def test_half_precision_maps_are_cut_with_exact_boxes() -> None:
    features = maps(2)
    boxes = [torch.tensor([[100.3, 40.7, 130.9, 80.2]]), torch.zeros(0, 4), torch.zeros(0, 4)]
    head = RoIHead(channels=(6,), num_actions=4)
    exact = head.pool(features, boxes)
    half = head.pool([each.bfloat16() for each in features], boxes)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.02)


@pytest.mark.parametrize(("dropout_at", "dropped_alike"), [("vector", True), ("cells", False)])
def test_dropout_takes_cells_or_the_pooled_vector(dropout_at: str, dropped_alike: bool) -> None:
    head = RoIHead(channels=(64,), num_actions=1, dropout=0.5, dropout_at=dropout_at).train().requires_grad_(False)
    torch.nn.init.ones_(head.fc.weight)
    torch.manual_seed(0)
    # A cell that is kept is doubled: with 64 cells a channel, all channels keep one; the vector loses half of them.
    total = float(head.classify(torch.ones(1, 64, 8, 8)).sum())
    assert (total < 100) is dropped_alike
    head.eval()
    assert float(head.classify(torch.ones(1, 64, 8, 8)).sum()) == pytest.approx(64)


def test_positions_are_averaged_as_logits_or_as_probabilities() -> None:
    features = maps(2, height=3, width=4)
    heads = {
        kind: RecognitionHead(channels=(6,), num_classes=5, window=2, average_positions=kind)
        for kind in ("logits", "softmax")
    }
    for head in heads.values():
        head.eval()
        torch.nn.init.normal_(head.fc.weight, generator=torch.Generator().manual_seed(1))
    pooled = F.avg_pool3d(features[0], (2, 2, 2), stride=1).flatten(2).transpose(1, 2)
    logits = F.linear(pooled, heads["logits"].fc.weight)
    torch.testing.assert_close(heads["logits"](features), logits.mean(1))
    torch.testing.assert_close(heads["softmax"](features).softmax(1), logits.softmax(2).mean(1))


def test_one_position_gives_plain_logits() -> None:
    features = maps(2, height=2, width=2)
    whole = RecognitionHead(channels=(6,), num_classes=5).eval()
    window = RecognitionHead(channels=(6,), num_classes=5, window=2, average_positions="softmax").eval()
    window.load_state_dict(whole.state_dict())
    torch.testing.assert_close(window(features), whole(features))

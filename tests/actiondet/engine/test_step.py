"""A training step on a module of one's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from actiondet.engine.devices import launch
from actiondet.engine.step import train_step


@pytest.mark.parametrize("sizes", [[6], [4, 2], [1, 2, 3]])
def test_batches_taken_together_change_the_weights_as_one_batch(sizes: list[int]) -> None:
    torch.manual_seed(0)
    inputs, layer, plain = torch.randn(6, 3), nn.Linear(3, 2), nn.Linear(3, 2)
    plain.load_state_dict(layer.state_dict())
    fabric = launch()
    network, optimizer = fabric.setup(layer, torch.optim.SGD(layer.parameters(), lr=0.5))

    def loss(batch: Tensor, normalizer: Tensor) -> Tensor:
        return network(batch).square().sum() / normalizer  # type: ignore[no-any-return]

    found = train_step(network, inputs.split(sizes), optimizer, loss, terms=6, fabric=fabric)
    expected = plain(inputs).square().sum() / 6
    expected.backward()
    torch.optim.SGD(plain.parameters(), lr=0.5).step()
    assert found == pytest.approx(expected.item())
    for ours, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(weight.grad is None for weight in layer.parameters())


def test_gradients_are_clipped_on_demand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    fabric = launch()
    network, optimizer = fabric.setup(layer, torch.optim.SGD(layer.parameters(), lr=1.0))
    before = layer.weight.clone()
    train_step(
        network,
        [torch.ones(1, 1)],
        optimizer,
        lambda batch, normalizer: 100 * network(batch).sum() / normalizer,
        terms=1,
        fabric=fabric,
        clip_grad_norm=0.25,
    )
    torch.testing.assert_close(before - layer.weight, torch.tensor([[0.25]]))

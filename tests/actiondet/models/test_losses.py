from __future__ import annotations

from pathlib import Path

import pytest
import torch

from actiondet.models.losses import action_loss, count_elements

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "models"
CASES = torch.load(GOLDEN / "losses.pt", weights_only=True)["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_and_gradients_are_mmaction2s(case: dict, dtype: torch.dtype) -> None:
    """Authority: losses.pt, by MMAction2 1.2.0."""
    head, truth = case["head"], case["fp32" if dtype == torch.float32 else "fp64"]
    logits = case["logits"].to(dtype, copy=True).requires_grad_()
    labels = case["labels_all"].to(dtype)
    first = 1 if head["background_class"] else 0  # its class 0 takes no part then
    loss = action_loss(
        logits[:, first:],
        labels[:, first:],
        multi_label=head["multilabel"],
        focal_gamma=head.get("focal_gamma", 0.0),
        focal_alpha=head.get("focal_alpha", 1.0),
    )
    loss.backward()
    if case["name"] == "ce_two_labels_no_background":
        # There a person with two labels has a target that sums to 2, so counts twice. Ours counts it once.
        logits64 = case["logits"].double()
        counted = labels.double().sum(1) > 0
        target = labels[counted].double() / labels[counted].double().sum(1, keepdim=True)
        expected = -(target * logits64[counted].log_softmax(1)).sum(1).mean()
        assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
        assert float(loss.detach()) < float(truth["loss"])
        return
    torch.testing.assert_close(loss.detach(), truth["loss"], rtol=1e-6, atol=1e-7)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, truth["grad"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("people", [0, 3])
def test_without_any_label_the_loss_is_zero_and_has_a_gradient(multi_label: bool, people: int) -> None:
    logits = torch.randn(people, 5, requires_grad=True)
    loss = action_loss(logits, torch.zeros(people, 5), multi_label=multi_label, focal_gamma=1.0)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("multi_label", [True, False])
def test_two_processes_share_one_mean(multi_label: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(7, 5, generator=generator)
    labels = torch.eye(5)[[0, 1, 2, 3, 4, 0, 1]] * torch.tensor([1, 0, 1, 1, 0, 1, 1])[:, None]
    whole = action_loss(logits, labels, multi_label=multi_label)
    total = count_elements(labels, multi_label=multi_label)
    assert total == (5 * 5 if multi_label else 5)
    parts = [
        action_loss(logits[part], labels[part], multi_label=multi_label, normalizer=total)
        for part in (slice(0, 2), slice(2, 7))
    ]
    torch.testing.assert_close(sum(parts), whole)


def test_a_focal_loss_below_gamma_one_has_a_finite_gradient_at_certainty() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    action_loss(logits, torch.tensor([[1.0, 0.0]]), multi_label=True, focal_gamma=0.5).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_give_a_loss_in_single_precision() -> None:
    loss = action_loss(torch.randn(2, 3, dtype=torch.bfloat16), torch.ones(2, 3), multi_label=True)
    assert loss.dtype == torch.float32


def test_examples_of_an_action_count_as_often_as_their_weight_says() -> None:
    logits = torch.tensor([[0.5, -1.0], [2.0, 0.3]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weights = torch.tensor([1.0, 3.0])
    many = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)  # torch's own
    torch.testing.assert_close(action_loss(logits, labels, multi_label=True, example_weights=weights), many)
    one = torch.nn.functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / 2
    torch.testing.assert_close(action_loss(logits, labels, multi_label=False, example_weights=weights), one)


def test_people_who_do_nothing_count_where_that_says_what_actions_are_not() -> None:
    logits, labels = torch.tensor([[0.5, -1.0], [2.0, 0.3]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    every = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(action_loss(logits, labels, multi_label=True, count_idle=True), every)
    assert int(count_elements(labels, multi_label=True, count_idle=True)) == 4
    assert int(count_elements(labels, multi_label=True)) == 2
    assert int(count_elements(labels, multi_label=False, count_idle=True)) == 1

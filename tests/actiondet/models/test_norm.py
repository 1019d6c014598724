import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from actiondet.models.norm import SplitBatchNorm3d, measure_norm, set_splits, use_split_norm

ROOT = Path(__file__).parents[3]


def batch(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 5, 2, 3, 4, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def plain() -> nn.BatchNorm3d:
    norm = nn.BatchNorm3d(5)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    return norm


def test_every_split_is_normalized_as_on_a_device_of_its_own() -> None:
    norm, clips = plain(), batch(8)
    split = SplitBatchNorm3d.taking_over(norm)
    split.splits = 4
    found = split(clips)
    # Sample i belongs to split i mod 4 (PySlowFast views N as (N/4, 4)).
    for part in range(4):
        torch.testing.assert_close(found[part::4], norm(clips[part::4]))


def test_clips_in_bfloat16_are_split_too() -> None:
    norm, clips = plain(), batch(8).bfloat16()
    split = SplitBatchNorm3d.taking_over(norm)
    split.splits = 2
    found = split(clips)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found[1::2], norm(clips[1::2]))


def test_kept_statistics_are_pyslowfasts_aggregate_of_its_splits() -> None:
    clips = batch(8)
    split = SplitBatchNorm3d(5, momentum=0.1)
    split.splits = 2
    split(clips)
    # PySlowFast: mean of the splits' means; mean of their variances plus the variance of their means.
    parts = [clips[part::2].transpose(0, 1).flatten(1) for part in range(2)]
    means = torch.stack([part.mean(1) for part in parts])
    variances = torch.stack([part.var(1) for part in parts])
    expected = variances.mean(0) + means.var(0, unbiased=False)
    torch.testing.assert_close(split.running_mean, 0.1 * means.mean(0))
    torch.testing.assert_close(split.running_var, 0.9 + 0.1 * expected)


def test_gradients_reach_the_shared_weights() -> None:
    norm = plain()
    split = SplitBatchNorm3d.taking_over(norm)
    split.splits = 2
    clips, weights = batch(4), torch.randn(4, 5, 2, 3, 4)
    (split(clips) * weights).sum().backward()
    found = norm.weight.grad
    assert found is not None
    norm.weight.grad = None
    sum((norm(clips[part::2]) * weights[part::2]).sum() for part in range(2)).backward()
    torch.testing.assert_close(found, norm.weight.grad)


def test_one_split_and_evaluation_are_plain_batch_norm() -> None:
    norm = plain()
    network = nn.Sequential(nn.Conv3d(5, 5, 1), norm)
    names = list(network.state_dict())
    clips = batch(4)
    expected = network(clips).detach()
    assert norm.running_mean is not None
    statistics = norm.running_mean.clone()
    norm.running_mean.zero_()
    use_split_norm(network)
    torch.testing.assert_close(network(clips).detach(), expected)
    torch.testing.assert_close(network.state_dict()["1.running_mean"], statistics)
    assert list(network.state_dict()) == names
    set_splits(network, 3)
    network.eval()
    assert network(clips).shape == clips.shape  # 4 clips cannot be split into 3, and need not be


@pytest.mark.parametrize(("count", "splits", "divided"), [(6, 4, 2), (7, 4, 1), (1, 8, 1)])
def test_a_batch_that_lacks_a_clip_is_divided_into_as_many_parts_as_it_can(
    count: int, splits: int, divided: int
) -> None:
    norm, clips = plain(), batch(count)
    split = SplitBatchNorm3d.taking_over(norm)
    split.splits = splits
    found = split(clips)
    for part in range(divided):
        torch.testing.assert_close(found[part::divided], norm(clips[part::divided]))


PROCESS = """
import sys
import torch
from actiondet.models.norm import SplitBatchNorm3d, set_splits
from torch import distributed, nn

folder = sys.argv[1]
distributed.init_process_group("gloo")
rank = distributed.get_rank()
state = torch.load(f"{folder}/state.pt")
norm = nn.BatchNorm3d(5)
norm.load_state_dict(state["norm"])
network = nn.Sequential(SplitBatchNorm3d.taking_over(norm))
set_splits(network, 1, group=distributed.group.WORLD)
clips = state["clips"][rank::2].clone().requires_grad_()
found = network(clips)
(found * state["weights"][rank::2]).sum().backward()
torch.save([found.detach(), clips.grad, network[0].weight.grad, network.state_dict()], f"{folder}/found{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_normalize_their_batches_as_one(tmp_path: Path) -> None:
    norm, clips, weights = plain(), batch(6).requires_grad_(), torch.randn(6, 5, 2, 3, 4)
    torch.save({"norm": norm.state_dict(), "clips": clips.detach(), "weights": weights}, tmp_path / "state.pt")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    (tmp_path / "process.py").write_text(PROCESS)
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*program, str(tmp_path / "process.py"), str(tmp_path)], env=environment, check=True)
    expected = norm(clips)
    (expected * weights).sum().backward()
    parts = [torch.load(tmp_path / f"found{rank}.pt") for rank in (0, 1)]
    for rank, (found, gradient, _, state) in enumerate(parts):
        torch.testing.assert_close(found, expected[rank::2].detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient, clips.grad[rank::2], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state["0.running_mean"], norm.running_mean)
        torch.testing.assert_close(state["0.running_var"], norm.running_var)
    torch.testing.assert_close(parts[0][2] + parts[1][2], norm.weight.grad, rtol=1e-4, atol=1e-4)


def test_measured_statistics_are_the_means_over_the_batches() -> None:
    network = nn.Sequential(nn.Dropout(0.5), plain(), nn.Dropout(0.5))
    network[0].eval()
    batches = [batch(4, seed) for seed in range(3)]
    assert measure_norm(network, batches) == 3
    flat = [clips.transpose(0, 1).flatten(1) for clips in batches]
    torch.testing.assert_close(network[1].running_mean, torch.stack([clips.mean(1) for clips in flat]).mean(0))
    # All batches are one: the variances within them, and that between them.
    within = torch.stack([clips.var(1) for clips in flat]).mean(0)
    torch.testing.assert_close(
        network[1].running_var, within + torch.stack([clips.mean(1) for clips in flat]).var(0, unbiased=False)
    )
    torch.testing.assert_close(network[1].running_var, torch.cat(flat, dim=1).var(1), rtol=0.02, atol=0)
    assert [module.training for module in network] == [False, True, True]
    assert network[1].momentum == 0.1


def test_nothing_is_measured_on_nothing() -> None:
    network = nn.Sequential(plain())
    network(batch(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert measure_norm(network, []) == 0
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])

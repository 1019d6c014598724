"""Repeat-factor sampling: the arithmetic of LVIS, epochs of one length, processes, resuming."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from actiondet.data import Draw, TrainSampler
from actiondet.datasets.repeats import epoch_length, repeat_factors, repeated_order

# 100 samples: everyone shows action 1, sample 0 also action 2, samples 0 to 3 action 3, samples 90 to 99 action 4.
SAMPLES = np.array([*range(100), 0, 0, 1, 2, 3, *range(90, 100), 5])
LABELS = np.array([1] * 100 + [2] + [3] * 4 + [4] * 10 + [1])  # sample 5 shows action 1 twice: counted once


@pytest.mark.parametrize(
    ("threshold", "first", "second", "last", "others"),
    [
        (0.01, 1, 1, 1, 1),  # f = 0.01 is not below it
        (0.04, 2, 1, 1, 1),  # sqrt(0.04 / 0.01)
        (0.09, 3, 1.5, 1, 1),  # sample 0 has the larger of 3 and 1.5
        (0.16, 4, 2, math.sqrt(1.6), 1),
        (1.0, 10, 5, math.sqrt(10), 1),
    ],
)
def test_a_sample_has_the_largest_factor_of_its_actions(
    threshold: float, first: float, second: float, last: float, others: float
) -> None:
    factors = repeat_factors(SAMPLES, LABELS, count=100, threshold=threshold)
    assert factors[0] == pytest.approx(first)
    assert factors[1:4] == pytest.approx([second] * 3)
    assert factors[90:] == pytest.approx([last] * 10)
    assert factors[4:90] == pytest.approx([others] * 86)


def test_a_sample_without_actions_comes_once() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert repeat_factors(nothing, nothing, count=3, threshold=0.5).tolist() == [1, 1, 1]


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.16, 0.5])
def test_every_epoch_is_equally_long_and_rounds_each_factor_down_or_up(threshold: float) -> None:
    factors = repeat_factors(SAMPLES, LABELS, count=100, threshold=threshold)
    assert factors.sum() - 1e-6 <= epoch_length(factors) < factors.sum() + 1
    for epoch in range(50):
        samples, repetitions = repeated_order(factors, np.random.default_rng(epoch))
        assert len(samples) == len(repetitions) == epoch_length(factors)
        counts = np.bincount(samples, minlength=100)
        # The sum of the factors is rounded up by one more of some sample.
        assert (counts >= np.floor(factors) - 1e-9).all()
        assert ((counts - np.ceil(factors)) > 0).sum() <= 1
        pairs = list(zip(samples.tolist(), repetitions.tolist(), strict=True))
        assert len(pairs) - len(set(pairs)) <= 1


def test_over_many_epochs_a_sample_comes_as_often_as_its_factor_says() -> None:
    factors = repeat_factors(SAMPLES, LABELS, count=100, threshold=0.16)
    drawn = [repeated_order(factors, np.random.default_rng(epoch))[0] for epoch in range(2000)]
    mean = np.bincount(np.concatenate(drawn), minlength=100) / 2000
    assert np.abs(mean - factors).max() < 0.05
    # PersonIndex in the file are rounded independently: consecutive moments of a video are alike.
    counts = np.stack([np.bincount(each, minlength=100)[90:] for each in drawn]).astype(float)
    assert abs(np.corrcoef(counts[:, 0], counts[:, 1])[0, 1]) < 0.2


def sampler(rank: int = 0, world_size: int = 1, *, seed: int = 3, threshold: float = 0.2) -> TrainSampler:
    factors = repeat_factors(SAMPLES, LABELS, count=100, threshold=threshold)
    return TrainSampler(100, seed=seed, rank=rank, world_size=world_size, factors=factors)


def test_the_order_follows_from_seed_and_epoch() -> None:
    first = list(sampler())
    assert first == list(sampler())
    other = sampler()
    other.set_position(epoch=1)
    assert [draw.index for draw in other] != [draw.index for draw in first]
    assert [draw.index for draw in sampler(seed=4)] != [draw.index for draw in first]


def test_the_repetitions_of_a_sample_are_other_draws() -> None:
    draws = list(sampler())
    of_first = [draw for draw in draws if draw.index == 0]
    assert sorted(draw.repeat for draw in of_first) == list(range(len(of_first)))
    assert len(of_first) in (4, 5)
    assert {draw.repeat for draw in draws if 4 <= draw.index < 90} == {0}


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_processes_together_walk_one_order(processes: int) -> None:
    alone = list(sampler())
    parts = [list(sampler(rank, processes)) for rank in range(processes)]
    assert {len(part) for part in parts} == {-(-len(alone) // processes)} == {len(sampler(0, processes))}
    together = [draw for turn in zip(*parts, strict=True) for draw in turn]
    assert together[: len(alone)] == alone
    assert together[len(alone) :] == alone[: len(together) - len(alone)]


@pytest.mark.parametrize("start", [0, 1, 30, 56])
def test_a_resumed_epoch_goes_on_where_it_stopped(start: int) -> None:
    ours = sampler(1, 2)
    ours.set_position(epoch=5)
    whole = list(ours)
    again = sampler(1, 2)
    again.set_position(epoch=5, start=start)
    assert len(again) == len(whole) - start
    assert list(again) == whole[start:]


def test_without_repeats_the_draws_are_those_of_plain_sampling() -> None:
    assert [draw.index for draw in TrainSampler(9, seed=1)] == np.random.default_rng((1, 0)).permutation(9).tolist()
    assert Counter(draw.index for draw in sampler(threshold=0.001)) == Counter(range(100))
    assert Draw(0, 5) == Draw(0, 5, repeat=0)


def test_factors_of_another_set_are_refused() -> None:
    with pytest.raises(ValueError, match="3 factors for 4 samples"):
        TrainSampler(4, seed=0, factors=np.ones(3))

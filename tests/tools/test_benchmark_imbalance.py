"""The long tail of `benchmark.py imbalance`, and what its table says."""

from __future__ import annotations

import numpy as np
import pytest
from actiondet.cli.benchmarks.imbalance import SMALL, WAYS, Run, summarize, thinned

from actiondet.config import dump_config, load_config
from evaluation.formats.action_list import ActionList
from evaluation.records import TruthRows

ACTIONS = ActionList((1, 2, 5), ("walk", "wave", "fall"), (None,) * 3)


def test_examples_fall_geometrically_and_persons_stay_whole() -> None:
    random = np.random.default_rng(0)
    labels = random.choice([1, 2, 5], 900, p=[0.5, 0.3, 0.2])
    # Every person does one action, and half of them action 9, too, which is not counted.
    seconds = np.repeat(np.arange(900), 2)
    both = np.stack([labels, np.where(np.arange(900) % 2, 9, labels)], axis=1).ravel()
    truth = TruthRows.from_arrays(
        video="v", time=seconds, boxes=np.tile([0.1, 0.1, 0.4, 0.8], (1800, 1)), labels=both, persons=np.zeros(1800)
    )
    truth = truth[np.r_[True, (np.diff(both) != 0) | (np.diff(seconds) != 0)]]
    kept = thinned(truth, ACTIONS, ratio=25, random=np.random.default_rng(1))
    counts = [int((kept.labels == label).sum()) for label in (1, 2, 5)]
    assert counts[0] == pytest.approx(25 * counts[2], rel=0.05)
    assert counts[1] == pytest.approx(5 * counts[2], rel=0.1)
    for moment in np.unique(kept.moment):
        assert (kept.moment == moment).sum() == (truth.moment == moment).sum()


def test_rows_are_means_of_a_third_of_the_actions() -> None:
    examples = {name: 100 - place for place, name in enumerate("abcdefghi")}
    bases = dict(zip("abcdefghi", [0.6] * 3 + [0.3] * 3 + [0.0] * 3, strict=True))
    runs = [
        Run(way, seed, {name: base + 0.1 * seed for name, base in bases.items()}, 10.0)
        for way in ("none", "focal")
        for seed in (0, 1)
    ]
    first, second = summarize(runs, examples).itertuples()
    assert (first.way, second.way, first.runs) == ("none", "focal", 2)
    assert first.frequent == pytest.approx(0.65)
    assert first.rare == pytest.approx(0.05)
    assert first.rare_deviation == pytest.approx(0.1 / np.sqrt(2))
    assert first.mean == pytest.approx(0.35)


def test_every_way_is_another_configuration() -> None:
    assert len({dump_config(load_config("toy/slowonly_r18", [*SMALL, *way])) for way in WAYS.values()}) == len(WAYS)

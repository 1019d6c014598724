"""Which rows survive in the official tool's heaps: found by arithmetic, checked by playing the heaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.records import DetectionRows
from evaluation.row_order import (
    MomentRows,
    best_rows,
    heap_ranks,
    played_heap,
    stable_group_order,
    stable_number_order,
)


def tied_rows(seed: int, count: int, images: int) -> MomentRows:
    """Draw rows with few different scores, labels and boxes, so that all kinds of ties occur."""
    rng = np.random.default_rng(seed)
    table = DetectionRows(
        video=pd.Categorical(["v"] * count),
        moment=np.zeros(count, dtype=np.int64),
        boxes=rng.integers(0, 2, (count, 4)) / 2,
        labels=rng.integers(1, 4, count),
        scores=rng.integers(0, 6, count) / 4,
    )
    return MomentRows(table, np.arange(count), rng.integers(0, images, count), table.scores)


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_the_rows_that_survive_are_those_of_the_heap(limit: int) -> None:
    for seed in range(60):
        rows = tied_rows(seed, 70, 5)
        keep = best_rows(limit, rows)
        for image in range(5):
            members = np.flatnonzero(rows.image == image)
            order = played_heap(limit, rows.scores[members], rows.table.labels[members], rows.table.boxes[members])
            assert sorted(members[order]) == np.flatnonzero(keep & (rows.image == image)).tolist()
            assert np.all(np.diff(rows.scores[members[order]]) <= 0)


def test_ranks_say_the_heaps_order_for_the_chosen_moments_only() -> None:
    rows = tied_rows(1, 60, 3)
    ranks = heap_ranks(10, rows, np.array([0, 2]))
    assert (ranks[rows.image == 1] == 0).all()
    keep = best_rows(10, rows)
    for image in (0, 2):
        here = rows.image == image
        assert sorted(ranks[here & keep]) == list(range(10))
        assert (ranks[here & ~keep] == -1).all()


def test_a_late_better_row_throws_out_the_lowest_action() -> None:
    scores, labels = np.array([0.5, 0.5, 0.5, 0.6]), np.array([2, 1, 3, 9])
    order = played_heap(3, scores, labels, np.zeros((4, 4)))
    assert sorted(order) == [0, 2, 3]
    assert order[0] == 3


@pytest.mark.parametrize("largest", [5, 70_000, 300_000])
def test_the_group_order_is_numpys_stable_order(largest: int) -> None:
    codes = np.random.default_rng(0).integers(0, largest + 1, 5000)
    assert np.array_equal(stable_group_order(codes), np.argsort(codes, kind="stable"))
    assert np.array_equal(stable_group_order(np.sort(codes)), np.arange(5000))
    small = (codes % 50).astype(np.int16)
    assert np.array_equal(stable_group_order(small), np.argsort(small, kind="stable"))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 10, 5000])
def test_numbers_are_sorted_as_by_a_stable_sort(kind: type, count: int) -> None:
    rng = np.random.default_rng(count)
    tiny = float(np.finfo(kind).smallest_subnormal)
    special = [0.0, -0.0, tiny, -tiny, 1e30, -1e30, 0.1, np.float32(0.1)]
    for values in (
        rng.random(count),
        rng.normal(0, 1, count).round(1),
        rng.choice(special, count),
        rng.normal(0, 1, count) * 10.0 ** rng.integers(-30, 30, count),
        -np.arange(count, dtype=float),
        np.float32(rng.random(count)).astype(np.float64),
    ):
        values = values.astype(kind)
        assert stable_number_order(values).tolist() == np.argsort(values, kind="stable").tolist()

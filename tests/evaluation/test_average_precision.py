"""Precision, recall and AP by hand-made tables."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.average_precision import average_precision, precision_recall


@pytest.mark.parametrize(
    ("hits", "truths", "expected"),
    [
        ([1], 1, 1.0),
        ([0], 1, 0.0),
        ([], 3, 0.0),
        ([1], 2, 0.5),
        ([0, 1], 1, 0.5),
        ([1, 0, 1], 2, 0.5 * 1 + 0.5 * 2 / 3),
        # The dip at the second place is filled from the right: 2/3 at recall 1/3, too.
        ([0, 1, 1], 3, 2 / 3 * 2 / 3),
        ([0, 0, 0, 1, 0], 4, 0.25 * 0.25),
        ([1, 1, 1, 1], 4, 1.0),
    ],
)
def test_ap_is_the_area_under_the_interpolated_curve(hits: list[int], truths: int, expected: float) -> None:
    precision, recall = precision_recall(np.array(hits, dtype=bool), truths)
    assert average_precision(precision, recall) == pytest.approx(expected, abs=1e-15)


def test_precision_and_recall_after_every_detection() -> None:
    precision, recall = precision_recall(np.array([True, False, True]), 4)
    assert precision.tolist() == [1, 0.5, 2 / 3]
    assert recall.tolist() == [0.25, 0.25, 0.5]


def test_a_class_without_truth_has_no_curve() -> None:
    with pytest.raises(ValueError, match="0 truths are undefined"):
        precision_recall(np.array([True]), 0)


def test_inserting_a_false_detection_never_raises_ap() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        hits = rng.random(12) < 0.5
        truths = int(hits.sum()) + 1
        worse = np.insert(hits, rng.integers(0, 13), False)
        assert average_precision(*precision_recall(worse, truths)) <= average_precision(*precision_recall(hits, truths))

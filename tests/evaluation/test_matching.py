"""The greedy rule: one look at the best truth, first come first served."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.boxes import iou_matrix
from evaluation.matching import best_truths, first_claims

BOX = [0.1, 0.1, 0.3, 0.5]
SHIFTED = [0.14, 0.1, 0.34, 0.5]


def test_the_best_truth_of_each_group_is_found() -> None:
    rng = np.random.default_rng(0)
    corners, truth_corners = rng.random((200, 2)), rng.random((90, 2))
    boxes, truths = (np.concatenate([c, c + 0.4], 1) for c in (corners, truth_corners))
    groups, truth_groups = rng.integers(0, 12, 200), rng.integers(3, 15, 90)
    found, iou = best_truths(boxes, groups, truths, truth_groups)
    matrix = iou_matrix(boxes, truths)
    for i in range(200):
        members = np.flatnonzero(truth_groups == groups[i])
        if len(members) == 0:
            assert (found[i], iou[i]) == (-1, 0)
        else:
            best = members[np.argmax(matrix[i, members])]
            assert (found[i], iou[i]) == (best, matrix[i, best])
    assert (found >= 0).any()
    assert (found < 0).any()


def test_of_equal_overlaps_the_first_truth_is_taken() -> None:
    twins = np.array([SHIFTED, BOX, BOX])
    found, iou = best_truths(np.array([BOX]), np.array([5]), twins, np.array([5, 5, 5]))
    assert (found.tolist(), iou.tolist()) == ([1], [1.0])


def test_an_undefined_overlap_is_taken_and_never_a_hit() -> None:
    empty = [0.2, 0.2, 0.2, 0.5]
    found, iou = best_truths(np.array([empty]), np.array([0]), np.array([BOX, empty]), np.array([0, 0]))
    assert found.tolist() == [1]
    assert np.isnan(iou).all()
    assert not first_claims(found, iou, 0.5).any()


@pytest.mark.parametrize(
    ("truth", "iou", "expected"),
    [
        ([0, 0, 0], [0.9, 0.8, 1.0], [True, False, False]),
        ([0, 1, 0], [0.5, 0.49, 1.0], [True, False, False]),
        ([0, 1, 0], [0.4, 0.5, 1.0], [False, True, True]),
        ([-1, -1, 2], [0.0, 0.0, 0.6], [False, False, True]),
        ([], [], []),
    ],
)
def test_the_first_able_claim_wins(truth: list[int], iou: list[float], expected: list[bool]) -> None:
    hits = first_claims(np.array(truth, dtype=np.int64), np.array(iou), 0.5)
    assert hits.tolist() == expected


def test_nothing_matches_nothing() -> None:
    none = np.zeros((0, 4))
    found, iou = best_truths(np.array([BOX]), np.array([0]), none, np.array([], dtype=np.int64))
    assert (found.tolist(), iou.tolist()) == ([-1], [0.0])
    assert len(best_truths(none, np.array([], dtype=np.int64), np.array([BOX]), np.array([0]))[0]) == 0

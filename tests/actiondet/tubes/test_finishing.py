"""Gaps, trimming, smoothing and scores by tables."""

from __future__ import annotations

import numpy as np
import pytest

from actiondet.tubes.finishing import Chains, fill_gaps, finish, smooth, trim
from actiondet.tubes.options import LinkOptions


def chains(*scores: list[float], left: list[list[float]] | None = None) -> Chains:
    lengths = np.array([len(some) for some in scores])
    edge = np.concatenate(left if left is not None else [np.zeros(length) for length in lengths])
    return Chains(
        streams=np.arange(len(scores)),
        lengths=lengths,
        moments=np.concatenate([np.arange(length) for length in lengths]),
        boxes=np.stack([edge, np.zeros_like(edge), edge + 100, np.full_like(edge, 100.0)], axis=1),
        scores=np.concatenate(scores),
    )


def test_gaps_are_interpolated_within_each_tube() -> None:
    tubes = np.array([0, 1, 1, 0, 0])
    steps = np.array([2, 2, 3, 5, 6])
    boxes = np.arange(5)[:, None] * np.array([[10.0, 0, 10, 0]]) + np.array([[0.0, 0, 5, 5]])
    moments = np.array([200, 200, 300, 500, 600])
    result = fill_gaps(tubes, np.array([7, 8, 8, 7, 7]), steps, moments, boxes, np.array([0.1, 1, 1, 0.4, 0.5]), 1)
    assert result.streams.tolist() == [7, 8]
    assert result.lengths.tolist() == [5, 2]
    assert result.moments.tolist() == [200, 300, 400, 500, 600, 200, 300]
    np.testing.assert_allclose(result.boxes[:5, 0], [0, 10, 20, 30, 40])
    np.testing.assert_allclose(result.scores[:5], [0.1, 0.2, 0.3, 0.4, 0.5])


def test_short_tubes_are_left_out_early() -> None:
    result = fill_gaps(
        np.array([0, 1, 0]),
        np.array([0, 0, 0]),
        np.array([1, 1, 4]),
        np.array([1, 1, 4]),
        np.ones((3, 4)),
        np.ones(3),
        2,
    )
    assert result.lengths.tolist() == [4]


@pytest.mark.parametrize(
    ("share", "gap", "expected"),
    [
        (0.0, 0, [(0, 8)]),
        (0.5, 0, [(1, 2), (5, 7)]),
        (0.5, 1, [(1, 2), (5, 7)]),
        (0.5, 2, [(1, 7)]),  # the dip is bridged, the ends are cut
        (0.9, 0, [(5, 6)]),
    ],
)
def test_trimming_cuts_the_ends_and_splits_at_long_dips(
    share: float, gap: int, expected: list[tuple[int, int]]
) -> None:
    tube = chains([0.1, 0.6, 0.7, 0.2, 0.3, 1.0, 0.9, 0.5, 0.1])
    parts = trim(tube, share, 1, gap)
    first, last = parts.moments[parts.starts], parts.moments[parts.starts + parts.lengths - 1]
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == expected


def test_trimming_looks_at_every_tube_by_itself() -> None:
    parts = trim(chains([0.9, 0.1], [0.02, 0.01, 0.02]), 0.4, 1, 0)
    assert parts.streams.tolist() == [0, 1]
    assert parts.lengths.tolist() == [1, 3]


def test_smoothing_averages_what_overlaps_and_leaves_steady_motion_alone() -> None:
    shaking = smooth(chains([1.0] * 5, left=[[0, 8, 0, 8, 0]]), 3)
    np.testing.assert_allclose(shaking.boxes[:, 0], [0, 8 / 3, 16 / 3, 8 / 3, 0])
    steady = chains([1.0] * 6, left=[[0, 10, 20, 30, 40, 50]])
    np.testing.assert_allclose(smooth(steady, 5).boxes, steady.boxes)
    jumping = chains([1.0] * 3, left=[[0, 0, 90]])
    np.testing.assert_allclose(smooth(jumping, 3).boxes, jumping.boxes)


def test_scores_are_means_or_count_prior_steps_against_short_tubes() -> None:
    plain = LinkOptions(trim=0, smooth=1, min_length=1, prior_steps=0)
    two = chains([0.8, 0.4], [0.9])
    assert finish(two, plain)[1] == pytest.approx([0.6, 0.9])
    with_prior = LinkOptions(trim=0, smooth=1, min_length=1, prior_steps=2)
    assert finish(two, with_prior)[1] == pytest.approx([1.2 / 4, 0.9 / 3])


def test_short_and_weak_tubes_are_dropped() -> None:
    options = LinkOptions(trim=0, smooth=1, min_length=2, prior_steps=0, min_tube_score=0.3)
    kept, scores = finish(chains([0.9], [0.2, 0.2], [0.4, 0.4]), options)
    assert kept.streams.tolist() == [2]
    assert scores == pytest.approx([0.4])


def test_nothing_finishes_as_nothing() -> None:
    none = np.zeros(0, np.int64)
    empty = fill_gaps(none, none, none, none, np.zeros((0, 4)), np.zeros(0), 1)
    kept, scores = finish(empty, LinkOptions())
    assert len(kept.lengths) == len(scores) == 0

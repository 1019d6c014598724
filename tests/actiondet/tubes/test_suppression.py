"""Suppression against the plain loop, and by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiondet.tubes import suppression
from actiondet.tubes.options import LinkOptions
from actiondet.tubes.suppression import suppress

ONE = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10], [0, 0, 10, 8]], dtype=float)


def run(options: LinkOptions, scores: list[float], groups: list[int] | None = None) -> tuple[list[int], list[float]]:
    places = np.array(groups if groups is not None else [0] * len(scores))
    kept, new = suppress(places, ONE[: len(scores)], np.array(scores), np.ones((len(scores), 2)), options)
    return kept.tolist(), new.tolist()


def test_drop_keeps_the_best_of_boxes_that_overlap() -> None:
    assert run(LinkOptions(suppress="drop"), [0.5, 0.9, 0.7, 0.8]) == ([1, 2], [0.9, 0.7])


def test_decay_keeps_all_and_lowers_what_overlaps() -> None:
    kept, scores = run(LinkOptions(suppress="decay"), [0.9, 0.8, 0.7])
    assert kept == [0, 2, 1]
    assert scores == pytest.approx([0.9, 0.7, 0.8 * 0.1])


def test_keep_changes_nothing_and_ranks() -> None:
    assert run(LinkOptions(suppress="keep"), [0.5, 0.9, 0.7]) == ([1, 2, 0], [0.9, 0.7, 0.5])


def test_groups_do_not_see_each_other() -> None:
    assert run(LinkOptions(suppress="drop"), [0.9, 0.8], groups=[1, 0])[0] == [1, 0]


def test_only_the_best_boxes_are_kept() -> None:
    assert run(LinkOptions(suppress="keep", boxes_per_step=2), [0.5, 0.9, 0.7])[0] == [1, 2]


def test_a_pixel_more_can_make_the_difference() -> None:
    # IoU 6/10 without, 7/11 with one pixel added to the height (and the width alike).
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6]], dtype=float)
    options = LinkOptions(suppress="drop", suppress_iou=0.62)
    arguments = (np.zeros(2, np.int64), boxes, np.array([0.9, 0.8]))
    assert len(suppress(*arguments, np.ones((2, 2)), options)[0]) == 2
    assert len(suppress(*arguments, np.ones((2, 2)), replace(options, pixel_corners=True))[0]) == 1
    # In unit boxes of a frame of 100 by 100 pixels a pixel is 0.01.
    unit = (np.zeros(2, np.int64), boxes / 100, np.array([0.9, 0.8]), np.full((2, 2), 0.01))
    assert len(suppress(*unit, replace(options, pixel_corners=True))[0]) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["drop", "decay"]), st.booleans())
def test_suppression_equals_the_plain_loop(seed: int, how: str, corners: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 40))
    groups = rng.integers(0, 6, count)
    low = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 25, (count, 2))], axis=1)
    scores = rng.integers(1, 8, count) / 8  # many are equal
    options = LinkOptions(suppress=how, pixel_corners=corners, suppress_iou=0.3, boxes_per_step=4)
    kept, new = suppress(groups, boxes, scores, np.ones((count, 2)), options)
    expected = [row for group in range(6) for row in plain(groups, boxes, scores, group, options)]
    assert kept.tolist() == [row for row, _ in expected]
    np.testing.assert_allclose(new, [score for _, score in expected], rtol=1e-14)


def test_a_crowd_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 30, (60, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 25, (60, 2))], axis=1)
    arguments = (np.repeat([0, 1, 2], 20), boxes, rng.random(60), np.ones((60, 2)), LinkOptions(suppress="decay"))
    whole = suppress(*arguments)
    for pairs in (1, 25):
        monkeypatch.setattr(suppression, "_PAIRS_AT_ONCE", pairs)
        for part, expected in zip(suppress(*arguments), whole, strict=True):
            np.testing.assert_array_equal(part, expected)


def test_a_crowd_takes_little_memory() -> None:
    # 500 persons apart from each other make 125,000 pairs a moment; all pairs at once took 300 bytes each.
    column = 20.0 * np.arange(500)
    boxes = np.tile(np.stack([column, 0 * column, column + 10, 0 * column + 10], axis=1), (16, 1))
    arguments = (np.repeat(np.arange(16), 500), boxes, np.ones(8000), np.ones((8000, 2)), LinkOptions())
    tracemalloc.start()
    kept, _ = suppress(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 16 * LinkOptions().boxes_per_step
    assert peak < 50e6


def plain(
    groups: np.ndarray, boxes: np.ndarray, scores: np.ndarray, group: int, options: LinkOptions
) -> list[tuple[int, float]]:
    """Greedy suppression of one group, box by box; of equal scores the later row is the better."""
    extra = 1.0 if options.pixel_corners else 0.0

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + extra)
        height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + extra)
        areas = [(box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (a, b)]
        return width * height / (sum(areas) - width * height)

    rows = [int(row) for row in np.flatnonzero(groups == group)]
    left = sorted(rows, key=lambda row: (-scores[row], -row))
    result = {row: float(scores[row]) for row in rows}
    while left:
        best = left.pop(0)
        for row in list(left):
            overlap = iou(boxes[best], boxes[row])
            if overlap > options.suppress_iou:
                left.remove(row)
                if options.suppress == "drop":
                    del result[row]
                else:
                    result[row] *= 1 - overlap
    ranked = sorted(result.items(), key=lambda item: (-item[1], -item[0]))
    return ranked[: options.boxes_per_step]

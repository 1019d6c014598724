"""Linking by hand, and against the plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actiondet.tubes.chains import chain_rows
from actiondet.tubes.options import LinkOptions
from evaluation.boxes import paired_iou


def run(rows: list[tuple[int, int, float, float]], **options: object) -> list[int]:
    """Rows: stream, step, left edge of a box of 100 by 100, score; sorted by step, stream, score."""
    table = np.array(rows, dtype=float).reshape(-1, 4)
    left = table[:, 2]
    boxes = np.stack([left, np.zeros_like(left), left + 100, np.full_like(left, 100.0)], axis=1)
    streams, steps = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return chain_rows(streams, steps, boxes, table[:, 3], LinkOptions(**options)).tolist()  # type: ignore[arg-type]


def test_a_box_continues_the_tube_that_it_overlaps() -> None:
    assert run([(0, 1, 0, 0.9), (0, 1, 500, 0.8), (0, 2, 510, 0.9), (0, 2, 10, 0.8)]) == [0, 1, 1, 0]


def test_streams_do_not_mix() -> None:
    assert run([(0, 1, 0, 0.9), (1, 2, 0, 0.9), (0, 3, 0, 0.9)]) == [0, 1, 0]


@pytest.mark.parametrize(("gap", "expected"), [(0, [0, 1]), (1, [0, 1]), (2, [0, 0]), (3, [0, 0])])
def test_a_tube_may_go_unseen_for_max_gap_steps(gap: int, expected: list[int]) -> None:
    assert run([(0, 1, 0, 0.9), (0, 4, 0, 0.9)], max_gap=gap) == expected


def test_too_little_overlap_starts_a_tube() -> None:
    assert run([(0, 1, 0, 0.9), (0, 2, 40, 0.9)], link_iou=0.42) == [0, 0]  # 60 / 140
    assert run([(0, 1, 0, 0.9), (0, 2, 40, 0.9)], link_iou=0.43) == [0, 1]


def test_iou_links_the_closest_pair_first_and_score_the_best_box() -> None:
    # One person is missed at step 2; the other, of the weaker tube, must not change hands.
    rows = [(0, 1, 0, 0.9), (0, 1, 40, 0.5), (0, 2, 41, 0.6)]
    assert run(rows, prefer="iou") == [0, 1, 1]
    assert run(rows, prefer="score") == [0, 1, 0]


def test_the_best_tube_chooses_first_by_its_mean() -> None:
    rows = [(0, 1, 0, 0.5), (0, 1, 30, 0.4), (0, 2, 15, 0.9), (0, 2, 400, 0.1)]
    assert run(rows, prefer="score") == [0, 1, 0, 2]
    better = [(0, 1, 0, 0.4), (0, 1, 30, 0.5), (0, 2, 15, 0.9), (0, 2, 400, 0.1)]
    assert run(better, prefer="score") == [0, 1, 1, 2]


def test_no_rows_make_no_tubes() -> None:
    assert run([]) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["iou", "score"]), st.integers(0, 2))
def test_chains_equal_the_plain_loop(seed: int, prefer: str, max_gap: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 80))
    steps, streams, scores = rng.integers(0, 8, count), rng.integers(0, 3, count), rng.random(count)
    order = np.lexsort((-scores, streams, steps))
    steps, streams, scores = steps[order], streams[order], scores[order]
    left = rng.uniform(0, 200, count)
    boxes = np.stack([left, np.zeros(count), left + 100, np.full(count, 100.0)], axis=1)
    options = LinkOptions(prefer=prefer, max_gap=max_gap, link_iou=0.3)  # type: ignore[arg-type]
    ours = chain_rows(streams, steps, boxes, scores, options)
    # The plain loop links stream by stream, so its tubes have other numbers.
    expected = np.zeros(count, dtype=np.int64)
    tubes = 0
    for stream in range(3):
        rows = np.flatnonzero(streams == stream)
        for tube in plain(steps, boxes, scores, rows, options):
            expected[tube] = tubes
            tubes += 1
    assert len({(a, b) for a, b in zip(ours.tolist(), expected.tolist(), strict=True)}) == tubes == ours.max() + 1


def plain(
    steps: np.ndarray, boxes: np.ndarray, scores: np.ndarray, rows: np.ndarray, options: LinkOptions
) -> list[list[int]]:
    """Link one stream, wish by wish."""
    tubes: list[list[int]] = []
    for step in np.unique(steps[rows]):
        here = [int(row) for row in rows if steps[row] == step]
        running = [tube for tube in tubes if step - steps[tube[-1]] <= options.max_gap + 1]
        running.sort(key=lambda tube: -np.mean(scores[tube]))
        wishes = []
        for tube in running:
            for row in here:
                iou = float(paired_iou(boxes[[row]], boxes[[tube[-1]]])[0])
                if iou >= options.link_iou:
                    wishes.append((tube, row, iou))
        if options.prefer == "iou":
            wishes.sort(key=lambda wish: -wish[2])
        served: list[list[int]] = []
        for tube, row, _ in wishes:
            if row in here and not any(tube is other for other in served):
                served.append(tube)
                here.remove(row)
                tube.append(row)
        tubes += [[row] for row in here]
    return tubes

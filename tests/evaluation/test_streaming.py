"""Streaming finds what the evaluation of one file finds, bit for bit: whatever batches, order, processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation import ActionList, DetectionRows, FrameAP, FrameKey, FrameMapResult, InputError, TruthRows, frame_map

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = ActionList((1, 2, 4), ("sit", "run", "eat"), ("CALM", "FAST", None))
EXCLUDED = frozenset({FrameKey("v2", 2_000_000)})
VIDEOS = ["v10", "v2", "w"]


def drawn(seed: int, *, levels: int | None) -> tuple[TruthRows, DetectionRows]:
    """Truth and detections on a coarse grid, full of twins, in the order of video names and times.

    `levels` is the number of different scores; None makes all scores different.
    """
    rng = np.random.default_rng(seed)

    def columns(count: int, moments: int) -> dict[str, Any]:
        corner = rng.integers(0, 3, (count, 2)) / 4
        size = rng.integers(0, 3, (count, 2)) / 4
        size[rng.random(count) < 0.7] = 0.5
        video, moment = rng.integers(0, 3, count), rng.integers(0, moments, count)
        order = np.lexsort((moment, video))
        return {
            "video": pd.Categorical.from_codes(video[order], VIDEOS),
            "moment": moment[order] * 1_000_000,
            "boxes": np.concatenate([corner, corner + size], 1),
            "labels": rng.choice([1, 2, 3, 4], count),
        }

    persons = rng.integers(0, 3, 60)
    truth = TruthRows(**columns(60, 5), persons=persons, empty_moments=(FrameKey("w", 7_000_000),))
    count = 400
    scores = rng.permutation(count) / count if levels is None else rng.integers(0, levels, count) / levels
    return truth, DetectionRows(**columns(count, 8), scores=scores)


def moments_of(rows: TruthRows | DetectionRows) -> np.ndarray:
    return np.asarray(rows.video.codes).astype(np.int64) * 100 + rows.moment // 1_000_000


def streamed(parts: Sequence[tuple[TruthRows, DetectionRows]], processes: int = 1, **options: Any) -> FrameMapResult:
    metrics = [FrameAP(ACTIONS, excluded=EXCLUDED, **options) for _ in range(processes)]
    for number, (truth, detections) in enumerate(parts):
        metrics[number % processes].update(truth, detections)
    first, *others = (pickle.loads(pickle.dumps(metric)) for metric in metrics)
    for other in others:
        first.merge(other)
    return first.compute()


def same(first: FrameMapResult, second: FrameMapResult) -> None:
    np.testing.assert_array_equal(first.ap, second.ap)
    for name in ("scores", "hits", "offsets", "truths"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    named = [np.append(result.videos, "?")[result.video] for result in (first, second)]
    np.testing.assert_array_equal(*named)
    assert first.notes == second.notes
    pd.testing.assert_frame_equal(first.per_class, second.per_class)


@pytest.mark.parametrize("ties", ["stable", "official"])
@pytest.mark.parametrize("protocol", ["official", "pyslowfast", "mmaction2"])
def test_whole_moments_in_any_order_and_from_any_number_of_processes(protocol: str, ties: str) -> None:
    for seed in range(12):
        truth, detections = drawn(seed, levels=6)
        options = {"protocol": protocol, "ties": ties, "thresholds": (0.3, 0.5)}
        expected = frame_map(truth, detections, actions=ACTIONS, excluded=EXCLUDED, **options)
        rng = np.random.default_rng(seed)
        everything = np.unique(np.concatenate([moments_of(truth), moments_of(detections)]))
        batch_of = rng.integers(0, 7, everything[-1] + 1)
        batches = [
            (truth[batch_of[moments_of(truth)] == batch], detections[batch_of[moments_of(detections)] == batch])
            for batch in rng.permutation(7)
        ]
        same(streamed(batches, processes=1 + seed % 3, **options), expected)


def test_rows_of_a_moment_in_several_batches_without_equal_scores() -> None:
    for seed in range(10):
        truth, detections = drawn(seed, levels=None)
        expected = frame_map(truth, detections, actions=ACTIONS, excluded=EXCLUDED)
        rows = np.array_split(np.random.default_rng(seed).permutation(len(detections)), 9)
        batches = [(truth, detections[some]) for some in rows]  # the whole truth each time
        same(streamed(batches, processes=2), expected)


def test_rows_of_a_moment_in_several_batches_with_equal_scores_do_not_depend_on_the_batches() -> None:
    for seed in range(10):
        truth, detections = drawn(seed, levels=5)
        results = []
        for draw in range(3):
            rng = np.random.default_rng(draw)
            order, truth_order = rng.permutation(len(detections)), rng.permutation(len(truth))
            batches = [
                (truth[truth_order[place::60]], detections[order[place :: 60 + draw]]) for place in range(60 + draw)
            ]
            results.append(streamed(batches, processes=1 + draw))
        same(results[0], results[1])
        same(results[0], results[2])


def test_rows_come_in_order_of_content_where_a_moment_is_split() -> None:
    truth, detections = drawn(3, levels=5)
    order = np.lexsort((*detections.boxes.T[::-1], detections.labels, -detections.scores, moments_of(detections)))
    in_order = [order[moments_of(detections)[order] % 2 == odd] for odd in (0, 1)]
    expected = frame_map(truth, detections[order], actions=ACTIONS, excluded=EXCLUDED)
    batches = [(truth, detections[[row]]) for rows in in_order for row in rows[::-1]]
    same(streamed(batches), expected)


def test_the_state_is_forgotten_and_an_empty_one_is_refused() -> None:
    truth, detections = drawn(0, levels=None)
    metric = FrameAP(ACTIONS)
    with pytest.raises(InputError, match="none of the 0 rows of the truth"):
        metric.compute()
    metric.update(truth, detections)
    assert repr(metric) == f"FrameAP(3 actions, 400 detections at {len(np.unique(moments_of(detections)))} timestamps)"
    first = metric.compute()
    same(metric.compute(), first)
    metric.reset()
    assert len(metric) == 0
    metric.update(truth, detections[:0])
    assert metric.compute().notes[-1] == "The detections are empty: every action scores 0."


def test_only_metrics_of_the_same_settings_are_merged() -> None:
    metric = FrameAP(ACTIONS)
    with pytest.raises(ValueError, match="differ in thresholds"):
        metric.merge(FrameAP(ACTIONS, thresholds=(0.75,)))
    with pytest.raises(ValueError, match="with itself"):
        metric.merge(metric)


def test_what_files_may_not_hold_is_refused_in_a_batch() -> None:
    truth, detections = drawn(0, levels=None)
    wrong = DetectionRows(
        detections.video, detections.moment, detections.boxes, detections.labels, np.full(400, np.nan)
    )
    with pytest.raises(InputError, match="row 0: score nan is not a finite number"):
        FrameAP(ACTIONS).update(truth, wrong)


TEN_MILLION = """
import numpy as np
from evaluation import ActionList, DetectionRows, FrameAP, TruthRows
rng = np.random.default_rng(0)
actions = ActionList(tuple(range(1, 61)), ("x",) * 60, (None,) * 60)
metric = FrameAP(actions, protocol={protocol!r})
for batch in range(1000):
    video, time = "v%03d" % (batch % 250), 900 + rng.integers(0, 50, 10_000) + 50 * (batch // 250)
    corner = rng.random((10_000, 2)) / 2
    boxes = np.hstack([corner, corner + rng.random((10_000, 2)) / 2])
    labels = rng.integers(1, 61, 10_000)
    known = slice(0, 300)
    metric.update(
        TruthRows.from_arrays(video=video, time=time[known], boxes=boxes[known], labels=labels[known]),
        DetectionRows.from_arrays(video=video, time=time, boxes=boxes, labels=labels, scores=rng.random(10_000)),
    )
result = metric.compute()
peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]  # ru_maxrss begins with that of the parent
print(len(metric), len(result.scores), int(peak) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "counted"), [("official", 2_494_400), ("pyslowfast", 10_000_000)])
def test_ten_million_rows_stay_below_1200_mib(protocol: str, counted: int) -> None:
    code = TEN_MILLION.format(protocol=protocol)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    rows, scored, gib = done.stdout.split()
    assert (int(rows), int(scored)) == (10_000_000, counted)
    assert float(gib) < 1.2

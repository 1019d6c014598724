"""Bootstrap over videos: equal to evaluating the drawn videos themselves, and intervals that keep their promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    FrameMapResult,
    InputError,
    TruthRows,
    bootstrap,
    compare_results,
    frame_map,
)
from evaluation.significance import _weights

ACTIONS = ActionList((1, 2, 3), ("sit", "run", "eat"), (None, None, None))


def drawn(
    seed: int, videos: int, *, skill: float = 1.0, noise: int = 0, persons: tuple[int, int] = (4, 13)
) -> tuple[TruthRows, DetectionRows]:
    """Persons in videos of different difficulty; a network that finds most of them, and others.

    The truth follows from `seed` alone, the scores from `noise`, too.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(*persons, videos)
    video = np.repeat(np.arange(videos), counts)
    people = len(video)
    ease = rng.normal(0, 0.5, videos)[video]
    labels = rng.integers(1, 4, people)
    scores_rng = np.random.default_rng([seed, noise])
    box = [0.1, 0.1, 0.5, 0.9]
    right = skill + ease + scores_rng.normal(0, 1, people)
    wrong = scores_rng.normal(0, 1, people)
    other = scores_rng.integers(1, 4, people)
    found = scores_rng.random(people) < 0.9
    names = np.char.add("v", video.astype(str))
    time = np.arange(people)
    truth = TruthRows.from_arrays(video=names, time=time, boxes=[box] * people, labels=labels)
    rows = np.concatenate([np.flatnonzero(found), np.flatnonzero(other != labels)])
    detections = DetectionRows.from_arrays(
        video=names[rows],
        time=time[rows],
        boxes=[box] * len(rows),
        labels=np.concatenate([labels[found], other[other != labels]]),
        scores=np.concatenate([right[found], wrong[other != labels]]),
    )
    return truth, detections


def result_of(seed: int, videos: int, **how: Any) -> FrameMapResult:
    return frame_map(*drawn(seed, videos, **how), actions=ACTIONS)


def test_every_draw_is_the_evaluation_of_the_drawn_videos() -> None:
    for seed in range(3):
        truth, detections = drawn(seed, 6)
        found = bootstrap(frame_map(truth, detections, actions=ACTIONS), rounds=15, seed=seed)
        weights = _weights(6, 15, seed).astype(int)
        for draw in range(15):
            truths, rows = [], []
            for name, times in zip(sorted(f"v{number}" for number in range(6)), weights[:, draw], strict=True):
                for copy in range(times):
                    known, some = truth.select(videos=[name]).to_frame(), detections.select(videos=[name]).to_frame()
                    truths.append(TruthRows.from_frame(known.assign(video=f"{name} {copy}")))
                    rows.append(DetectionRows.from_frame(some.assign(video=f"{name} {copy}")))
            expected = frame_map(TruthRows.concatenate(truths), DetectionRows.concatenate(rows), actions=ACTIONS)
            np.testing.assert_allclose(found.ap[draw], expected.ap[0], atol=1e-12)


def test_a_draw_follows_from_the_seed() -> None:
    result = result_of(0, 12)
    first, again, other = (bootstrap(result, rounds=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.ap, again.ap)
    assert first.interval != other.interval
    low, high = first.interval
    assert low < result.mean_ap < high
    assert {"id", "name", "ap", "low", "high", "truths"} <= set(first.per_class.columns)
    narrow = bootstrap(result, rounds=50, seed=1, level=0.5).interval
    assert low < narrow[0] < narrow[1] < high


def test_a_result_does_not_differ_from_itself_and_a_better_network_does() -> None:
    result, better = result_of(0, 40), result_of(0, 40, skill=2.5)
    same = compare_results(result, result, rounds=100)
    assert (same.difference, same.interval, same.differs, same.p) == (0.0, (0.0, 0.0), False, 1.0)
    assert "The difference may be chance: the interval includes 0" in same.sentence
    comparison = compare_results(result, better, rounds=200)
    assert comparison.difference == pytest.approx(better.mean_ap - result.mean_ap)
    assert comparison.differs
    assert comparison.p < 0.02
    assert comparison.sentence.startswith("The second is better (frame-mAP@0.5 0.")
    assert compare_results(better, result, rounds=200).sentence.startswith("The first is better")
    table = comparison.per_class
    assert table["difference"].tolist() == pytest.approx((better.ap[0] - result.ap[0]).tolist())
    assert set(table.columns) >= {"id", "name", "first", "second", "difference", "low", "high", "p", "differs"}


def test_pairs_cancel_what_makes_videos_hard() -> None:
    first, second = result_of(1, 30), result_of(1, 30, noise=1)
    paired = np.std(compare_results(first, second, rounds=300).differences)
    alone = np.hypot(*(np.std(bootstrap(result, rounds=300).mean_aps) for result in (first, second)))
    assert paired < 0.9 * alone


def test_what_cannot_be_compared_is_refused() -> None:
    result = result_of(0, 5)
    with pytest.raises(InputError, match="different truths"):
        compare_results(result, result_of(1, 5))
    with pytest.raises(InputError, match=r"no IoU threshold 0\.75"):
        bootstrap(result, threshold=0.75)
    with pytest.raises(InputError, match="only 1; expected at least two"):
        bootstrap(result_of(0, 1))
    with pytest.raises(InputError, match="level of an interval"):
        bootstrap(result, level=95)
    with pytest.raises(InputError, match="at least one round"):
        bootstrap(result, rounds=0)
    truth, detections = drawn(0, 5)
    other = frame_map(truth, detections, actions=ActionList((1, 2), ("sit", "run"), (None, None)))
    with pytest.raises(InputError, match="of 3 actions and a frame-mAP of 2"):
        compare_results(result, other)


def test_they_show_and_write_themselves(tmp_path: Path) -> None:
    first, second = result_of(0, 10), result_of(0, 10, noise=1)
    for found in (bootstrap(first, rounds=20), compare_results(first, second, rounds=20)):
        assert "sit" in str(found)
        found.to_json(tmp_path / "f.json", note="x")
        content = json.loads((tmp_path / "f.json").read_text(), parse_constant=pytest.fail)
        assert len(content["actions"]) == 3
        assert content["note"] == "x"
        found.to_csv(tmp_path / "f.csv")
        assert len(pd.read_csv(tmp_path / "f.csv")) == 3
        found.plot(tmp_path / "f.png")
        assert (tmp_path / "f.png").stat().st_size > 5000
    assert "With 10 videos, intervals are rough." in compare_results(first, second, rounds=20).sentence


DRAWS, VIDEOS, PERSONS = 300, 64, (20, 40)
"""As many videos as AVA validates on."""


@pytest.mark.slow
def test_the_interval_covers_the_mean_ap_of_the_population_as_often_as_it_says() -> None:
    population = np.mean([result_of(10_000 + seed, 3000, persons=PERSONS).mean_ap for seed in range(3)])
    covered = 0
    for seed in range(DRAWS):
        low, high = bootstrap(result_of(seed, VIDEOS, persons=PERSONS), rounds=500, seed=seed).interval
        covered += low <= population <= high
    assert 0.90 <= covered / DRAWS <= 0.98, covered / DRAWS


@pytest.mark.slow
def test_networks_of_one_quality_are_seldom_called_different() -> None:
    different = 0
    for seed in range(DRAWS):
        pair = (result_of(seed, VIDEOS, noise=noise, persons=PERSONS) for noise in (1, 2))
        different += compare_results(*pair, rounds=500, seed=seed).differs
    assert different / DRAWS <= 0.09, different / DRAWS

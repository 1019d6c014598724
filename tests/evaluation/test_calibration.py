"""What scores mean: reliability, the best threshold of each action, and which actions are taken for which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation import ActionList, DetectionRows, FrameKey, InputError, TruthRows, calibrate, confusion_of, frame_map

ACTIONS = ActionList((1, 2, 3), ("sit", "run", "eat"), (None, None, None))
P, Q = [0.1, 0.1, 0.3, 0.5], [0.6, 0.1, 0.8, 0.5]


def rows(*rows: tuple) -> DetectionRows:
    """Rows of time, box, label, score."""
    time, boxes, labels, scores = zip(*rows, strict=True)
    return DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels, scores=scores)


def test_the_calibration_error_is_the_mean_distance_of_score_and_share_of_hits() -> None:
    truth = TruthRows.from_arrays(video="v", time=[1, 2, 3, 4], boxes=[P] * 4, labels=1)
    found = rows((1, P, 1, 0.9), (2, P, 1, 0.8), (3, Q, 1, 0.85), (4, Q, 1, 0.15), (4, P, 1, 0.05))
    calibration = calibrate(frame_map(truth, found, actions=ACTIONS), bins=2)
    # Bins: 0.15 and 0.05 with one hit; 0.9, 0.8 and 0.85 with two.
    assert calibration.ece == pytest.approx((abs(0.2 - 1) + abs(2.55 - 2)) / 5)
    scores, hits, counts = calibration.reliability
    assert scores.tolist() == pytest.approx([0.1, 0.85])
    assert hits.tolist() == pytest.approx([1 / 2, 2 / 3])
    assert counts.tolist() == [2, 3]


def test_scores_that_say_how_often_they_are_right_have_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    right = rng.random(20_000) < scores
    time = np.arange(20_000)
    truth = TruthRows.from_arrays(video="v", time=time, boxes=[P] * 20_000, labels=1)
    boxes = np.where(right[:, None], P, Q)
    found = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=1, scores=scores)
    assert calibrate(frame_map(truth, found, actions=ACTIONS)).ece < 0.02
    squared = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=1, scores=scores**2)
    assert calibrate(frame_map(truth, squared, actions=ACTIONS)).ece > 0.1


def test_the_best_threshold_is_the_best_of_all() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        time = rng.integers(0, 30, 60)
        truth = TruthRows.from_arrays(video="v", time=np.unique(time)[:20], boxes=[P] * 20, labels=1)
        boxes = np.where(rng.random(60)[:, None] < 0.5, P, Q)
        scores = rng.integers(1, 9, 60) / 10
        found = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=1, scores=scores)
        result = frame_map(truth, found, actions=ACTIONS)
        calibration = calibrate(result)
        best = 0.0
        for limit in np.unique(scores):
            called = result.scores >= limit
            best = max(best, 2 * (result.hits[0] & called).sum() / (called.sum() + 20))
        assert calibration.f1[0] == pytest.approx(best)
        called = result.scores >= calibration.best_threshold[0]
        assert calibration.precision[0] == pytest.approx((result.hits[0] & called).sum() / called.sum())
        assert calibration.recall[0] == pytest.approx((result.hits[0] & called).sum() / 20)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    truth = TruthRows.from_arrays(video="v", time=1, boxes=[P], labels=1)
    with pytest.raises(InputError, match=r"lie between 7 and 7"):
        calibrate(frame_map(truth, rows((1, P, 1, 7.0)), actions=ACTIONS))
    with pytest.raises(InputError, match="no IoU threshold"):
        calibrate(frame_map(truth, rows((1, P, 1, 0.7)), actions=ACTIONS), threshold=0.75)


def test_confusions_are_of_people_who_are_found_and_do_not_do_both() -> None:
    truth = TruthRows.from_arrays(video="v", time=[1, 1, 2, 3, 4], boxes=[P, P, P, P, P], labels=[1, 2, 1, 1, 3])
    found = rows(
        (1, P, 1, 0.9),
        (1, P, 2, 0.9),  # this person does both
        (2, P, 2, 0.9),  # sits, and is said to run
        (2, P, 1, 0.1),
        (3, Q, 2, 0.9),  # finds nobody
        (4, P, 3, 0.9),
        (4, P, 1, 0.4),  # below the threshold
    )
    confusion = confusion_of(truth, found, actions=ACTIONS, thresholds=[0.5] * 3)
    assert confusion.persons == 3
    assert confusion.of.tolist() == [[2, 1, 2], [0, 1, 1], [1, 1, 1]]
    assert confusion.called.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert confusion.pairs.to_dict("records") == [
        {"id": 1, "name": "sit", "called_id": 2, "called": "run", "times": 1, "of": 1, "share": 1.0}
    ]
    without = confusion_of(truth, found, actions=ACTIONS, thresholds=[0.5] * 3, excluded={FrameKey("v", 2_000_000)})
    assert (without.persons, len(without.pairs)) == (2, 0)
    # The best thresholds of F1 call what was found.
    assert confusion_of(truth, found, actions=ACTIONS).thresholds.tolist() == [0.1, 0.9, 0.9]
    with pytest.raises(InputError, match="2 thresholds for 3 actions"):
        confusion_of(truth, found, actions=ACTIONS, thresholds=[0.5] * 2)


def test_they_show_and_write_themselves(tmp_path: Path) -> None:
    truth = TruthRows.from_arrays(video="v", time=[1, 2], boxes=[P, P], labels=[1, 2])
    found = rows((1, P, 2, 0.9), (1, P, 1, 0.7), (2, P, 2, 0.8))
    calibration = calibrate(frame_map(truth, found, actions=ACTIONS))
    confusion = confusion_of(truth, found, actions=ACTIONS)
    for each, count in ((calibration, 2), (confusion, 1)):
        assert "sit" in str(each)
        each.to_json(tmp_path / "e.json", note="x")
        assert json.loads((tmp_path / "e.json").read_text(), parse_constant=pytest.fail)["note"] == "x"
        each.to_csv(tmp_path / "e.csv")
        assert len(pd.read_csv(tmp_path / "e.csv")) == count
        each.plot(tmp_path / "e.png")
        assert (tmp_path / "e.png").stat().st_size > 4000

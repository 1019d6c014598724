"""AP among some of the truth, and recall of boxes alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    FrameKey,
    InputError,
    TruthRows,
    TubeSet,
    TubeTruth,
    box_recall,
    frame_map,
    frame_map_by,
    video_map_by_length,
)

ACTIONS = ActionList((1, 2), ("sit", "run"), (None, None))
SMALL, LARGE = [0.0, 0.0, 0.1, 0.1], [0.2, 0.2, 0.9, 0.9]


def truth_of(*rows: tuple) -> TruthRows:
    """Rows of time, box, label."""
    time, boxes, labels = zip(*rows, strict=True)
    return TruthRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels)


def found_of(*rows: tuple) -> DetectionRows:
    """Rows of time, box, label, score."""
    time, boxes, labels, scores = zip(*rows, strict=True)
    return DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels, scores=scores)


def test_a_stratum_of_sizes_counts_its_truths_what_reaches_them_and_what_reaches_none() -> None:
    truth = truth_of((1, SMALL, 1), (1, LARGE, 1), (2, SMALL, 1))
    found = found_of(
        (1, SMALL, 1, 0.9),
        (1, [0.0, 0.0, 0.11, 0.11], 1, 0.8),  # a duplicate, of another size than what it reaches
        (1, LARGE, 1, 0.7),
        (2, [0.5, 0.5, 0.55, 0.55], 1, 0.95),  # small, and reaches nobody
        (2, [0.1, 0.1, 0.9, 0.9], 1, 0.99),  # large, and reaches nobody
    )
    strata = frame_map_by("size", truth, found, actions=ACTIONS, edges=[0.011, 0.1])
    small, middle, large = (strata[name] for name in ("below 0.011", "0.011 to 0.1", "0.1 or more"))
    assert small.mean_ap == pytest.approx(0.5 * 0.5)
    assert (small.truths.tolist(), small.scores.tolist()) == ([2, 0], [0.95, 0.9, 0.8])
    assert large.mean_ap == pytest.approx(0.5)
    assert np.isnan(middle.mean_ap)
    assert strata.columns["truths"] == [2, 0, 1]
    assert strata.columns["recall"] == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)


def test_one_stratum_with_everything_is_the_frame_map() -> None:
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 4, (200, 2)) / 8
    boxes, time, labels = np.hstack([corner, corner + 0.25]), rng.integers(0, 9, 200), rng.integers(1, 3, 200)
    truth = TruthRows.from_arrays(video="v", time=time[:40], boxes=boxes[:40], labels=labels[:40])
    found = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels, scores=rng.random(200))
    expected = frame_map(truth, found, actions=ACTIONS)
    strata = frame_map_by("size", truth, found, actions=ACTIONS, edges=[1.0])
    np.testing.assert_array_equal(strata["below 1"].ap, expected.ap)
    by_people = frame_map_by("people", truth, found, actions=ACTIONS)
    assert sum(by_people.columns["truths"]) == 40
    assert sum(by_people.columns["detections"]) == len(expected.scores)


def test_frames_are_parted_by_the_people_in_them() -> None:
    truth = truth_of((1, SMALL, 1), (1, SMALL, 2), (2, SMALL, 1), (2, LARGE, 1))
    found = found_of((1, SMALL, 1, 0.9), (2, SMALL, 1, 0.8), (2, SMALL, 2, 0.8))
    strata = frame_map_by("people", truth, found, actions=ACTIONS, edges=[2])
    alone, two = strata["below 2"], strata["2 or more"]
    assert alone.truths.tolist() == [1, 1]  # one person who does two things
    assert alone.ap[0].tolist() == [1.0, 0.0]
    assert two.truths.tolist() == [2, 0]
    assert two.mean_ap == 0.5


def test_tubes_are_parted_by_length() -> None:
    def tubes(*lengths: int) -> TubeSet:
        frame = np.concatenate([np.arange(1, length + 1) for length in lengths])
        number = np.repeat(np.arange(len(lengths)), lengths)
        left = 200.0 * number
        boxes = np.stack([left, 0 * left, left + 100, 0 * left + 100], axis=1)
        return TubeSet.from_arrays(video="v", tube=number, frame=frame, boxes=boxes, labels=0, scores=0.5)

    truth = TubeTruth.from_tubes(tubes(5, 20, 40), labels=["a"], sizes={"v": (100, 1000)})
    strata = video_map_by_length(truth, tubes(5, 20), edges=[10, 30])
    assert strata.columns["stratum"] == ["below 10", "10 to 30", "30 or more"]
    assert strata.columns["mean_ap"] == [1.0, 1.0, 0.0]


def test_strata_show_and_write_themselves(tmp_path: Path) -> None:
    strata = frame_map_by("size", truth_of((1, SMALL, 1)), found_of((1, SMALL, 1, 0.9)), actions=ACTIONS, edges=[0.1])
    assert str(strata).splitlines()[0].split() == ["size", "mean_ap", "actions", "truths", "detections", "recall"]
    strata.to_json(tmp_path / "s.json", note="x")
    content = json.loads((tmp_path / "s.json").read_text(), parse_constant=pytest.fail)
    assert content["strata"]["below 0.1"]["mean_ap"] == 1.0
    strata.to_csv(tmp_path / "s.csv")
    assert pd.read_csv(tmp_path / "s.csv")["stratum"].tolist() == ["below 0.1"] * 2 + ["0.1 or more"] * 2
    assert strata.to_frame()["truths"].tolist() == [1, 0]
    strata.plot(tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000


def test_recall_of_boxes_does_not_look_at_actions() -> None:
    truth = truth_of((1, SMALL, 1), (1, SMALL, 2), (1, LARGE, 1), (2, LARGE, 1))
    found = found_of((1, [0.0, 0.0, 0.1, 0.12], 2, 0.1), (1, [0.0, 0.0, 0.1, 0.12], 1, 0.2), (3, LARGE, 1, 0.9))
    result = box_recall(truth, found, thresholds=(0.5, 0.9))
    assert result.recall.tolist() == [pytest.approx(1 / 3), 0.0]
    assert sorted(result.iou.tolist()) == pytest.approx([0, 0, 10 / 12])
    kept = box_recall(truth, found, excluded={FrameKey("v", 2_000_000)})
    assert kept.recall.tolist() == [0.5]
    with pytest.raises(InputError, match="no person at a timestamp that counts"):
        box_recall(truth, found, excluded={FrameKey("v", 1_000_000), FrameKey("v", 2_000_000)})

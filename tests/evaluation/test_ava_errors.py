"""Where the AP of boxes in AVA's form is lost: every kind of error alone has its name, and fixing all gives 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    ErrorBreakdown,
    FrameDetections,
    FrameKey,
    InputError,
    TruthRows,
    TubeSet,
    TubeTruth,
    find_errors,
    frame_map,
)
from evaluation.ava_errors import ACTION_REASONS, MISSING

ACTIONS = ActionList((1, 2, 3), ("sit", "run", "eat"), (None, None, None))
P, Q = (0.1, 0.1, 0.3, 0.5), (0.6, 0.1, 0.8, 0.5)
P_OFF = (0.2, 0.1, 0.4, 0.5)  # IoU 1/3 with P
FAR = (0.4, 0.6, 0.5, 0.9)
KINDS = (*ACTION_REASONS, *MISSING)

Row = tuple[tuple[float, ...], int, float]
"""Box, label, score."""

# One person sits and eats, another runs.
TRUTH = TruthRows.from_arrays(video="v", time=902, boxes=[P, P, Q], labels=[1, 3, 2])
PERFECT: tuple[Row, ...] = ((P, 1, 0.9), (P, 3, 0.8), (Q, 2, 0.7))


def found_of(*rows: Row) -> DetectionRows:
    boxes, labels, scores = zip(*rows, strict=True) if rows else ([], [], [])
    return DetectionRows.from_arrays(video="v", time=902, boxes=boxes, labels=labels, scores=scores)


def breakdown_of(*rows: Row, truth: TruthRows = TRUTH) -> ErrorBreakdown:
    return find_errors(truth, found_of(*rows), actions=ACTIONS)


def counts_of(breakdown: ErrorBreakdown) -> dict[str, int]:
    columns = breakdown.fix_columns
    return {kind: count for kind, count in zip(columns["kind"], columns["count"], strict=True) if count}


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("duplicate", (*PERFECT, (P, 1, 0.95))),
        ("background", (*PERFECT, (FAR, 1, 0.95))),
        ("background", (*PERFECT, (P_OFF, 2, 0.95))),  # near a person, but neither well placed nor of its action
        ("wrong_action", (*PERFECT, (P, 2, 0.85))),
        ("confused_action", ((P, 1, 0.9), (P, 2, 0.95), (Q, 2, 0.7))),
        ("box_off", ((P_OFF, 1, 0.9), (P, 3, 0.8), (Q, 2, 0.7))),
        ("missed_action", ((P, 1, 0.9), (Q, 2, 0.7))),
        ("missed_person", ((P, 1, 0.9), (P, 3, 0.8))),
    ],
)
def test_an_error_planted_alone_has_its_name_and_fixing_it_alone_gives_1(kind: str, rows: tuple[Row, ...]) -> None:
    breakdown = breakdown_of(*rows)
    assert counts_of(breakdown) == {kind: 1}
    assert breakdown.kinds == KINDS
    alone = dict(zip(KINDS, breakdown.alone.mean(axis=0), strict=True))
    assert alone.pop(kind) == pytest.approx(1.0)
    assert breakdown.mean_ap < 1 or kind == "duplicate"  # which comes after all hits of its action
    assert list(alone.values()) == pytest.approx([breakdown.mean_ap] * len(alone))
    assert breakdown.in_order[:, -1].tolist() == pytest.approx([1.0] * 3)


def test_a_perfect_result_has_no_errors() -> None:
    breakdown = breakdown_of(*PERFECT)
    assert counts_of(breakdown) == {}
    assert breakdown.mean_ap == 1.0


def test_a_wrong_action_with_a_higher_score_than_all_right_ones_is_a_confusion() -> None:
    assert counts_of(breakdown_of(*PERFECT, (P, 2, 0.99))) == {"confused_action": 1}
    # It was meant for nothing, as all actions of this person are found.
    assert breakdown_of(*PERFECT, (P, 2, 0.99)).alone[:, KINDS.index("confused_action")].tolist() == [1, 1, 1]


def test_one_confused_box_finds_one_action_and_the_other_one_is_missed() -> None:
    breakdown = breakdown_of((P, 2, 0.95), (Q, 2, 0.7))
    assert counts_of(breakdown) == {"confused_action": 1, "missed_action": 1}


def test_fixing_all_gives_1_and_each_step_at_least_as_much_as_the_one_before() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        corner = rng.integers(0, 4, (60, 2)) / 8
        size = rng.choice([0.25, 0.25, 0.375], (60, 2))
        boxes, time, labels = np.hstack([corner, corner + size]), rng.integers(0, 4, 60), rng.integers(1, 4, 60)
        truth = TruthRows.from_arrays(video="v", time=time[:15], boxes=boxes[:15], labels=labels[:15])
        scores = rng.integers(0, 8, 60) / 8
        found = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels, scores=scores)
        breakdown = find_errors(truth, found[10:], actions=ACTIONS)
        assert breakdown.in_order[:, -1].tolist() == pytest.approx([1.0] * len(breakdown.ap))
        assert (np.diff(breakdown.in_order, axis=1) >= -1e-12).all()
        result = frame_map(truth, found[10:], actions=ACTIONS)
        assert breakdown.mean_ap == pytest.approx(result.mean_ap, abs=1e-6)
        taking_part = sum(row["count"] for row in breakdown.fixes.to_dict("records")[: len(ACTION_REASONS)])
        assert taking_part + result.hits.sum() == len(result.scores)


def test_moments_that_do_not_count_have_no_errors() -> None:
    truth = TruthRows.from_arrays(video="v", time=[902, 903], boxes=[P, P], labels=1)
    breakdown = find_errors(truth, found_of((P, 1, 0.9)), actions=ACTIONS, excluded={FrameKey("v", 903_000_000)})
    assert counts_of(breakdown) == {}


def test_one_door_for_boxes_and_tubes(tmp_path: Path) -> None:
    box = [[10.0, 10, 50, 90]] * 20
    tubes = TubeSet.from_arrays(video="v", tube=0, frame=np.arange(1, 21), boxes=box, labels=0, scores=0.9)
    twice = TubeSet.concatenate([tubes, replace(tubes, scores=tubes.scores / 2)])
    truth = TubeTruth.from_tubes(tubes, labels=["run"], sizes={"v": (100, 200)})
    breakdown = find_errors(truth, twice)
    assert counts_of(breakdown) == {"repeat": 1}
    assert breakdown.result.metric == "video-mAP"
    frames = FrameDetections.from_arrays(truth, video="v", frame=[1, 2], boxes=box[:2], labels=0, scores=0.5)
    breakdown = find_errors(truth, frames)
    assert counts_of(breakdown) == {"missed": 18}
    assert breakdown.in_order[:, -1].tolist() == pytest.approx([1.0])
    breakdown.to_json(tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["fixes"][-1]["ap_in_order"] == pytest.approx(1.0)
    with pytest.raises(InputError, match="do not belong together"):
        find_errors(TRUTH, twice, actions=ACTIONS)
    with pytest.raises(InputError, match="need `actions`"):
        find_errors(TRUTH, found_of())
    with pytest.raises(InputError, match=r"must lie above 0\.1"):
        find_errors(TRUTH, found_of(), actions=ACTIONS, threshold=0.05)


def test_no_detections_miss_every_person() -> None:
    breakdown = breakdown_of()
    assert counts_of(breakdown) == {"missed_person": 3}
    assert breakdown.missed.tolist() == [1.0] * 3
    assert breakdown.in_order[:, -1].tolist() == [1.0] * 3
    assert "what fixing would give" in str(breakdown)

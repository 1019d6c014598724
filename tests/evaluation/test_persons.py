"""Person-box AP by pycocotools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.frame_ap import frame_map
from evaluation.persons import person_ap
from evaluation.records import DetectionRows, FrameKey, PersonBoxes, TruthRows

A, B, C = (0.1, 0.1, 0.3, 0.5), (0.5, 0.1, 0.7, 0.5), (0.2, 0.5, 0.9, 0.9)
FIRST, SECOND, EMPTY = FrameKey("v", 902), FrameKey("w", 903), FrameKey("v", 904)


def annotated(*rows: tuple[FrameKey, tuple[float, ...]], empty: tuple[FrameKey, ...] = ()) -> TruthRows:
    return TruthRows(
        video=pd.Categorical([key.video for key, _ in rows]),
        moment=np.array([key.moment for key, _ in rows], dtype=np.int64),
        boxes=np.array([box for _, box in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.arange(len(rows)),
        persons=np.zeros(len(rows), dtype=np.int64),
        empty_moments=empty,
    )


def found(key: FrameKey, *rows: tuple[tuple[float, ...], float]) -> PersonBoxes:
    boxes = np.array([box for box, _ in rows], dtype=np.float32).reshape(-1, 4)
    return PersonBoxes(key, boxes, np.array([score for _, score in rows], dtype=np.float32))


# One person does two things: two rows, one box.
TRUTH = annotated((FIRST, A), (FIRST, A), (FIRST, B), (SECOND, C), empty=(EMPTY,))
PERFECT = [found(FIRST, (A, 0.9), (B, 0.8)), found(SECOND, (C, 0.7))]


def test_perfect_boxes_score_one_and_persons_count_once() -> None:
    result = person_ap(TRUTH, PERFECT)
    assert (result.ap, result.recall, result.largest_map) == (1, 1, 1)
    assert result.ap_at == result.recall_at == (1, 1, 1)
    assert (result.moments, result.truths, result.detections) == (3, 3, 3)


def test_a_false_box_where_nobody_is_costs_precision() -> None:
    # Found by hand: ranks false, hit, hit, hit; precision is at most 3/4 at every recall.
    result = person_ap(TRUTH, [*PERFECT, found(EMPTY, (A, 0.95))])
    assert result.ap_at[0] == pytest.approx(0.75, abs=1e-9)


def test_a_loose_box_counts_at_low_overlaps_only() -> None:
    loose = (0.1, 0.1, 0.3, 0.5 + 0.4 * 0.45)  # IoU 1 / 1.45 = 0.69: a hit at 4 of the 10 thresholds
    result = person_ap(annotated((FIRST, A)), [found(FIRST, (loose, 0.9))])
    assert result.ap_at == pytest.approx((1.0, 0.0, 0.0))
    assert result.recall_at == pytest.approx((1.0, 0.0, 0.0))
    assert result.ap == pytest.approx(0.4)


def test_boxes_at_other_and_at_excluded_moments_do_not_count() -> None:
    elsewhere = found(FrameKey("x", 1), (A, 1.0))
    result = person_ap(TRUTH, [*PERFECT, elsewhere, found(EMPTY, (A, 0.95))], excluded={EMPTY})
    assert (result.ap, result.moments, result.detections) == (1, 2, 3)


def test_recall_is_reported_at_three_overlaps() -> None:
    def tall(iou: float) -> tuple[float, ...]:
        return (*A[:3], A[1] + (A[3] - A[1]) / iou)

    keys = [FrameKey("v", moment) for moment in range(4)]
    truth = annotated(*((key, A) for key in keys))
    boxes = [found(key, (tall(iou), 0.9)) for key, iou in zip(keys, (0.95, 0.85, 0.6, 0.4), strict=True)]
    result = person_ap(truth, boxes)
    assert result.recall_at == pytest.approx((0.75, 0.5, 0.25))
    assert result.ap_at[0] == pytest.approx(0.75, abs=0.01)  # 101 points of recall


def test_the_largest_possible_map_is_the_mean_recall_of_the_actions() -> None:
    truth = replace(annotated((FIRST, A), (FIRST, A), (FIRST, B), (SECOND, C)), labels=np.array([1, 2, 1, 3]))
    result = person_ap(truth, [found(FIRST, (A, 0.9)), found(EMPTY, (C, 0.9))])
    # Of action 1 one of two rows is found, of action 2 the only one, of action 3 none.
    assert result.largest_map == pytest.approx((0.5 + 1 + 0) / 3)
    assert "at IoU 0.5 is at most 0.5000" in str(result)
    assert person_ap(truth, [found(FIRST, (A, 0.9))], actions={1, 2}).largest_map == pytest.approx(0.75)
    assert person_ap(truth, [found(FIRST, (A, 0.9))], excluded={SECOND}).largest_map == pytest.approx(0.75)


def test_no_scores_reach_more_than_the_largest_possible_map() -> None:
    rng = np.random.default_rng(4)
    keys = [FrameKey("v", moment * 1_000_000) for moment in range(30)]
    corners = rng.uniform(0, 0.5, (30, 2))
    boxes = np.concatenate([corners, corners + 0.3], axis=1)
    truth = replace(
        annotated(*((key, tuple(box)) for key, box in zip(keys, boxes, strict=True))), labels=rng.integers(1, 4, 30)
    )
    shifted = [
        found(key, (tuple(box + shift), 1.0))
        for key, box, shift in zip(keys, boxes, rng.uniform(0, 0.15, 30), strict=True)
    ]
    perfect = DetectionRows(
        video=truth.video,
        moment=truth.moment,
        boxes=np.concatenate([each.boxes for each in shifted]).astype(np.float64),
        labels=truth.labels,
        scores=np.ones(30),
    )
    reached = frame_map(truth, perfect, actions=ActionList((1, 2, 3), ("a", "b", "c"), (None,) * 3)).mean_ap
    assert 0 < reached <= person_ap(truth, shifted).largest_map + 1e-9 < 1


def test_nobody_found_scores_nothing() -> None:
    assert person_ap(TRUTH, []).ap == 0


def test_a_truth_without_moments_is_refused() -> None:
    with pytest.raises(InputError, match="names no timestamp"):
        person_ap(annotated(), [])


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    person_ap(TRUTH, PERFECT)
    assert capsys.readouterr().out == ""

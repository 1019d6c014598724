"""Person-box AP by pycocotools."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.persons import person_ap
from evaluation.records import FrameKey, PersonBoxes, TruthRows

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
    assert (result.ap, result.ap50, result.ap75, result.recall) == (1, 1, 1, 1)
    assert (result.moments, result.truths, result.detections) == (3, 3, 3)
    assert "person AP 1.0000   AP50 1.0000" in str(result)


def test_a_false_box_where_nobody_is_costs_precision() -> None:
    # Found by hand: ranks false, hit, hit, hit; precision is at most 3/4 at every recall.
    result = person_ap(TRUTH, [*PERFECT, found(EMPTY, (A, 0.95))])
    assert result.ap50 == pytest.approx(0.75, abs=1e-9)


def test_a_loose_box_counts_at_low_overlaps_only() -> None:
    loose = (0.1, 0.1, 0.3, 0.5 + 0.4 * 0.45)  # IoU 1 / 1.45 = 0.69: a hit at 4 of the 10 thresholds
    result = person_ap(annotated((FIRST, A)), [found(FIRST, (loose, 0.9))])
    assert result.ap50 == pytest.approx(1.0)
    assert result.ap75 == pytest.approx(0.0)
    assert result.ap == pytest.approx(0.4)


def test_boxes_at_other_and_at_excluded_moments_do_not_count() -> None:
    elsewhere = found(FrameKey("x", 1), (A, 1.0))
    result = person_ap(TRUTH, [*PERFECT, elsewhere, found(EMPTY, (A, 0.95))], excluded={EMPTY})
    assert (result.ap, result.moments, result.detections) == (1, 2, 3)


def test_nobody_found_scores_nothing() -> None:
    assert person_ap(TRUTH, []).ap == 0


def test_a_truth_without_moments_is_refused() -> None:
    with pytest.raises(InputError, match="names no moment"):
        person_ap(annotated(), [])


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    person_ap(TRUTH, PERFECT)
    assert capsys.readouterr().out == ""

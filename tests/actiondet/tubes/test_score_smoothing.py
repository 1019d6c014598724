from __future__ import annotations

import numpy as np
import pytest

from actiondet.tubes.score_smoothing import smooth_scores
from evaluation.records import ActionDetections, FrameKey

LEFT, RIGHT = (0.1, 0.1, 0.3, 0.9), (0.6, 0.1, 0.8, 0.9)


def found(frame: int, *persons: tuple[tuple[float, ...], float]) -> ActionDetections:
    """Persons with a score of action 0; that of action 1 is the rest."""
    boxes = np.array([box for box, _ in persons], dtype=np.float32).reshape(-1, 4)
    scores = np.array([[score, 1 - score] for _, score in persons], dtype=np.float32).reshape(-1, 2)
    return ActionDetections(FrameKey("v", frame), boxes, np.ones(len(boxes), dtype=np.float32), scores)


def test_a_score_is_the_mean_over_the_frames_around_of_the_same_person() -> None:
    detections = [
        found(frame, (LEFT, score), (RIGHT, 0.5)) for frame, score in ((1, 0.0), (2, 0.9), (3, 0.6), (4, 0.3))
    ]
    smoothed = smooth_scores(detections, 3)
    assert [each.action_scores[0, 0] for each in smoothed] == pytest.approx([0.45, 0.5, 0.6, 0.45])
    assert [each.action_scores[1, 0] for each in smoothed] == pytest.approx([0.5] * 4)
    for before, after in zip(detections, smoothed, strict=True):
        assert after.key == before.key
        np.testing.assert_array_equal(after.boxes, before.boxes)
        np.testing.assert_allclose(after.action_scores.sum(axis=1), 1, rtol=1e-6)


def test_persons_change_rows_and_frames_may_be_missing() -> None:
    detections = [found(1, (LEFT, 0.2), (RIGHT, 0.8)), found(3, (RIGHT, 0.6), (LEFT, 0.4)), found(9, (LEFT, 0.9))]
    smoothed = smooth_scores(detections, 5)
    assert smoothed[0].action_scores[:, 0] == pytest.approx([0.3, 0.7])
    assert smoothed[1].action_scores[:, 0] == pytest.approx([0.7, 0.3])
    assert smoothed[2].action_scores[:, 0] == pytest.approx([0.9])


@pytest.mark.parametrize("window", [0, 1])
def test_a_window_of_one_frame_changes_nothing(window: int) -> None:
    detections = [found(1, (LEFT, 0.2)), found(2, (LEFT, 0.8))]
    assert smooth_scores(detections, window) == detections


def test_moments_without_anybody_and_no_moments_at_all_are_fine() -> None:
    assert smooth_scores([], 9) == []
    (alone,) = smooth_scores([found(1)], 9)
    assert alone.action_scores.shape == (0, 2)
    assert smooth_scores([found(1), found(2, (LEFT, 0.25))], 9)[1].action_scores[0, 0] == pytest.approx(0.25)

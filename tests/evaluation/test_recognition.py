"""Accuracy of clip recognition by hand-made tables."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.recognition import average_views, recognition_accuracy

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.5, 0.5, 0.0]])


def test_top_k_and_mean_class_accuracy() -> None:
    result = recognition_accuracy(SCORES, np.array([0, 1, 0, 0]))
    assert result.ranks.tolist() == [0, 1, 1, 0]
    assert [result.top(k) for k in (1, 2, 3)] == [0.5, 1.0, 1.0]
    table = {"id": [0, 1], "name": ["0", "1"], "videos": [3, 1], "accuracy": [2 / 3, 0.0]}
    assert result.per_class.to_dict("list") == table
    assert result.hits.tolist() == [True, False, False, True]
    assert result.mean_class_accuracy == pytest.approx(1 / 3)
    assert result.guesses.tolist() == [0, 2, 1, 0]
    assert str(result).splitlines() == ["top-1 0.5000", "top-5 1.0000", "mean class accuracy 0.3333", "videos 4"]


def test_of_equal_scores_the_lower_label_ranks_first() -> None:
    ranks = recognition_accuracy(np.full((3, 3), 0.5), np.array([0, 1, 2])).ranks
    assert ranks.tolist() == [0, 1, 2]


def test_ranks_agree_with_sorting() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((200, 30)), rng.integers(0, 30, 200)
    order = np.argsort(-scores, axis=1)
    result = recognition_accuracy(scores, labels)
    for k in (1, 5):
        assert result.top(k) == np.mean([label in row[:k] for row, label in zip(order, labels, strict=True)])


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "expected"),
        (SCORES, np.array([0, 1]), "expected"),
        (SCORES, np.array([0, 1, 2, 3]), r"labels 0\.\.3 do not fit 3 columns"),
        (SCORES * np.nan, np.array([0, 1, 2, 0]), "scores contain NaN or infinity"),
        (SCORES, np.array([0, 1, 2, 0]), "2 names for 3 columns"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(scores: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recognition_accuracy(scores, labels, names=["run", "sit"] if "names" in message else None)


def test_thirty_views_are_averaged_per_video_in_any_order() -> None:
    rng = np.random.default_rng(0)
    views = rng.random((3 * 30, 4)).astype(np.float32)
    videos = np.repeat([8, 2, 5], 30)
    shuffled = rng.permutation(90)
    names, scores = average_views(views[shuffled], videos[shuffled])
    assert names.tolist() == [2, 5, 8]
    assert scores.dtype == np.float64
    for name, row in zip(names, scores, strict=True):
        assert row == pytest.approx(views[videos == name].astype(np.float64).mean(axis=0), abs=1e-12)


def test_a_missing_view_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"between 2 and 3 views; expected as many for each \(video 1 is an odd one\)"):
        average_views(np.zeros((8, 2)), np.array([0, 0, 0, 1, 1, 2, 2, 2]))

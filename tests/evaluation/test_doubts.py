"""Detections that can be scored and cannot be right carry a counted note."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    FrameDetections,
    FrameKey,
    TruthRows,
    TubeSet,
    TubeTruth,
    frame_map,
    tube_frame_map,
    video_map,
)

BOXES = np.array([[0.1, 0.1, 0.5, 0.5], [0.2, 0.1, 0.6, 0.5]])
ACTIONS = ActionList((1, 2), ("a", "b"), (None, None))


def truth_rows() -> TruthRows:
    return TruthRows(
        video=pd.Categorical(["v", "v"]),
        moment=np.array([1, 2]) * 1_000_000,
        boxes=BOXES,
        labels=np.array([1, 2]),
        persons=np.array([0, 1]),
        empty_moments=frozenset(),
    )


def notes_of_frames(scores: list[float], excluded: frozenset[FrameKey] = frozenset()) -> str:
    rows = DetectionRows(
        video=pd.Categorical(["v", "v"]),
        moment=np.array([1, 2]) * 1_000_000,
        boxes=BOXES,
        labels=np.array([1, 2]),
        scores=np.array(scores),
    )
    return " ".join(frame_map(truth_rows(), rows, actions=ACTIONS, excluded=excluded).notes)


def test_truth_given_as_detections_is_noted() -> None:
    assert "all 2 scores are whole numbers: is this the truth" in notes_of_frames([0.0, 1.0])


def test_scores_that_are_not_probabilities_are_counted() -> None:
    assert "1 of 2 scores lie outside [0, 1], from 0.5 to 97.5" in notes_of_frames([97.5, 0.5])


def test_excluded_key_frames_of_unknown_videos_are_counted() -> None:
    keys = frozenset({FrameKey("w", 0), FrameKey("w", 1_000_000), FrameKey("v", 5_000_000)})
    assert "2 excluded key frames are of 1 videos that the truth does not name (w)" in notes_of_frames([0.1, 0.2], keys)


def test_sound_detections_have_no_note() -> None:
    assert notes_of_frames([0.5, 0.25]) == ""


def tubes(first: int, labels: list[int], *, flip: bool = False, score: float = 0.5) -> TubeSet:
    boxes = np.array([[10.0, 10, 50, 80]] * (2 * len(labels)))
    return TubeSet(
        videos=("v",),
        video=np.zeros(len(labels), np.int64),
        labels=np.array(labels),
        scores=np.full(len(labels), score),
        offsets=np.arange(0, 2 * len(labels) + 1, 2),
        moments=np.tile([first, first + 1], len(labels)),
        boxes=boxes[:, [2, 1, 0, 3]] if flip else boxes,
        box_scores=np.ones(2 * len(labels)),
    )


TRUTH = TubeTruth(
    labels=("a", "b"),
    unscored=frozenset(),
    train_videos=(),
    test_videos=("v",),
    frame_counts={"v": 10},
    sizes={"v": (100, 200)},
    tubes=tubes(1, [0, 1]),
)


@pytest.mark.parametrize(
    ("found", "note"),
    [
        (tubes(0, [0, 1]), "2 {} are of a frame below 1"),
        (tubes(10, [0, 1]), "2 {} are of a frame beyond the last of their video"),
        (tubes(1, [0, 1], flip=True), "4 {} are inverted (x1 > x2 or y1 > y2)"),
        (tubes(1, [1, 2]), "the labels are 1 to 2, where 0 to 1 are expected"),
        (tubes(1, [0, 1], score=50.5), "scores lie outside [0, 1]"),
        (tubes(1, [0, 1], score=1.0), "scores are whole numbers"),
        (tubes(1, [0, 1]), ""),
    ],
)
def test_tubes_and_frames_that_cannot_be_right_are_counted(found: TubeSet, note: str) -> None:
    assert note.format("boxes of tubes") in " ".join(video_map(TRUTH, found).notes)
    rows = FrameDetections(
        videos=("v",),
        video=np.zeros(len(found.moments), np.int64),
        moments=found.moments,
        boxes=found.boxes,
        labels=np.repeat(found.labels, 2),
        scores=np.repeat(found.scores, 2),
    )
    frames = tube_frame_map(TRUTH, rows).notes
    assert note.format("detections") in " ".join(frames)
    if not note:
        assert frames == video_map(TRUTH, found).notes == ()

from __future__ import annotations

from pathlib import Path

import numpy as np

from evaluation.formats.multisports import read_multisports
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_scoring import tube_frame_map
from evaluation.tube_set import TubeSet

BOX = (10.0, 10.0, 50.0, 90.0)


def truth() -> TubeTruth:
    """Video b shows action 0 on frames 3 and 4 and is annotated in no other frame; a is a training video."""
    return TubeTruth(
        labels=("run", "fall"),
        unscored=frozenset(),
        train_videos=("a",),
        test_videos=("c", "b"),
        frame_counts={"a": 9, "b": 9, "c": 9},
        sizes=dict.fromkeys("abc", (100, 100)),
        tubes=TubeSet(
            videos=("a", "b"),
            video=np.array([0, 1]),
            labels=np.array([1, 0]),
            scores=np.ones(2),
            offsets=np.array([0, 2, 4]),
            moments=np.array([5, 6, 3, 4]),
            boxes=np.tile(BOX, (4, 1)),
            box_scores=np.ones(4),
        ),
    )


def rows(*frames: tuple[int, int, float]) -> FrameDetections:
    """(place of the video, frame, score) of boxes at the place of the truth, all of action 0."""
    table = np.array(frames)
    return FrameDetections(
        videos=("c", "b"),
        video=table[:, 0].astype(np.int64),
        moments=table[:, 1].astype(np.int64),
        boxes=np.tile(BOX, (len(table), 1)),
        labels=np.zeros(len(table), dtype=np.int64),
        scores=table[:, 2],
    )


def test_only_frames_with_truth_of_a_test_video_are_kept() -> None:
    detections = rows((1, 2, 0.9), (1, 3, 0.8), (1, 4, 0.7), (1, 5, 0.6), (0, 3, 0.5), (7, 3, 0.4), (-1, 4, 0.3))
    assert detections.on_annotated_frames(truth()).scores.tolist() == [0.8, 0.7]


def test_false_alarms_outside_of_actions_cost_the_authors_protocol_alone() -> None:
    detections = rows((1, 2, 0.9), (1, 3, 0.8), (1, 4, 0.7))
    authors = tube_frame_map(truth(), detections).mean_ap
    mmaction2 = tube_frame_map(truth(), detections.on_annotated_frames(truth())).mean_ap
    assert authors < mmaction2 == 1.0


def test_without_any_detection_nothing_is_kept() -> None:
    nowhere = rows((7, 3, 1.0)).on_annotated_frames(truth())
    assert len(nowhere) == len(nowhere.on_annotated_frames(truth())) == 0


def test_on_the_toy_set_every_row_of_an_annotated_frame_stays(toy: Path) -> None:
    official = read_multisports(toy / "multisports/multisports_GT.pkl")
    tubes = official.of_videos(official.test_videos)
    detections = FrameDetections(
        videos=official.test_videos,
        video=np.repeat(tubes.video, tubes.lengths),
        moments=tubes.moments,
        boxes=tubes.boxes,
        labels=np.repeat(tubes.labels, tubes.lengths),
        scores=np.ones(len(tubes.moments)),
    )
    assert len(detections.on_annotated_frames(official)) == len(detections)

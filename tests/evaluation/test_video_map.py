"""The rules of frame- and video-mAP on tubes, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.ap_result import IOU_RANGES
from evaluation.errors import InputError
from evaluation.tube_ap import claim_order
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_scoring import tube_frame_map, video_map
from evaluation.tube_set import TubeSet

VIDEOS = ("v", "w")
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (400.0, 0.0, 500.0, 100.0)

Row = tuple[str, int, float, int, int, tuple[float, ...]]
"""Video, label, score, first and last frame, box."""


def tube_set(rows: Sequence[Row]) -> TubeSet:
    lengths = [last - first + 1 for _, _, _, first, last, _ in rows]
    names = list(dict.fromkeys(row[0] for row in rows))
    return TubeSet(
        videos=tuple(names),
        video=np.array([names.index(row[0]) for row in rows], dtype=np.int64),
        labels=np.array([row[1] for row in rows], dtype=np.int64),
        scores=np.array([row[2] for row in rows], dtype=np.float64),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        moments=np.concatenate([np.zeros(0, np.int64), *(np.arange(row[3], row[4] + 1) for row in rows)]),
        boxes=np.concatenate(
            [np.zeros((0, 4)), *(np.tile(row[5], (n, 1)) for row, n in zip(rows, lengths, strict=True))]
        ),
        box_scores=np.ones(sum(lengths)),
    )


def truth_of(*rows: Row, unscored: frozenset[int] = frozenset()) -> TubeTruth:
    return TubeTruth(
        labels=("run", "jump", "sit"),
        unscored=unscored,
        train_videos=(),
        test_videos=VIDEOS,
        frame_counts={"v": 100, "w": 100},
        sizes={"v": (720, 1280), "w": (720, 1280)},
        tubes=tube_set(rows),
    )


def boxes_of(*rows: tuple[int, int, int, float, tuple[float, ...]]) -> FrameDetections:
    """Rows: place of the video, frame, label, score, box."""
    return FrameDetections(
        videos=VIDEOS,
        video=np.array([row[0] for row in rows], dtype=np.int64),
        moments=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.array([row[4] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[2] for row in rows], dtype=np.int64),
        scores=np.array([row[3] for row in rows], dtype=np.float64),
    )


def test_a_truth_is_found_once_and_the_second_detection_is_false() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT), ("v", 0, 1.0, 1, 10, RIGHT))
    found = [("v", 0, 0.9, 1, 10, LEFT), ("v", 0, 0.8, 1, 10, LEFT), ("v", 0, 0.7, 1, 10, RIGHT)]
    assert video_map(truth, tube_set(found)).mean_ap == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_there_is_no_second_choice() -> None:
    near = (10.0, 0.0, 110.0, 100.0)
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT), ("v", 0, 1.0, 1, 10, near))
    found = [("v", 0, 0.9, 1, 10, LEFT), ("v", 0, 0.8, 1, 10, (2.0, 0.0, 102.0, 100.0))]
    # The second overlaps both truths by more than half, but LEFT most, which is taken.
    assert video_map(truth, tube_set(found)).mean_ap == pytest.approx(0.5)


def test_labels_without_truth_do_not_count_and_labels_without_detections_are_zero() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT), ("v", 1, 1.0, 1, 10, LEFT))
    found = tube_set([("v", 0, 0.9, 1, 10, LEFT), ("v", 2, 0.9, 1, 10, LEFT)])
    result = video_map(truth, found)
    assert result.labels.tolist() == [0, 1]
    assert np.isnan(result.ap[0, 2])
    assert result.mean_ap == 0.5


def test_unscored_labels_do_not_count() -> None:
    rows = (("v", 0, 1.0, 1, 10, LEFT), ("v", 1, 1.0, 1, 10, LEFT))
    result = video_map(truth_of(*rows, unscored=frozenset({1})), tube_set(rows[:1]))
    assert result.labels.tolist() == [0]
    assert result.mean_ap == 1.0


def test_unknown_videos_count_as_false_and_unknown_labels_not_at_all_and_both_are_told() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT))
    found = tube_set([("x", 0, 0.95, 1, 10, LEFT), ("v", 7, 0.9, 1, 10, LEFT), ("v", 0, 0.5, 1, 10, LEFT)])
    result = video_map(truth, found)
    assert result.mean_ap == 0.5
    assert result.notes == (
        "1 tubes name a video that is not a test video; they count as false",
        "1 tubes have a label that the truth does not have; they are ignored",
    )
    boxes = boxes_of((9, 1, 0, 0.9, LEFT), (-1, 1, 0, 0.8, LEFT), (0, 1, 3, 0.7, LEFT), (0, 1, 0, 0.6, LEFT))
    result = tube_frame_map(truth_of(("v", 0, 1.0, 1, 1, LEFT)), boxes)
    assert result.mean_ap == pytest.approx(1 / 3)
    assert result.notes[0].startswith("2 boxes name a video")
    assert result.notes[1].startswith("1 boxes have a label")


def test_no_detections_score_zero_and_say_so() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT))
    assert video_map(truth, tube_set([])).mean_ap == 0.0
    assert tube_frame_map(truth, boxes_of()).notes == ("no boxes at all",)


def test_frames_outside_the_truth_count_as_false() -> None:
    truth = truth_of(("v", 0, 1.0, 5, 5, LEFT))
    boxes = boxes_of((0, 6, 0, 0.9, LEFT), (0, -3, 0, 0.8, LEFT), (0, 10**6, 0, 0.7, LEFT), (0, 5, 0, 0.6, LEFT))
    assert tube_frame_map(truth, boxes).mean_ap == 0.25


def test_a_frame_box_exactly_on_the_threshold_is_a_hit() -> None:
    truth = truth_of(("v", 0, 1.0, 5, 5, (7.0, 3.0, 27.0, 33.0)))
    assert tube_frame_map(truth, boxes_of((0, 5, 0, 0.9, (7.0, 3.0, 17.0, 33.0)))).mean_ap == 1.0


def test_single_frame_twins_are_undefined_and_never_match() -> None:
    truth = truth_of(("v", 0, 1.0, 5, 5, LEFT))
    assert video_map(truth, tube_set([("v", 0, 0.9, 5, 5, LEFT)])).mean_ap == 0.0


def test_thresholds_share_one_set_of_overlaps() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 11, LEFT))
    result = video_map(truth, tube_set([("v", 0, 0.9, 1, 7, LEFT)]), (0.5, 0.6, 0.61))
    assert result.ap[:, 0].tolist() == [1.0, 1.0, 0.0]
    assert result.mean_over((0.6, 0.61)) == 0.5
    assert result.mean_ap == result.mean_at(0.5)
    columns = result.per_class
    names = ["id", "name", "type", "ap", "truths", "detections", "recall", "ap@0.5", "recall@0.5", "ap@0.6"]
    assert columns.columns.tolist()[:10] == names
    assert columns.iloc[0].tolist()[:10] == [0, "run", None, 1.0, 1, 1, 1.0, 1.0, 1.0, 1.0]


def test_the_ranges_are_those_of_the_official_script() -> None:
    assert [len(thresholds) for thresholds in IOU_RANGES.values()] == [9, 9, 10]
    assert IOU_RANGES["0.10:0.90"][6] == 0.7000000000000001
    assert IOU_RANGES["0.50:0.95"][4] == 0.7


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.5, 1.5)])
def test_thresholds_outside_0_and_1_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="thresholds"):
        video_map(truth_of(("v", 0, 1.0, 1, 10, LEFT)), tube_set([]), thresholds)


def test_truth_without_a_scored_tube_is_refused() -> None:
    with pytest.raises(InputError, match="no tube of a scored label"):
        video_map(truth_of(("x", 0, 1.0, 1, 10, LEFT)), tube_set([]))


def test_equal_scores_are_ordered_as_in_the_file_or_as_numpy_sorts() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(-1, 4, 3000), rng.integers(0, 20, 3000) / 20
    order, offsets = claim_order(labels, scores, 3, "stable")
    assert offsets[-1] == len(order) == np.isin(labels, [0, 1, 2]).sum()
    official, _ = claim_order(labels, scores, 3, "official")
    for label in range(3):
        own = np.flatnonzero(labels == label)
        rows = slice(offsets[label], offsets[label + 1])
        assert order[rows].tolist() == sorted(own, key=lambda row: (-scores[row], row))
        assert official[rows].tolist() == own[np.argsort(-scores[own])].tolist()


def test_results_print_as_tables() -> None:
    truth = truth_of(("v", 0, 1.0, 1, 10, LEFT))
    result = video_map(truth, tube_set([("v", 0, 0.9, 1, 10, LEFT)]), (0.2, 0.5))
    assert repr(result) == "ThresholdMapResult(1.0000 at 0.2, 1.0000 at 0.5)"
    assert "run" in str(result)
    assert "AP@0.5" in str(result)
    (curve,) = result.curves
    assert curve.recall.tolist() == [1.0]


def test_frame_detections_of_another_list_of_videos_are_refused() -> None:
    boxes = FrameDetections(
        videos=("v",),
        video=np.zeros(1, np.int64),
        moments=np.ones(1, np.int64),
        boxes=np.ones((1, 4)),
        labels=np.zeros(1, np.int64),
        scores=np.ones(1),
    )
    with pytest.raises(InputError, match="another list"):
        tube_frame_map(truth_of(("v", 0, 1.0, 1, 10, LEFT)), boxes)

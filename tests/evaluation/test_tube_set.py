"""Columns of tubes, and the bridges between their pixels and unit boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.ragged import row_ranges
from evaluation.records import Tube
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet

SIZES = {"a": (720, 1280), "b": (360, 637)}


@pytest.fixture
def some() -> TubeSet:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 1, 5])
    return TubeSet(
        videos=("b", "a"),
        video=np.array([0, 1, 0]),
        labels=np.array([2, 0, 1]),
        scores=np.array([0.5, 0.25, 1.0]),
        offsets=np.array([0, 3, 4, 9]),
        moments=np.concatenate([np.arange(7, 7 + length) for length in lengths]),
        boxes=rng.uniform(0, 300, (9, 4)).astype(np.float32),
        box_scores=rng.random(9).astype(np.float32),
    )


def test_row_ranges_counts_through_every_range() -> None:
    assert row_ranges(np.array([5, 20, 0]), np.array([3, 0, 2])).tolist() == [5, 6, 7, 0, 1]


def test_tubes_to_unit_boxes_and_back_are_the_same_pixels(some: TubeSet) -> None:
    tubes = list(some.tubes(SIZES))
    assert [(tube.video, tube.label, len(tube)) for tube in tubes] == [("b", 2, 3), ("a", 0, 1), ("b", 1, 5)]
    assert max(tube.boxes.max() for tube in tubes) < 1
    back = TubeSet.from_tubes(tubes, SIZES)
    np.testing.assert_array_equal(back.boxes, some.boxes)
    np.testing.assert_array_equal(back.moments, some.moments)
    assert back.videos == ("b", "a")


def test_take_and_of_videos_keep_every_box_with_its_tube(some: TubeSet) -> None:
    taken = some.take(np.array([2, 0]))
    assert taken.lengths.tolist() == [5, 3]
    np.testing.assert_array_equal(taken.boxes, np.concatenate([some.boxes[4:], some.boxes[:3]]))
    assert some.of_videos(["a", "x"]).video.tolist() == [-1, 0, -1]


@pytest.mark.parametrize("moments", [[7, 8, 10, 1, 2, 3, 4, 5, 6], [7, 8, 9, 1, 2, 2, 3, 4, 5]])
def test_a_tube_with_a_hole_or_a_repeated_frame_is_refused(some: TubeSet, moments: list[int]) -> None:
    with pytest.raises(ValueError, match="not consecutive"):
        replace(some, moments=np.array(moments))


def test_a_tube_that_skips_moments_cannot_become_columns() -> None:
    tube = Tube(video="a", label=0, score=1.0, moments=np.array([1, 3]), boxes=np.zeros((2, 4)), box_scores=np.ones(2))
    with pytest.raises(ValueError, match="not consecutive"):
        TubeSet.from_tubes([tube], SIZES)
    with pytest.raises(ValueError, match="size of video a"):
        TubeSet.from_tubes([tube], {})


def test_truth_rows_have_unit_boxes_and_one_person_per_tube(some: TubeSet) -> None:
    truth = TubeTruth(
        labels=("x", "y", "z"),
        unscored=frozenset(),
        train_videos=("b",),
        test_videos=("a",),
        frame_counts={"a": 50, "b": 50},
        sizes=SIZES,
        tubes=some,
    )
    rows = truth.rows(["b"])
    assert rows.persons.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert rows.labels.tolist() == [2, 2, 2, 1, 1, 1, 1, 1]
    assert set(rows.video) == {"b"}
    np.testing.assert_allclose(rows.boxes * [637, 360, 637, 360], np.delete(some.boxes, 3, axis=0), rtol=1e-12)


def test_frame_detections_to_unit_rows_and_back() -> None:
    rng = np.random.default_rng(3)
    pixels = FrameDetections(
        videos=("a", "b"),
        video=np.array([0, 1, 5, -1]),
        moments=np.arange(4),
        boxes=rng.uniform(0, 300, (4, 4)),
        labels=np.arange(4),
        scores=rng.random(4),
    )
    rows = pixels.rows(SIZES)
    assert len(rows) == 2  # unknown videos have no size
    back = FrameDetections.from_rows(rows, ("b", "a"), SIZES)
    assert back.video.tolist() == [1, 0]
    np.testing.assert_allclose(back.boxes, pixels.boxes[:2], rtol=1e-12)

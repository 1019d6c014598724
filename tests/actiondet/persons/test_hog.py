from pathlib import Path

import numpy as np
import pytest

from actiondet.persons.hog import HogPersonDetector, _parts_of_others, score_of_margin
from evaluation.records import FrameKey

KEY = FrameKey("video", 0)


def first_frame(path: Path, skip: int) -> np.ndarray:
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == skip:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError("the clip is shorter than it was")


def test_an_empty_scene_holds_nobody() -> None:
    grey = np.full((240, 320, 3), 127, dtype=np.uint8)
    (found,) = HogPersonDetector().detect([grey], [KEY])
    assert len(found) == 0
    assert found.key == KEY


@pytest.mark.parametrize("size", [(2, 2), (16, 24), (24, 16), (40, 100), (130, 60)])
def test_frames_smaller_than_the_detectors_window_hold_nobody(size: tuple[int, int]) -> None:
    # OpenCV itself corrupts memory on pictures smaller than its window.
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    (found,) = HogPersonDetector().detect([noise], [KEY])
    assert len(found) == 0


def test_the_score_rises_with_the_margin_and_is_half_at_one() -> None:
    scores = score_of_margin(np.array([0.0, 1.0, 2.0, 10.0]))
    assert scores == pytest.approx([1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1.0], abs=1e-6)


def test_pedestrians_of_a_real_clip_are_found(shared: Path) -> None:
    frame = first_frame(shared / "videos" / "vtest_ocv.avi", skip=0)
    (found,) = HogPersonDetector(threshold=0.5).detect([frame], [KEY])
    # Three people walk here (looked at); the box of the man on the left ends at his feet.
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert len(found) == 3
    assert np.abs(centres - [0.348, 0.436]).sum(1).min() < 0.03
    assert np.all(np.diff(found.scores) <= 0)
    assert found.boxes.dtype == np.float32
    assert found.boxes.min() >= 0
    assert found.boxes.max() <= 1


def test_a_person_as_tall_as_the_frame_is_found(shared: Path) -> None:
    frame = first_frame(shared / "videos" / "one-by-one-person-detection.mp4", skip=80)
    (found,) = HogPersonDetector(threshold=0.5).detect([frame], [KEY])
    height = found.boxes[:, 3] - found.boxes[:, 1]
    assert height.max() > 0.8


def test_boxes_do_not_depend_on_the_other_frames_of_a_batch(shared: Path) -> None:
    frame = first_frame(shared / "videos" / "vtest_ocv.avi", skip=0)
    other = np.zeros((100, 180, 3), dtype=np.uint8)
    keys = [FrameKey("video", moment) for moment in range(3)]
    together = HogPersonDetector().detect([other, frame, other], keys)
    (alone,) = HogPersonDetector().detect([frame], [KEY])
    assert np.array_equal(together[1].boxes, alone.boxes)
    assert [found.key.moment for found in together] == [0, 1, 2]


def test_a_box_inside_a_better_one_is_a_part_of_that_person() -> None:
    best, inside, beside, around = [10, 10, 30, 70], [12, 12, 20, 40], [25, 12, 40, 70], [0, 0, 50, 90]
    boxes = np.array([best, inside, beside, around], dtype=np.float64)
    assert _parts_of_others(boxes).tolist() == [False, True, False, False]
    assert _parts_of_others(boxes[[1, 0]]).tolist() == [False, False]
    assert _parts_of_others(np.zeros((0, 4))).tolist() == []


def test_an_arm_is_no_second_person(shared: Path) -> None:
    frame = first_frame(shared / "videos" / "one-by-one-person-detection.mp4", skip=250)
    (found,) = HogPersonDetector(threshold=0.5).detect([frame], [KEY])
    assert len(found) == 1

from __future__ import annotations

import numpy as np

from actiondet.tubes.persons import TubePersons, same_persons
from evaluation.tube_set import TubeSet

SIZE = (100, 200)
LEFT, RIGHT = (0.0, 0.0, 40.0, 100.0), (120.0, 0.0, 160.0, 100.0)
NEAR_LEFT = (4.0, 0.0, 44.0, 100.0)
Item = tuple[str, int, float, int, int, tuple[float, ...]]


def tubes(*items: Item) -> TubeSet:
    """Tubes (video, label, score, first frame, length, pixel box)."""
    videos = tuple(dict.fromkeys(item[0] for item in items))
    lengths = [item[4] for item in items]
    return TubeSet(
        videos=videos,
        video=np.array([videos.index(item[0]) for item in items], dtype=np.int64),
        labels=np.array([item[1] for item in items], dtype=np.int64),
        scores=np.array([item[2] for item in items], dtype=np.float64),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        moments=np.concatenate([np.zeros(0, np.int64), *(np.arange(item[3], item[3] + item[4]) for item in items)]),
        boxes=np.concatenate([np.zeros((0, 4)), *(np.tile(item[5], (item[4], 1)) for item in items)]).astype(
            np.float32
        ),
        box_scores=np.ones(sum(lengths), dtype=np.float32),
    )


def persons(found: TubeSet, video: str = "v") -> TubePersons:
    return TubePersons(found, video, size=SIZE, frame_times=np.arange(10) * 40_000, num_actions=4)


def test_tubes_that_lie_on_each_other_are_one_person() -> None:
    found = tubes(("v", 0, 0.9, 1, 4, RIGHT), ("v", 1, 0.8, 1, 4, LEFT), ("v", 2, 0.7, 3, 5, NEAR_LEFT))
    assert same_persons(found).tolist() == [0, 1, 1]


def test_tubes_that_share_no_frame_are_two_persons() -> None:
    assert same_persons(tubes(("v", 0, 0.9, 1, 4, LEFT), ("v", 1, 0.8, 5, 4, LEFT))).tolist() == [0, 1]


def test_no_tubes_are_no_persons() -> None:
    assert same_persons(tubes()).tolist() == []
    assert persons(tubes()).persons == 0
    assert len(persons(tubes()).at(0)[0]) == 0


def test_a_person_has_all_the_actions_of_the_frame_and_the_box_of_the_best() -> None:
    found = tubes(
        ("v", 2, 0.5, 1, 4, NEAR_LEFT),
        ("v", 1, 0.75, 3, 4, LEFT),
        ("v", 3, 0.25, 4, 2, RIGHT),
        ("u", 0, 1.0, 1, 9, RIGHT),
    )
    shown = persons(found)
    assert (len(shown), shown.persons) == (3, 2)
    expected = {
        1: [(0, [0, 0, 0.5, 0], NEAR_LEFT)],
        3: [(0, [0, 0.75, 0.5, 0], LEFT)],
        4: [(0, [0, 0.75, 0.5, 0], LEFT), (1, [0, 0, 0, 0.25], RIGHT)],
        6: [(0, [0, 0.75, 0, 0], LEFT)],
        7: [],
    }
    for frame, people in expected.items():
        # Shown from its time on until the next frame.
        for time in (40_000 * (frame - 1), 40_000 * frame - 1):
            detections, identities = shown.at(time)
            assert identities.tolist() == [number for number, _, _ in people]
            assert detections.action_scores.tolist() == [scores for _, scores, _ in people]
            boxes = [np.array(box) / (200, 100, 200, 100) for _, _, box in people]
            np.testing.assert_allclose(detections.boxes, np.array(boxes).reshape(-1, 4), atol=1e-6)


def test_a_person_who_begins_something_else_stays_the_same() -> None:
    found = tubes(("v", 0, 0.9, 1, 3, LEFT), ("v", 1, 0.8, 5, 3, NEAR_LEFT), ("v", 2, 0.7, 1, 7, RIGHT))
    shown = persons(found)
    assert shown.persons == 2
    assert [shown.at(40_000 * frame)[1].tolist() for frame in (0, 3, 4)] == [[0, 1], [1], [0, 1]]


def test_somebody_long_after_is_somebody_else() -> None:
    assert persons(tubes(("v", 0, 0.9, 1, 3, LEFT), ("v", 0, 0.9, 30, 3, LEFT))).persons == 2

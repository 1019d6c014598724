import numpy as np
import pytest

from actiondet.tubes.carrying import CarriedPersons
from evaluation.records import ActionDetections, FrameKey

SECOND = 1_000_000


def moment(second: int, *boxes: tuple[float, float, float, float]) -> ActionDetections:
    count = len(boxes)
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    scores = np.full((count, 2), second / 10, dtype=np.float32)
    return ActionDetections(FrameKey("v", second * SECOND), array, np.ones(count, dtype=np.float32), scores)


LEFT = (0.0, 0.0, 0.2, 1.0)
MIDDLE = (0.1, 0.0, 0.3, 1.0)  # overlaps LEFT by a third
RIGHT = (0.8, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("time", "left"),
    [(0.0, 0.0), (0.25, 0.025), (0.5, 0.05), (0.75, 0.075), (1.0, 0.1), (7.0, 0.1)],
)
def test_a_person_found_twice_moves_in_a_straight_line(time: float, left: float) -> None:
    persons = CarriedPersons([moment(0, LEFT), moment(1, MIDDLE)])
    shown, identities = persons.at(round(time * SECOND))
    assert shown.boxes[0] == pytest.approx([left, 0.0, left + 0.2, 1.0], abs=1e-6)
    assert shown.key.moment == round(time * SECOND)
    assert identities.tolist() == [0]


def test_a_person_found_once_stands_still_for_half_the_way() -> None:
    persons = CarriedPersons([moment(0, LEFT), moment(1, RIGHT)])
    assert persons.at(400_000)[0].boxes.tolist() == [pytest.approx(LEFT)]
    assert persons.at(600_000)[0].boxes.tolist() == [pytest.approx(RIGHT)]
    assert persons.at(600_000)[1].tolist() == [1]


def test_scores_are_those_of_the_nearest_moment() -> None:
    persons = CarriedPersons([moment(1, LEFT), moment(2, LEFT)])
    assert persons.at(1_400_000)[0].action_scores[0, 0] == pytest.approx(0.1)
    assert persons.at(1_600_000)[0].action_scores[0, 0] == pytest.approx(0.2)


def test_identities_follow_a_person_and_are_not_given_again() -> None:
    persons = CarriedPersons([moment(0, LEFT, RIGHT), moment(1, MIDDLE), moment(2, RIGHT, MIDDLE)])
    assert [numbers.tolist() for numbers in persons.identities] == [[0, 1], [0], [2, 0]]


def test_moments_without_persons_are_empty_frames() -> None:
    shown, identities = CarriedPersons([moment(0), moment(1)]).at(300_000)
    assert len(shown) == 0
    assert len(identities) == 0


def test_moments_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        CarriedPersons([moment(1), moment(1)])

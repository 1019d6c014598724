import numpy as np
import pytest

from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.following import Look
from evaluation.records import ActionDetections, FrameKey, PersonBoxes

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
    persons = CarriedPersons.linked([moment(0, LEFT), moment(1, MIDDLE)])
    shown, identities = persons.at(round(time * SECOND))
    assert shown.boxes[0] == pytest.approx([left, 0.0, left + 0.2, 1.0], abs=1e-6)
    assert shown.key.moment == round(time * SECOND)
    assert identities.tolist() == [0]


def test_a_person_found_once_stands_still_for_half_the_way() -> None:
    persons = CarriedPersons.linked([moment(0, LEFT), moment(1, RIGHT)])
    assert persons.at(400_000)[0].boxes.tolist() == [pytest.approx(LEFT)]
    assert persons.at(600_000)[0].boxes.tolist() == [pytest.approx(RIGHT)]
    assert persons.at(600_000)[1].tolist() == [1]


def test_scores_are_those_of_the_nearest_moment() -> None:
    persons = CarriedPersons.linked([moment(1, LEFT), moment(2, LEFT)])
    assert persons.at(1_400_000)[0].action_scores[0, 0] == pytest.approx(0.1)
    assert persons.at(1_600_000)[0].action_scores[0, 0] == pytest.approx(0.2)


def test_identities_follow_a_person_and_are_not_given_again() -> None:
    persons = CarriedPersons.linked([moment(0, LEFT, RIGHT), moment(1, MIDDLE), moment(2, RIGHT, MIDDLE)])
    assert [numbers.tolist() for numbers in persons.identities] == [[0, 1], [0], [2, 0]]


def test_moments_without_persons_are_empty_frames() -> None:
    shown, identities = CarriedPersons.linked([moment(0), moment(1)]).at(300_000)
    assert len(shown) == 0
    assert len(identities) == 0


def test_moments_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        CarriedPersons.linked([moment(1), moment(1)])


def look(tenths: int, **persons: float) -> Look:
    """Persons a, b, ... by the left side of their box."""
    boxes = np.array([(left, 0.0, left + 0.2, 1.0) for left in persons.values()], dtype=np.float32).reshape(-1, 4)
    found = PersonBoxes(FrameKey("v", tenths * SECOND // 10), boxes, np.ones(len(persons), dtype=np.float32))
    return Look(found, np.array(["ab".index(name) for name in persons], dtype=np.int64))


def test_looks_between_key_frames_say_where_everybody_is() -> None:
    looks = [look(0, a=0.0), look(5, a=0.4, b=0.7), look(10, b=0.7)]
    persons = CarriedPersons([moment(0, LEFT), moment(1, RIGHT)], looks)
    shown, identities = persons.at(400_000)
    assert identities.tolist() == [0, 1]
    assert shown.boxes[:, 0] == pytest.approx([0.32, 0.7])
    # The first one was scored at second 0, the other at second 1.
    assert shown.action_scores[:, 0] == pytest.approx([0.0, 0.1])
    assert persons.at(1_000_000)[1].tolist() == [1]


def test_who_is_missed_and_found_again_moves_on_in_a_straight_line() -> None:
    looks = [look(0, a=0.0), look(2), look(4, b=0.5), look(6, a=0.3), look(8)]
    persons = CarriedPersons([moment(0, LEFT)], looks)
    for tenths, left in ((1, 0.05), (2, 0.1), (3, 0.15), (5, 0.25), (6, 0.3)):
        shown, identities = persons.at(tenths * SECOND // 10)
        assert shown.boxes[identities == 0, 0] == pytest.approx([left])
    assert persons.at(SECOND)[1].tolist() == []


def test_key_frames_without_a_look_are_refused() -> None:
    with pytest.raises(ValueError, match="not among the looks"):
        CarriedPersons([moment(0), moment(1)], [look(0), look(5)])

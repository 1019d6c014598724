import numpy as np
import pytest

from actiondet.tubes.tracking import boxes_along_tracks, pair_most, track_persons
from evaluation.boxes import iou_matrix
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

LEFT = (0.0, 0.0, 0.2, 1.0)
MIDDLE = (0.1, 0.0, 0.3, 1.0)  # overlaps LEFT by a third
RIGHT = (0.8, 0.0, 1.0, 1.0)
Box = tuple[float, float, float, float]


def at(moment: int, *boxes: Box) -> PersonBoxes:
    return PersonBoxes(
        FrameKey("v", moment), np.array(boxes, dtype=np.float32).reshape(-1, 4), np.ones(len(boxes), dtype=np.float32)
    )


def person(x: float, width: float = 0.1) -> Box:
    """Somebody whose middle is at x."""
    return (x - width / 2, 0.2, x + width / 2, 0.8)


def ids(*names: int) -> IntArray:
    return np.array(names, dtype=np.int64)


def lists(identities: list[IntArray]) -> list[list[int]]:
    return [each.tolist() for each in identities]


def test_each_box_gets_at_most_one_partner_and_the_overlaps_add_up_to_most() -> None:
    here = np.array([LEFT, MIDDLE, RIGHT])
    there = np.array([MIDDLE, (0.2, 0.0, 0.4, 1.0)])
    assert pair_most(iou_matrix(here, there), 0.1).tolist() == [-1, 0, -1]
    assert pair_most(iou_matrix(here[:2], there[::-1]), 0.1).tolist() == [-1, 1]
    assert pair_most(iou_matrix(here, np.zeros((0, 4))), 0.1).tolist() == [-1, -1, -1]
    assert pair_most(iou_matrix(np.zeros((0, 4)), there), 0.1).tolist() == []


def test_an_overlap_too_small_to_count_takes_no_partner_away() -> None:
    # The four overlaps: 0.52 0.44 / 0.96 0.94. The diagonal adds up to more, but 0.52 does not count.
    here = np.array([(0.0, 0.0, 0.26, 1.0), (0.0, 0.0, 0.52, 1.0)])
    there = np.array([(0.0, 0.0, 0.5, 1.0), (0.03, 0.0, 0.52, 1.0)])
    assert pair_most(iou_matrix(here, there), 0.5).tolist() == [0, 1]
    assert pair_most(iou_matrix(here, there), 0.55).tolist() == [-1, 0]


def test_identities_follow_a_person_whatever_the_order_of_the_boxes() -> None:
    moments = [at(0, LEFT, RIGHT), at(1, RIGHT, MIDDLE), at(2, MIDDLE, RIGHT)]
    assert lists(track_persons(moments)) == [[0, 1], [1, 0], [0, 1]]


def test_a_person_who_comes_later_gets_a_new_number_and_one_who_leaves_takes_his_along() -> None:
    moments = [at(0, LEFT), at(1, LEFT, RIGHT), at(2, RIGHT), at(3, RIGHT, LEFT)]
    assert lists(track_persons(moments)) == [[0], [0, 1], [1], [1, 2]]


@pytest.mark.parametrize(
    ("max_gap", "expected"), [(0, [[0], [], [], [1]]), (1, [[0], [], [], [1]]), (2, [[0], [], [], [0]])]
)
def test_somebody_may_be_missing_at_as_many_moments_as_the_gap_allows(max_gap: int, expected: list[list[int]]) -> None:
    moments = [at(0, LEFT), at(1), at(2), at(3, LEFT)]
    assert lists(track_persons(moments, max_gap=max_gap)) == expected


def test_two_who_walk_through_each_other_keep_their_numbers() -> None:
    # Between moments 3 and 4 they pass; where each was last seen, the other one stands next.
    moments = [at(t, person(0.1 + 0.1 * t), person(0.8 - 0.1 * t)) for t in range(9)]
    assert lists(track_persons(moments)) == [[0, 1]] * 9
    swapped = [at(t, *map(tuple, moments[t].boxes[::-1].tolist())) if t % 2 else moments[t] for t in range(9)]
    assert lists(track_persons(swapped)) == [[1, 0] if t % 2 else [0, 1] for t in range(9)]


def test_somebody_who_is_hidden_while_he_walks_is_found_where_he_must_be() -> None:
    moments = [at(t, person(0.1 + 0.1 * t)) if t not in (3, 4) else at(t) for t in range(8)]
    assert lists(track_persons(moments, max_gap=2)) == [[0], [0], [0], [], [], [0], [0], [0]]


def test_somebody_who_turns_back_is_found_where_he_was_last_seen() -> None:
    places = (0.2, 0.32, 0.44, 0.32, 0.2)
    assert lists(track_persons([at(t, person(x)) for t, x in enumerate(places)])) == [[0]] * 5


def test_moments_may_be_unevenly_spaced() -> None:
    moments = [at(t, person(0.1 + 0.01 * t)) for t in (0, 10, 20, 60)]
    assert lists(track_persons(moments)) == [[0]] * 4


def test_trembling_boxes_of_a_crowd_keep_their_numbers() -> None:
    random = np.random.default_rng(5)
    people = np.array([person(0.1 + 0.13 * n) for n in range(7)])
    speed = np.array([0.01, -0.01, 0.01, 0.0, -0.01, 0.01, -0.01])
    moments = []
    for t in range(6):
        boxes = people + np.tile([1, 0, 1, 0], (7, 1)) * (speed * t)[:, None] + random.normal(0, 0.004, (7, 4))
        moments.append(PersonBoxes(FrameKey("v", t), boxes.astype(np.float32), np.ones(7, dtype=np.float32)))
    assert lists(track_persons(moments)) == [list(range(7))] * 6


def test_known_persons_are_linked_however_far_they_went() -> None:
    moments = [at(0, LEFT, RIGHT), at(1, RIGHT, LEFT)]
    assert lists(track_persons(moments, known=[ids(7, 8), ids(7, 8)])) == [[0, 1], [0, 1]]


def test_persons_known_to_be_different_are_not_linked() -> None:
    moments = [at(0, LEFT), at(1, LEFT)]
    assert lists(track_persons(moments, known=[ids(7), ids(8)])) == [[0], [1]]


def test_a_known_person_is_followed_through_moments_at_which_nobody_is_known() -> None:
    moments = [at(0, LEFT, MIDDLE), at(1, MIDDLE, LEFT), at(2, MIDDLE, LEFT)]
    identities = track_persons(moments, known=[ids(7, 8), ids(-1, -1), ids(7, 8)])
    assert lists(identities) == [[0, 1], [1, 0], [0, 1]]


def test_no_moments_and_nobody_are_fine() -> None:
    assert track_persons([]) == []
    assert lists(track_persons([at(0), at(1)])) == [[], []]
    assert lists(track_persons([at(0), at(1, LEFT), at(2)])) == [[], [0], []]


def test_moments_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        track_persons([at(1), at(1)])


def along(key: int, moments: list[PersonBoxes], times: list[float]) -> FloatArray:
    return boxes_along_tracks(key, moments, track_persons(moments), np.array(times))


def test_a_person_moves_in_a_straight_line_from_moment_to_moment_and_stands_still_beyond() -> None:
    boxes = along(1, [at(0, person(0.1)), at(10, person(0.2)), at(20, person(0.4))], [-5, 0, 5, 10, 15, 20, 25])
    assert boxes.shape == (1, 7, 4)
    assert boxes.dtype == np.float32
    assert boxes[0].mean(axis=1) == pytest.approx(
        [np.mean(person(x)) for x in (0.1, 0.1, 0.15, 0.2, 0.3, 0.4, 0.4)], abs=1e-6
    )


def test_the_box_of_a_person_who_is_found_nowhere_else_stays() -> None:
    boxes = along(1, [at(0, LEFT), at(1, RIGHT), at(2)], [0.0, 1.0, 2.0])
    assert (boxes == np.float32(RIGHT)).all()


def test_boxes_keep_the_order_of_the_key_moment() -> None:
    moments = [at(0, LEFT, RIGHT), at(1, RIGHT, MIDDLE)]
    assert along(1, moments, [0.0])[:, 0].tolist() == [pytest.approx(RIGHT), pytest.approx(LEFT)]
    assert along(0, moments, [1.0])[:, 0].tolist() == [pytest.approx(MIDDLE), pytest.approx(RIGHT)]


def test_nobody_at_the_key_moment_gives_no_boxes() -> None:
    assert along(0, [at(0), at(1, LEFT)], [0.0, 0.5, 1.0]).shape == (0, 3, 4)

import numpy as np
import pytest

from actiondet.tubes.following import Follower, FoundMoment, Look
from evaluation.records import ActionDetections, FrameKey, PersonBoxes

SECOND = 1_000_000


def persons(at: float, *lefts: float) -> PersonBoxes:
    boxes = np.array([(left, 0.0, left + 0.1, 1.0) for left in lefts], dtype=np.float32).reshape(-1, 4)
    return PersonBoxes(FrameKey("v", round(at * SECOND)), boxes, np.ones(len(lefts), dtype=np.float32))


def found(at: float, *lefts: float, between: tuple[PersonBoxes, ...] = ()) -> FoundMoment:
    seen = persons(at, *lefts)
    scores = np.zeros((len(lefts), 2), dtype=np.float32)
    return FoundMoment(ActionDetections(seen.key, seen.boxes, seen.scores, scores), between)


def test_who_walks_far_from_key_frame_to_key_frame_is_known_by_the_looks_between() -> None:
    key_frames = [found(0, 0.0), found(1, 0.6, between=tuple(persons(at, at * 0.6) for at in (0.2, 0.4, 0.6, 0.8)))]
    assert [Follower(0.2).update(each)[-1].identities.tolist() for each in key_frames] == [[0], [0]]
    follower = Follower(0.2)
    looks = [look for each in key_frames for look in follower.update(each)]
    assert [look.identities.tolist() for look in looks] == [[0]] * 6
    assert [look.persons.key.moment for look in looks] == [round(tenth * SECOND / 5) for tenth in range(6)]
    alone = Follower(1.0)
    assert [alone.update(found(at, left))[-1].identities.tolist() for at, left in ((0, 0.0), (1, 0.6))] == [[0], [1]]


@pytest.mark.parametrize(("missed", "identity"), [(1, 0), (2, 1)])
def test_a_short_gap_keeps_the_identity(missed: int, identity: int) -> None:
    follower = Follower(0.2)
    follower.update(found(0, 0.3))
    for place in range(missed):
        follower.update(found(0.2 * (1 + place)))
    assert follower.update(found(0.2 * (1 + missed), 0.3))[-1].identities.tolist() == [identity]


def test_after_a_long_time_without_a_look_nobody_is_the_same() -> None:
    follower = Follower(0.2)
    identities = [follower.update(found(at, 0.3))[-1].identities.tolist() for at in (0, 9, 20)]
    assert identities == [[0], [0], [1]]


def test_looks_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        found(1, 0.3, between=(persons(1, 0.3),))
    with pytest.raises(ValueError, match="1 persons with identities"):
        Look(persons(0, 0.3), np.zeros(2, dtype=np.int64))

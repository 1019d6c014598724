from __future__ import annotations

import numpy as np
import pytest

from actiondet.datasets.tables import KeyTable, PersonTable, select_persons
from actiondet.datasets.tracks import FollowLimits, PersonIndex, Tracks
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

Box = tuple[float, float, float, float]


def person(x: float) -> Box:
    return (x - 0.05, 0.2, x + 0.05, 0.8)


def table(*moments: tuple[str, int, list[Box]]) -> PersonTable:
    keys = KeyTable.of([FrameKey(video, moment) for video, moment, _ in moments])
    found: list[PersonBoxes | None] = [
        PersonBoxes(key, np.array(boxes, dtype=np.float32).reshape(-1, 4), np.ones(len(boxes), dtype=np.float32))
        for key, (_, _, boxes) in zip(keys, moments, strict=True)
    ]
    return select_persons(keys, found, threshold=0, at_most=99)


def middles(boxes: FloatArray) -> list[list[float]]:
    """Where each person stands at each time."""
    return [[round(float(x), 3) for x in person] for person in boxes[:, :, [0, 2]].mean(axis=2)]


def boxes(*places: float) -> FloatArray:
    return np.array([person(x) for x in places], dtype=np.float32).reshape(-1, 4)


def times(*values: int) -> IntArray:
    return np.array(values, dtype=np.int64)


WALK = [("v", 10 * second, [person(0.1 + 0.1 * second), person(0.9 - 0.02 * second)]) for second in range(6)]


@pytest.mark.parametrize("order", [1, -1])
def test_found_persons_are_followed_through_the_moments_around_whatever_their_order_in_the_file(order: int) -> None:
    tracks = Tracks(found=PersonIndex.of(table(*WALK[::order])), true=None, limits=FollowLimits(beyond=10, max_gap=1))
    found = tracks.of_found(FrameKey("v", 20), boxes(0.3, 0.86), times(10, 15, 20, 25, 28))
    assert middles(found) == [[0.2, 0.25, 0.3, 0.35, 0.38], [0.88, 0.87, 0.86, 0.85, 0.844]]
    # The key moment's own boxes count, not what is stored for it.
    nudged = tracks.of_found(FrameKey("v", 20), boxes(0.31), times(20, 30))
    assert middles(nudged) == [[0.31, 0.4]]


def test_only_moments_within_reach_are_looked_at() -> None:
    # At 40 he would be seen again, twelve beyond the end of the clip.
    moments = table(("v", 20, [person(0.5)]), ("v", 40, [person(0.6)]))
    for beyond, expected in ((12, [[0.5, 0.54]]), (11, [[0.5, 0.5]])):
        tracks = Tracks(found=PersonIndex.of(moments), true=None, limits=FollowLimits(beyond=beyond, max_gap=1))
        assert middles(tracks.of_found(FrameKey("v", 20), boxes(0.5), times(20, 28))) == expected


def test_other_videos_and_the_ends_of_a_video_are_not_crossed() -> None:
    moments = table(("u", 10, [person(0.4)]), ("v", 10, [person(0.5)]), ("w", 20, [person(0.6)]))
    tracks = Tracks(found=PersonIndex.of(moments), true=None, limits=FollowLimits(beyond=100, max_gap=1))
    assert middles(tracks.of_found(FrameKey("v", 10), boxes(0.5), times(0, 10, 20))) == [[0.5, 0.5, 0.5]]
    assert middles(tracks.of_found(FrameKey("unheard of", 10), boxes(0.5), times(0, 20))) == [[0.5, 0.5]]


def test_annotated_persons_are_followed_by_their_identity_however_far_they_go() -> None:
    people = table(
        ("v", 0, [person(0.1), person(0.9)]), ("v", 10, [person(0.5)]), ("v", 20, [person(0.1), person(0.9)])
    )
    true = PersonIndex.of(people, np.array([7, 8, 7, 8, 7]))
    tracks = Tracks(found=None, true=true, limits=FollowLimits(beyond=10, max_gap=1))
    followed = tracks.of_true(FrameKey("v", 10), boxes(0.5), np.array([7]), times(0, 5, 10, 15, 20))
    assert middles(followed) == [[0.1, 0.3, 0.5, 0.7, 0.9]]
    # Without a known identity, nobody is near enough.
    assert middles(tracks.of_true(FrameKey("v", 10), boxes(0.5), np.array([-1]), times(0, 20))) == [[0.5, 0.5]]
    assert middles(tracks.of_found(FrameKey("v", 10), boxes(0.5), times(0, 20))) == [[0.5, 0.5]]


def test_annotated_persons_are_followed_through_what_was_found_in_between() -> None:
    # He turns back between two annotated moments: only the found boxes tell, and another person stands there too.
    true = PersonIndex.of(table(("v", 0, [person(0.3)]), ("v", 20, [person(0.3)])), np.array([7, 7]))
    found = table(
        ("v", 0, [person(0.31)]), ("v", 10, [person(0.7), person(0.4)]), ("v", 20, [person(0.29), person(0.7)])
    )
    tracks = Tracks(found=PersonIndex.of(found), true=true, limits=FollowLimits(beyond=10, max_gap=1))
    followed = tracks.of_true(FrameKey("v", 0), boxes(0.3), np.array([7]), times(0, 5, 10, 15, 20))
    assert middles(followed) == [[0.3, 0.35, 0.4, 0.35, 0.3]]


def test_nobody_at_a_moment_gives_no_boxes() -> None:
    tracks = Tracks(found=PersonIndex.of(table(*WALK)), true=None, limits=FollowLimits(beyond=10, max_gap=1))
    assert tracks.of_found(FrameKey("v", 20), boxes(), times(10, 20, 30)).shape == (0, 3, 4)


def test_a_table_without_persons_is_fine() -> None:
    tracks = Tracks(found=PersonIndex.of(table(("v", 20, []))), true=None, limits=FollowLimits(beyond=10, max_gap=1))
    assert middles(tracks.of_found(FrameKey("v", 10), boxes(0.5), times(0, 20))) == [[0.5, 0.5]]


def test_a_whole_video_is_followed_as_its_moments_are() -> None:
    tracks = Tracks(found=PersonIndex.of(table(*WALK)), true=None, limits=FollowLimits(beyond=10, max_gap=1))
    video = tracks.through("v")
    for second in range(6):
        key, here = FrameKey("v", 10 * second), np.array(WALK[second][2], dtype=np.float32)
        when = times(10 * second - 12, 10 * second, 10 * second + 12)
        np.testing.assert_allclose(video.at(key.moment, when), tracks.of_found(key, here, when), atol=1e-6)
    with pytest.raises(KeyError):
        video.at(11, times(11))
    with pytest.raises(KeyError):
        tracks.through("unheard of").at(0, times(0))

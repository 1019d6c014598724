"""Which frames make the views of a video: tables worked out by hand from the toolkits' formulas."""

from __future__ import annotations

import numpy as np
import pytest

from actiondet.video.views import ViewSampling

STRIDED = ViewSampling(frames=4, stride=16, rule="mmaction2")
SPREAD = ViewSampling(frames=8, stride=8, rule="pyslowfast")
PARTS = ViewSampling(frames=4, stride=1, rule="uniform")


def test_ten_clips_of_mmaction2_reach_from_the_first_to_the_last_place() -> None:
    views = STRIDED.views(300, rate=30, clips=10)
    # room 300 - 49 = 251; i * 251 / 9, halves to even
    assert views[:, 0].tolist() == [0, 28, 56, 84, 112, 139, 167, 195, 223, 251]
    assert views[-1].tolist() == [251, 267, 283, 299]


def test_halves_are_rounded_to_even_as_mmaction2_does() -> None:
    views = ViewSampling(frames=1, stride=1, rule="mmaction2").views(10, rate=30, clips=19)
    assert views[:, 0].tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, 7, 8, 8, 8, 9]


def test_one_clip_is_the_middle_one() -> None:
    assert STRIDED.views(300, rate=30, clips=1).tolist() == [[125, 141, 157, 173]]
    assert SPREAD.views(300, rate=30, clips=1)[0, [0, -1]].tolist() == [118, 181]
    assert PARTS.views(40, rate=30, clips=1).tolist() == [[5, 15, 25, 35]]


@pytest.mark.parametrize(("count", "expected"), [(1, [0, 0, 0, 0]), (3, [0, 1, 2, 0]), (20, [0, 16, 12, 8])])
def test_a_short_video_begins_again_in_mmaction2(count: int, expected: list[int]) -> None:
    assert STRIDED.views(count, rate=30, clips=2).tolist() == [expected, expected]
    assert STRIDED.draw(count, rate=30, random=np.random.default_rng(0)).tolist() == expected


def test_clips_of_pyslowfast_begin_at_tenths_of_the_room() -> None:
    # span 64, room 236: starts 0, 23.6, 47.2 ...; 8 instants over 63 frames, 9 apart
    views = SPREAD.views(300, rate=30, clips=10)
    assert views[:, 0].tolist() == [0, 23, 47, 70, 94, 118, 141, 165, 188, 212]
    assert views[0].tolist() == [0, 9, 18, 27, 36, 45, 54, 63]
    assert views.max() == 275


def test_pyslowfast_counts_time_and_not_the_frames_of_the_file() -> None:
    assert SPREAD.views(600, rate=60, clips=10)[0].tolist() == [0, 18, 36, 54, 72, 90, 108, 127]
    assert SPREAD.views(150, rate=15, clips=10)[0].tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


@pytest.mark.parametrize("count", [1, 3])
def test_a_short_video_stands_still_at_its_end_in_pyslowfast(count: int) -> None:
    chosen = SPREAD.draw(count, rate=30, random=np.random.default_rng(0))
    assert chosen[-1] == count - 1
    assert (np.diff(chosen) >= 0).all()


@pytest.mark.parametrize("sampling", [STRIDED, SPREAD, PARTS])
def test_training_clips_lie_in_the_video_and_reach_both_ends(sampling: ViewSampling) -> None:
    random = np.random.default_rng(1)
    drawn = np.stack([sampling.draw(70, rate=30, random=random) for _ in range(400)])
    assert drawn.min() == 0
    assert drawn.max() >= 68 if sampling is not STRIDED else drawn.max() == 54  # it leaves the last stride unused
    assert drawn.max() < 70


def test_uniform_takes_one_frame_of_each_part() -> None:
    random = np.random.default_rng(2)
    drawn = np.stack([PARTS.draw(40, rate=30, random=random) for _ in range(200)])
    assert (drawn // 10 == np.arange(4)).all()
    assert PARTS.views(40, rate=30, clips=2).tolist() == [[2, 12, 22, 32], [7, 17, 27, 37]]
    assert PARTS.views(1, rate=30, clips=2).tolist() == [[0] * 4] * 2

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actiondet.video import clip_frames, nearest_frames

NTSC = Fraction(30000, 1001)
SECOND = 1_000_000


def times(rate: Fraction | int, frames: int, grain_us: int = 1) -> npt.NDArray[np.int64]:
    """Frame times of a constant rate, as a container with this grain stores them."""
    return np.array([round(n * SECOND / rate / grain_us) * grain_us for n in range(frames)], dtype=np.int64)


@pytest.mark.parametrize(
    ("rate", "center", "expected"),
    [
        # Second 902 of a video that was cut at second 900.
        (30, 60, [28, 44, 60, 76]),
        (60, 120, [56, 88, 120, 152]),
        (25, 50, [23, 37, 50, 63]),
        (10, 20, [9, 15, 20, 25]),
        (NTSC, 60, [28, 44, 60, 76]),
    ],
)
def test_second_902_of_a_video_cut_at_900(rate: Fraction, center: int, expected: list[int]) -> None:
    shown = times(rate, 1000)
    clip = clip_frames(shown, center_us=2 * SECOND, frames=4, stride=16, clip_fps=30)
    assert clip.tolist() == expected
    assert clip.dtype == np.int64
    assert clip[2] == center


@pytest.mark.parametrize("rate", [10, 15, 25, NTSC, 30, 50, 60])
@pytest.mark.parametrize("grain", [1, 11, 1000])
def test_files_of_any_rate_give_clips_of_the_same_length_in_time(rate: Fraction, grain: int) -> None:
    shown = times(rate, 3000, grain)
    clip = shown[clip_frames(shown, center_us=5 * SECOND, frames=32, stride=2, clip_fps=30)]
    wanted = 5 * SECOND + (np.arange(32) - 16) * 2 * SECOND / 30
    assert np.abs(clip - wanted).max() <= SECOND / rate / 2 + 1000


@pytest.mark.parametrize("grain", [1, 1000])
def test_a_file_of_half_the_rate_repeats_every_frame_once(grain: int) -> None:
    # Every second instant lies in the middle between two frames: the earlier one wins, however times are rounded.
    clip = clip_frames(times(15, 100, grain), center_us=2 * SECOND, frames=12, stride=1, clip_fps=30)
    assert clip.tolist() == [27, 27, 28, 28, 29, 29, 30, 30, 31, 31, 32, 32]


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, Fraction(24000, 1001), Fraction(12)])
@pytest.mark.parametrize("grain", [1, 11, 1000])
def test_at_the_file_s_own_rate_every_frame_is_taken_once(rate: Fraction, grain: int) -> None:
    shown = times(rate, 400, grain)
    clip = clip_frames(shown, center_us=int(shown[200]), frames=64, stride=3, clip_fps=rate)
    assert clip.tolist() == list(range(200 - 96, 200 + 96, 3))


@pytest.mark.parametrize(
    ("center", "expected"),
    [(0, [0, 0, 0, 4, 8]), (100_000, [0, 0, 3, 7, 11]), (SECOND, [22, 26, 29, 29, 29]), (9 * SECOND, [29] * 5)],
)
def test_instants_outside_the_video_take_its_first_or_last_frame(center: int, expected: list[int]) -> None:
    assert clip_frames(times(30, 30), center_us=center, frames=5, stride=4, clip_fps=30).tolist() == expected


def test_jitter_moves_each_element_by_clip_frames() -> None:
    jitter = np.array([-8, 0, 7, 3])
    plain = clip_frames(times(60, 999), center_us=3 * SECOND, frames=4, stride=16, clip_fps=30)
    moved = clip_frames(times(60, 999), center_us=3 * SECOND, frames=4, stride=16, clip_fps=30, jitter=jitter)
    assert (moved - plain).tolist() == [-16, 0, 14, 6]


@pytest.mark.parametrize(("center", "expected"), [(10, [6, 8, 10, 12]), (1, [0, 0, 1, 3]), (29, [25, 27, 29, 29])])
def test_without_a_clip_rate_the_file_s_own_frames_count(center: int, expected: list[int]) -> None:
    uneven = np.cumsum(np.array([0, *([10_000, 90_000, 20_000] * 10)]))[:30]
    clip = clip_frames(uneven, center_us=int(uneven[center]), frames=4, stride=2, clip_fps=None)
    assert clip.tolist() == expected
    jitter = np.array([1, 0, 0, -1])
    moved = clip_frames(uneven, center_us=int(uneven[10]), frames=4, stride=2, clip_fps=None, jitter=jitter)
    assert moved.tolist() == [7, 8, 10, 11]


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (-5, 0), (0, 0), (20_000, 0), (20_499, 0), (20_500, 0), (20_501, 1), (40_000, 1), (59_000, 1), (60_000, 1),
        (61_000, 2), (80_000, 2), (10**9, 2),
    ],
)  # fmt: skip
def test_nearest_frame_by_table(instant: int, expected: int) -> None:
    assert nearest_frames(np.array([0, 40_000, 80_000]), np.array([instant])).tolist() == [expected]


def test_a_frame_met_exactly_is_taken_even_at_thousands_of_frames_a_second() -> None:
    shown = np.arange(50) * 500
    assert nearest_frames(shown, shown).tolist() == list(range(50))


def test_a_single_frame_is_always_the_nearest() -> None:
    assert nearest_frames(np.array([0]), np.array([-1, 0, 1, 10**12])).tolist() == [0, 0, 0, 0]


@given(
    gaps=st.lists(st.integers(2_001, 500_000), min_size=0, max_size=60),
    center=st.integers(-(10**7), 4 * 10**7),
    frames=st.integers(1, 40),
    stride=st.integers(1, 20),
    fps=st.sampled_from([10, 12.5, 29.97, 30, 60]),
)
def test_clips_rise_and_no_frame_is_clearly_nearer(
    gaps: list[int], center: int, frames: int, stride: int, fps: float
) -> None:
    shown = np.cumsum(np.array([0, *gaps]))
    clip = clip_frames(shown, center_us=center, frames=frames, stride=stride, clip_fps=fps)
    assert clip.shape == (frames,)
    assert (np.diff(clip) >= 0).all()
    instants = center + (np.arange(frames) - frames // 2) * stride * SECOND / fps
    distance = np.abs(shown[clip] - instants)
    best = np.abs(shown[None] - instants[:, None]).min(axis=1)
    assert (distance <= best + 1000 + 2).all()

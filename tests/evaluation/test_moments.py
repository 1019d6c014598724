"""Moments as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.moments import MomentCodes, annotated_moments, numbered_in_order
from evaluation.records import FrameKey, TruthRows


def table(videos: list[str], moments: list[int], empty: tuple[FrameKey, ...] = ()) -> TruthRows:
    count = len(videos)
    return TruthRows(
        video=pd.Categorical(videos),
        moment=np.array(moments, dtype=np.int64),
        boxes=np.zeros((count, 4)),
        labels=np.ones(count, dtype=np.int64),
        persons=np.zeros(count, dtype=np.int64),
        empty_moments=empty,
    )


def test_equal_keys_have_equal_codes_across_tables() -> None:
    first, second = table(["b", "a", "b"], [5, 7, 7]), table(["c", "b"], [5, 5])
    codes = MomentCodes.of([first, second], [FrameKey("a", 7), FrameKey("d", 9)])
    b5, a7, b7 = codes.of_rows(first)
    c5, again = codes.of_rows(second)
    assert len({b5, a7, b7, c5, *codes.of_keys([FrameKey("d", 9)])}) == 5
    assert again == b5
    assert codes.of_keys([FrameKey("a", 7)]).tolist() == [a7]
    assert (
        codes.video_of(np.array([b5, b7]))[0] == codes.video_of(np.array([b7]))[0] != codes.video_of(np.array([c5]))[0]
    )


def test_no_rows_have_no_codes() -> None:
    codes = MomentCodes.of([table([], [])], [])
    assert codes.of_rows(table([], [])).tolist() == []
    assert codes.of_keys([]).tolist() == []


def test_moments_beyond_all_measure_are_refused() -> None:
    with pytest.raises(InputError, match="are the times in seconds"):
        MomentCodes.of([table(["a", "b"], [0, 2**62])], [])


def test_numbers_follow_the_first_appearance() -> None:
    numbers, codes = numbered_in_order(np.array([7, 7, 3, 3, 7, 9]))
    assert (numbers.tolist(), codes.tolist()) == ([0, 0, 1, 1, 0, 2], [7, 3, 9])
    assert numbered_in_order(np.array([], dtype=np.int64))[0].tolist() == []


def test_annotated_moments_are_all_that_the_truth_names() -> None:
    truth = table(["b", "a", "b"], [5, 7, 5], (FrameKey("a", 1),))
    assert annotated_moments(truth) == [("a", 1), ("a", 7), ("b", 5)]
    assert annotated_moments(truth, without=[FrameKey("a", 7)]) == [("a", 1), ("b", 5)]

"""Frame-mAP: what does not count is said and counted, groups, and what cannot be scored at all."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from evaluation.average_precision import average_precision
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.frame_ap import FrameMapResult, frame_map
from evaluation.records import DetectionRows, FrameKey, TruthRows

A, B = (0.1, 0.1, 0.3, 0.5), (0.5, 0.1, 0.7, 0.5)
ACTIONS = ActionList((1, 2), ("sit", "run"), ("CALM", "FAST"))


def truth(*rows: tuple, empty: tuple = ()) -> TruthRows:
    """Rows of (video, second, box, label)."""
    return TruthRows(
        video=pd.Categorical([row[0] for row in rows]),
        moment=np.array([row[1] * 1_000_000 for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], dtype=np.int64),
        persons=np.arange(len(rows)),
        empty_moments=empty,
    )


def detections(*rows: tuple) -> DetectionRows:
    """Rows of (video, second, box, label, score)."""
    return DetectionRows(
        video=pd.Categorical([row[0] for row in rows]),
        moment=np.array([row[1] * 1_000_000 for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], dtype=np.int64),
        scores=np.array([row[4] for row in rows], dtype=np.float64),
    )


def scored(*rows: tuple, known: TruthRows | None = None, **options: object) -> FrameMapResult:
    known = known or truth(("v", 902, A, 1), ("v", 902, B, 2), ("w", 903, A, 1))
    return frame_map(known, detections(*rows), actions=ACTIONS, **options)


GOOD = ("v", 902, A, 1, 0.9)


def test_the_table_says_what_was_found() -> None:
    result = scored(GOOD, ("v", 902, A, 2, 0.8), ("v", 902, B, 2, 0.7))
    assert result.per_class.to_dict("list") == {
        "id": [1, 2],
        "name": ["sit", "run"],
        "type": ["CALM", "FAST"],
        "ap": [0.5, 0.5],
        "truths": [2, 1],
        "detections": [1, 2],
        "recall": [0.5, 1.0],
    }
    assert result.mean_ap == 0.5
    assert result.notes == ()
    assert repr(result) == "FrameMapResult(mAP@0.5 0.5000, official, 2 actions)"


def test_the_curves_belong_to_the_aps() -> None:
    result = scored(GOOD, ("v", 902, A, 2, 0.8), ("v", 902, B, 2, 0.7))
    assert [curve.label for curve in result.curves] == [1, 2]
    for curve, ap in zip(result.curves, result.per_class["ap"], strict=True):
        assert average_precision(curve.precision, curve.recall) == ap
    assert result.curves[1].scores.tolist() == [0.8, 0.7]
    assert result.curves[1].precision.tolist() == [0.0, 0.5]
    assert result.curves[1].recall.tolist() == [0.0, 1.0]


def test_an_action_without_truth_has_no_ap_and_does_not_count() -> None:
    result = scored(GOOD, ("v", 902, A, 2, 0.8), known=truth(("v", 902, A, 1)))
    assert result.mean_ap == 1.0
    assert math.isnan(result.per_class["ap"][1])
    assert result.groups["mean_ap"].tolist() == [1.0, pytest.approx(math.nan, nan_ok=True)]


@pytest.mark.parametrize(
    ("row", "note"),
    [
        (("v", 902, A, 7, 0.9), "1 detections have an action that is not in the list and do not count."),
        (("v", 905, A, 1, 0.9), "1 detections at 1 timestamps that the truth does not name do not count."),
        (
            ("x", 902, A, 1, 0.9),
            "1 detections at 1 timestamps that the truth does not name (1 of their videos are altogether unknown to "
            "it) do not count.",
        ),
        (
            ("v", 902, (0.3, 0.1, 0.1, 0.5), 1, 0.9),
            "1 detections have boxes without area (x1 >= x2 or y1 >= y2) and do not count.",
        ),
    ],
)
def test_odd_detections_are_tolerated_and_counted(row: tuple, note: str) -> None:
    plain, odd = scored(GOOD), scored(GOOD, row)
    assert plain.notes == ()
    assert odd.notes == (note,)
    assert odd.mean_ap == plain.mean_ap


def test_a_repeated_detection_is_false_and_ranks_before_its_twin_as_in_the_official_tool() -> None:
    result = scored(GOOD, GOOD)
    assert result.notes == (
        "1 detections repeat box, action and score of another at their timestamp and count as false.",
    )
    assert result.curves[0].precision.tolist() == [0.0, 0.5]


def test_rows_beyond_the_fifty_best_are_counted() -> None:
    result = scored(*[("v", 902, A, 1, i / 100) for i in range(53)])
    assert result.notes == (
        "3 detections at 1 timestamps are not among the 50 best of their timestamp and do not count.",
    )
    assert result.per_class["detections"].tolist() == [50, 0]


def test_excluded_moments_are_taken_out_first() -> None:
    excluded = {FrameKey("w", 903_000_000), FrameKey("nowhere", 1)}
    result = scored(GOOD, ("w", 903, B, 1, 1.0), excluded=excluded)
    assert result.notes == (
        "1 detections at 1 excluded timestamps do not count.",
        "1 excluded key frames are of 1 videos that the truth does not name (nowhere).",
    )
    assert result.per_class["truths"].tolist() == [1, 1]
    assert result.per_class["ap"].tolist() == [1.0, 0.0]


def test_detections_where_nobody_is_are_false() -> None:
    empty = (FrameKey("v", 950_000_000),)
    result = scored(GOOD, ("v", 950, A, 1, 1.0), known=truth(("v", 902, A, 1), empty=empty))
    assert result.mean_ap == 0.5


def test_repeated_truth_and_unlisted_truth_are_counted() -> None:
    known = truth(("v", 902, A, 1), ("v", 902, A, 1), ("v", 902, A, 9))
    assert scored(GOOD, known=known).notes == (
        "1 truths have an action that is not in the action list and do not count.",
        "1 truths repeat a box and action of their timestamp: no detection can find them.",
    )


def test_no_detections_score_nothing_with_a_note() -> None:
    result = scored()
    assert result.mean_ap == 0.0
    assert result.notes == ("The detections are empty: every action scores 0.",)


def test_detections_of_which_none_takes_part_are_noticed() -> None:
    result = scored(("x", 1, A, 1, 0.5))
    assert result.mean_ap == 0.0
    assert result.notes[-1] == "No detection takes part: are video names, times and actions those of the truth?"


def test_a_truth_without_listed_actions_is_refused() -> None:
    with pytest.raises(InputError, match=r"none of the 1 rows of the truth has an action of the action list"):
        scored(GOOD, known=truth(("v", 902, A, 9)))


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match='no protocol is called "coco"; expected one of official, pyslowfast, mma'):
        scored(GOOD, protocol="coco")


def test_types_of_avas_own_list_are_its_ranges_of_ids_and_of_other_lists_unknown() -> None:
    ava = ActionList((1, 12, 15, 63, 64, 80), ("bend", "stand", "a", "b", "c", "watch (a person)"), (None,) * 6)
    rows = [("v", 902, A, label, 0.5) for label in ava.ids]
    known = truth(*[row[:4] for row in rows])
    result = frame_map(known, detections(*rows), actions=ava)
    assert result.groups.to_dict("list") == {
        "type": ["PERSON_MOVEMENT", "OBJECT_MANIPULATION", "PERSON_INTERACTION"],
        "mean_ap": [1.0, 1.0, 1.0],
        "actions": [2, 2, 2],
    }
    mine = ActionList(ava.ids, ("x",) * 6, (None,) * 6)
    assert len(frame_map(known, detections(*rows), actions=mine).groups) == 0
    # MMAction2 prints these groups whatever the list.
    assert len(frame_map(known, detections(*rows), actions=mine, protocol="mmaction2").groups) == 3

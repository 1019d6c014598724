"""Rows and tubes from arrays and tables: the same records as from files, and the same refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    FrameDetections,
    FrameKey,
    InputError,
    TruthRows,
    TubeSet,
    TubeTruth,
    frame_map,
    read_ava_csv,
    read_ava_results,
    write_ava_csv,
    write_ava_results,
)

BOXES = [[0.1, 0.1, 0.3, 0.5], [0.5, 0.1, 0.7, 0.5], [0.2, 0.2, 0.4, 0.6]]
ROWS: dict[str, Any] = {
    "video": ["b", "a", "b"],
    "time": [902, 902.5, "903"],
    "boxes": BOXES,
    "labels": [1, 2.0, 80],
    "scores": [0.9, 0.25, 1e-3],
}
TRUTH: dict[str, Any] = {**{name: ROWS[name] for name in ("video", "time", "boxes", "labels")}, "persons": [3, -1, 0]}


def same(first: DetectionRows | TruthRows, second: DetectionRows | TruthRows) -> None:
    pd.testing.assert_frame_equal(first.to_frame(), second.to_frame(), check_categorical=False)
    assert list(first.video) == list(second.video)
    assert first.moment.dtype == second.moment.dtype == np.int64


def test_arrays_and_the_file_of_the_same_rows_are_the_same(tmp_path: Path) -> None:
    rows = DetectionRows.from_arrays(**ROWS)
    assert rows.moment.tolist() == [902_000_000, 902_500_000, 903_000_000]
    write_ava_results(tmp_path / "d.csv", rows)
    same(read_ava_results(tmp_path / "d.csv"), rows)
    truth = TruthRows.from_arrays(**TRUTH, empty=[("c", 904)])
    assert truth.empty_moments == (FrameKey("c", 904_000_000),)
    write_ava_csv(tmp_path / "t.csv", truth)
    same(read_ava_csv(tmp_path / "t.csv"), truth)


@pytest.mark.parametrize(
    "names",
    [
        np.array(["b", "a", "b"]),
        np.array(["b", "a", "b"], dtype=object),
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], index=[7, 8, 9], dtype="category"),
        pd.Categorical(["b", "a", "b"], categories=["a", "unused", "b"]),
        pd.array(["b", "a", "b"], dtype="string"),
    ],
    ids=lambda names: f"{type(names).__name__} {names.dtype}",
)
def test_names_of_videos_come_in_any_kind_of_array(names: Any) -> None:
    assert list(DetectionRows.from_arrays(**{**ROWS, "video": names}).video) == ["b", "a", "b"]


def test_names_are_composed_so_that_both_spellings_are_one_video() -> None:
    rows = DetectionRows.from_arrays(**{**ROWS, "video": ["pru\u0308fung", "pr\u00fcfung", "a"]})
    assert list(rows.video.categories) == ["pr\u00fcfung", "a"]


def test_one_name_and_one_time_stand_for_all_rows_and_no_rows_are_rows() -> None:
    rows = DetectionRows.from_arrays(video="v", time=902, boxes=BOXES, labels=1, scores=np.float32([0.1, 0.2, 0.3]))
    assert list(rows.video) == ["v"] * 3
    assert rows.scores.dtype == np.float64
    assert len(DetectionRows.from_arrays(video=[], time=[], boxes=[], labels=[], scores=[])) == 0
    assert len(TruthRows.from_arrays(video="v", time=1, boxes=np.zeros((0, 4)), labels=[])) == 0


FAULTS = {
    "a NaN score": ({"scores": [0.1, np.nan, 0.2]}, r"row 1: score nan is not a finite number"),
    "an infinite score": ({"scores": [0.1, 0.2, -np.inf]}, r"row 2: score -inf"),
    "pixels": ({"boxes": [BOXES[0], [12, 20, 320, 240], BOXES[1]]}, r"row 1: x1 = 12 looks like pixels; expected unit"),
    "a NaN corner": ({"boxes": [*BOXES[:2], [0.1, 0.2, np.nan, 0.3]]}, r"row 2: x2 nan is not a finite number"),
    "three columns": ({"boxes": [[0, 0, 1]] * 3}, r"boxes have shape \(3, 3\); expected \(N, 4\)"),
    "half a label": ({"labels": [1, 1.5, 2]}, r"row 1: label 1\.5 is not an action id; expected an integer from 0"),
    "a negative label": ({"labels": [1, 2, -1]}, r"row 2: label -1 is not an action id"),
    "a label beyond 31 bits": ({"labels": [2**31, 1, 1]}, r"row 0: label 2\.14748e\+09 is not an action id"),
    "a word for a label": ({"labels": ["sit", 1, 2]}, r"label holds something that is not a number"),
    "a NaN time": ({"time": [902, float("nan"), 903]}, r"row 1: time nan is not a number of seconds"),
    "microseconds": ({"time": [902e12, 1, 1]}, r"row 0: time 902000000000000\.0 is not a number of seconds"),
    "no name": ({"video": ["a", None, "b"]}, r"row 1: no video"),
    "an empty name": ({"video": ["a", "", "b"]}, r"row 1: video '' is not a name"),
    "a number for a name": ({"video": [7, 7, 7]}, r"row 0: video 7 is not a name"),
    "too few names": ({"video": ["a"]}, r"video has shape \(1,\); expected \(3,\), a name for each box"),
    "too few labels": ({"labels": [1, 2]}, r"label has shape \(2,\); expected \(3,\), a value for each box"),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_what_the_readers_of_files_refuse_is_refused_with_its_row(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectionRows.from_arrays(**{**ROWS, **change})
    if "scores" not in change:
        with pytest.raises(InputError, match=message):
            TruthRows.from_arrays(**{**TRUTH, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [BOXES[0], BOXES[0][::-1], BOXES[1]]}, r"row 1: box 0\.5, 0\.3, 0\.1, 0\.1 is inside out"),
        ({"persons": [1, 2.5, 3]}, r"row 1: person 2\.5 is not a person id"),
        ({"persons": [1, 2, 2.0**60]}, r"row 2: person 1\.15292e\+18 is not a person id"),
        ({"empty": [("", 1)]}, r"row 0: video '' is not a name"),
    ],
)
def test_what_truth_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TruthRows.from_arrays(**{**TRUTH, **change})


def test_tables_go_both_ways() -> None:
    rows, truth = DetectionRows.from_arrays(**ROWS), TruthRows.from_arrays(**TRUTH)
    assert list(rows.to_frame()) == ["video", "time", "x1", "y1", "x2", "y2", "label", "score"]
    same(DetectionRows.from_frame(rows.to_frame()), rows)
    same(TruthRows.from_frame(truth.to_frame()), truth)
    frame = pd.DataFrame({"video": ["a", "b"], "time": [1, 2], "x1": [0.1, np.nan], "y1": [0.1, np.nan]})
    frame = frame.assign(x2=[0.2, np.nan], y2=[0.2, np.nan], label=[3, np.nan])
    empty = TruthRows.from_frame(frame)
    assert (len(empty), empty.empty_moments) == (1, (FrameKey("b", 2_000_000),))
    with pytest.raises(InputError, match="the table has no column 'score'; expected video, time, x1"):
        DetectionRows.from_frame(truth.to_frame())


def test_rows_are_chosen_and_joined() -> None:
    rows, truth = DetectionRows.from_arrays(**ROWS), TruthRows.from_arrays(**TRUTH, empty=[("a", 1), ("c", 1)])
    same(DetectionRows.concatenate([rows[:1], rows[np.array([False, True, True])]]), rows)
    same(TruthRows.concatenate([truth[[0]], truth[np.array([1, 2])]]), truth)
    assert TruthRows.concatenate([truth, truth]).empty_moments == truth.empty_moments
    assert rows.select(videos=["b"]).scores.tolist() == [0.9, 1e-3]
    assert rows.select(videos=["b"], labels=[80]).scores.tolist() == [1e-3]
    assert rows.select(min_score=0.25).scores.tolist() == [0.9, 0.25]
    chosen = truth.select(videos=["a"])
    assert (chosen.labels.tolist(), chosen.empty_moments) == ([2], (FrameKey("a", 1_000_000),))
    assert len(DetectionRows.concatenate([])) == len(TruthRows.concatenate([])) == 0


def test_rows_that_were_built_by_hand_are_refused_when_they_are_scored() -> None:
    rows, truth = DetectionRows.from_arrays(**ROWS), TruthRows.from_arrays(**TRUTH)
    actions = ActionList((1, 2), ("a", "b"), (None, None))
    wrong = DetectionRows(rows.video, rows.moment, rows.boxes, rows.labels, np.array([0.9, np.nan, 0.1]))
    with pytest.raises(InputError, match="row 1: score nan is not a finite number"):
        frame_map(truth, wrong, actions=actions)
    wrong = DetectionRows(rows.video, rows.moment, rows.boxes * 300, rows.labels, rows.scores)
    with pytest.raises(InputError, match="row 0: x1 = 30 looks like pixels"):
        frame_map(truth, wrong, actions=actions)


PIXELS = np.array([[10.0, 10, 50, 90], [12, 10, 52, 90], [60, 10, 99, 80], [61, 10, 99, 80]])
TUBES: dict[str, Any] = {
    "video": ["v", "v", "w", "w"],
    "tube": [0, 0, 0, 0],
    "frame": [2, 1, 7, 8],
    "boxes": PIXELS,
    "labels": [3, 3, 0, 0],
    "scores": [0.9, 0.9, 0.2, 0.2],
}


def test_tubes_from_rows_of_boxes_in_any_order() -> None:
    tubes = TubeSet.from_arrays(**TUBES)
    assert (tubes.videos, tubes.labels.tolist(), tubes.offsets.tolist()) == (("v", "w"), [3, 0], [0, 2, 4])
    assert tubes.moments.tolist() == [1, 2, 7, 8]
    assert tubes.boxes.tolist() == PIXELS[[1, 0, 2, 3]].tolist()
    assert tubes.box_scores.tolist() == [0.9, 0.9, 0.2, 0.2]
    again = TubeSet.from_frame(tubes.to_frame())
    pd.testing.assert_frame_equal(again.to_frame(), tubes.to_frame())
    joined = TubeSet.concatenate([tubes.select(videos=["w"]), tubes.select(labels=[3])])
    assert (joined.labels.tolist(), joined.first.tolist()) == ([0, 3], [7, 1])
    assert len(tubes.select(min_score=0.5)) == 1
    assert len(TubeSet.concatenate([])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": [1, 3, 7, 8]}, "a tube of label 3 in video v, row 1: frame 3 follows 1; a tube has all frames"),
        ({"frame": [1, 1, 7, 8]}, "frame 1 follows 1"),
        ({"frame": [1, 1.5, 7, 8]}, "the frame number 1.5 is not whole"),
        ({"scores": [np.nan] * 4}, "is nan|not finite"),
        ({"scores": [0.9, 0.8, 0.2, 0.2]}, "differs from 0.8, that of its tube's first box"),
        ({"boxes": PIXELS / 1000}, "this layout has pixels"),
        ({"labels": [3, 3, -1, -1]}, "label -1 is not an action id"),
    ],
)
def test_a_tube_that_no_file_may_hold_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TubeSet.from_arrays(**{**TUBES, **change})


def test_truth_and_frame_detections_of_tubes_from_arrays() -> None:
    tubes = TubeSet.from_arrays(**TUBES)
    labels, sizes = ["a", "b", "c", "d"], {"v": (100, 200), "w": (100, 200), "x": (10, 10)}
    truth = TubeTruth.from_tubes(tubes, labels=labels, sizes=sizes, test_videos=["v", "w", "x"])
    assert truth.frame_counts == {"v": 2, "w": 8, "x": 0}
    found = FrameDetections.from_arrays(
        truth, video=["w", "?"], frame=[7, 1], boxes=PIXELS[2:], labels=[0, 0], scores=[0.5, 0.5]
    )
    assert (found.video.tolist(), found.known.tolist()) == ([1, -1], [True, False])
    with pytest.raises(InputError, match="row 0: video, frame and label must be whole"):
        FrameDetections.from_arrays(truth, video="w", frame=1.5, boxes=PIXELS[:1], labels=0, scores=1)
    with pytest.raises(InputError, match=r"labels of tubes are 0 to 3; expected 0 to 1"):
        TubeTruth.from_tubes(tubes, labels=labels[:2], sizes=sizes)
    with pytest.raises(InputError, match=r"no \(height, width\) for video w"):
        TubeTruth.from_tubes(tubes, labels=labels, sizes={"v": (100, 200)})
    with pytest.raises(InputError, match="is of a frame beyond the last of its video"):
        TubeTruth.from_tubes(tubes, labels=labels, sizes=sizes, frame_counts={"v": 1, "w": 8})
    inverted = TubeSet.from_arrays(**{**TUBES, "boxes": PIXELS[:, [2, 1, 0, 3]]})
    with pytest.raises(InputError, match="is inverted"):
        TubeTruth.from_tubes(inverted, labels=labels, sizes=sizes)

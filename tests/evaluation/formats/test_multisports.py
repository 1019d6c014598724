"""MultiSports pickles: there and back, the dialects, and every fault in one sentence."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.multisports import (
    UNSCORED,
    read_frame_detections,
    read_multisports,
    read_video_detections,
    write_frame_detections,
    write_multisports,
    write_video_detections,
)


def truth_content() -> dict[str, Any]:
    tube = np.column_stack([np.arange(3, 8), *np.tile([[10.0], [20.0], [60.0], [90.0]], 5)]).astype(np.float32)
    return {
        "labels": ["aerobic push up", "aerobic kick jump", "football shoot"],
        "train_videos": [["b"]],
        "test_videos": [["a", "c"]],
        "nframes": {"a": 20, "b": 30, "c": 5},
        "resolution": {"a": (720, 1280), "b": (360, 640), "c": (360, 640)},
        "gttubes": {"a": {2: [tube, tube + np.float32(1)], 0: [tube]}, "b": {1: [tube]}, "c": {}},
    }


def frame_content() -> np.ndarray:
    return np.array([[0, 3, 2, 0.9, 10, 20, 60, 90], [1, 4, 0, 0.25, 1, 2, 30, 40.5]])


def dump(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content, 4))
    return path


@pytest.fixture
def truth_path(tmp_path: Path) -> Path:
    return dump(tmp_path / "GT.pkl", truth_content())


def test_truth_there_and_back(truth_path: Path, tmp_path: Path) -> None:
    truth = read_multisports(truth_path)
    assert truth.test_videos == ("a", "c")
    assert truth.unscored == {1}
    assert truth.sizes["a"] == (720, 1280)
    assert [
        (truth.tubes.videos[v], int(label)) for v, label in zip(truth.tubes.video, truth.tubes.labels, strict=True)
    ] == [
        ("a", 2),
        ("a", 2),
        ("a", 0),
        ("b", 1),
    ]
    write_multisports(tmp_path / "again.pkl", truth)
    written, original = pickle.loads((tmp_path / "again.pkl").read_bytes()), truth_content()
    assert {key: value for key, value in written.items() if key != "gttubes"} == {
        key: value for key, value in original.items() if key != "gttubes"
    }
    for video, by_label in original["gttubes"].items():
        assert list(written["gttubes"][video]) == list(by_label)
        for label, tubes in by_label.items():
            for ours, theirs in zip(written["gttubes"][video][label], tubes, strict=True):
                assert ours.dtype == np.float32
                np.testing.assert_array_equal(ours, theirs)


def test_the_six_unscored_labels_are_found_by_name() -> None:
    assert len(UNSCORED) == 6


def test_frame_detections_as_an_array_or_as_a_list(truth_path: Path, tmp_path: Path) -> None:
    truth = read_multisports(truth_path)
    array = read_frame_detections(dump(tmp_path / "array.pkl", frame_content()), truth)
    rows = read_frame_detections(dump(tmp_path / "list.pkl", list(frame_content())), truth)
    single = read_frame_detections(dump(tmp_path / "single.pkl", frame_content().astype(np.float32)), truth)
    assert single.boxes.dtype == single.scores.dtype == np.float32
    for read in (array, rows):
        assert read.boxes.dtype == np.float64
        assert (read.video.tolist(), read.moments.tolist(), read.labels.tolist()) == ([0, 1], [3, 4], [2, 0])
        assert read.scores.tolist() == [0.9, 0.25]
    write_frame_detections(tmp_path / "again.pkl", array)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "again.pkl").read_bytes()), frame_content())


@pytest.mark.parametrize("empty", [[], np.zeros((0, 8)), np.zeros(0)])
def test_no_frame_detections_are_none(truth_path: Path, tmp_path: Path, empty: Any) -> None:
    assert len(read_frame_detections(dump(tmp_path / "empty.pkl", empty), read_multisports(truth_path))) == 0


def test_video_detections_there_and_back(truth_path: Path, tmp_path: Path) -> None:
    table = np.column_stack([np.arange(2, 6), np.full((4, 4), [1.5, 2, 3, 400]), np.full(4, 0.3)]).astype(np.float32)
    content = {2: [("a", 0.75, table), ("x", np.float32(0.5), table[:1])], 0: []}
    tubes = read_video_detections(dump(tmp_path / "tubes.pkl", content))
    assert tubes.videos == ("a", "x")
    assert tubes.scores.tolist() == [0.75, 0.5]
    write_video_detections(tmp_path / "again.pkl", tubes, read_multisports(truth_path))
    written = pickle.loads((tmp_path / "again.pkl").read_bytes())
    assert sorted(written) == [0, 1, 2]  # the official script stops at a label that is not there
    for ours, theirs in zip(written[2], content[2], strict=True):
        assert ours[:2] == (theirs[0], float(theirs[1]))
        np.testing.assert_array_equal(ours[2], theirs[2])
    assert len(read_video_detections(dump(tmp_path / "none.pkl", {0: [], 1: []}))) == 0


def without(key: str) -> Any:
    content = truth_content()
    del content[key]
    return content


def with_tube(change: Any) -> Any:
    content = truth_content()
    content["gttubes"]["a"][2][1] = change(content["gttubes"]["a"][2][1])
    return content


def with_value(key: str, value: Any) -> Any:
    return {**truth_content(), key: value}


def put(table: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    table[row, column] = value
    return table


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "found a list"),
        (without("gttubes"), "a dictionary without gttubes"),
        (without("resolution"), "without resolution"),
        (with_value("test_videos", ["a", "c"]), "one list of video names per split"),
        (with_value("test_videos", [["a", "a"]]), "lists video a twice"),
        (with_value("test_videos", [["a", "z"]]), "gttubes has no entry for video z"),
        (with_value("nframes", {"a": 20}), "nframes has no entry for video c"),
        (with_value("gttubes", []), "gttubes must be"),
        (with_value("gttubes", {"a": {0: 5}}), "entry of video a"),
        (with_value("gttubes", {"a": {3: []}}), "labels are 0 to 2"),
        (with_value("gttubes", {"a": {"run": []}}), "label 'run'"),
        (with_tube(lambda tube: np.delete(tube, 2, axis=0)), "frame 7 follows 5"),
        (with_tube(lambda tube: tube[:, :4]), r"shape \(5, 4\)"),
        (with_tube(lambda tube: tube[:0]), r"shape \(0, 5\)"),
        (with_tube(lambda tube: put(tube, 1, 2, np.nan)), "label 2 in video a, row 1: a number is not finite"),
        (with_tube(lambda tube: tube + np.float32(0.5)), "is not whole"),
    ],
)
def test_a_fault_of_the_truth_is_reported(tmp_path: Path, content: Any, message: str) -> None:
    path = dump(tmp_path / "GT.pkl", content)
    with pytest.raises(InputError, match=message) as fault:
        read_multisports(path)
    assert str(path) in str(fault.value)


def test_truth_in_unit_boxes_is_refused(tmp_path: Path) -> None:
    content = truth_content()
    for by_label in content["gttubes"].values():
        for tubes in by_label.values():
            for tube in tubes:
                tube[:, 1:] /= 1280
    with pytest.raises(InputError, match="this layout has pixels"):
        read_multisports(dump(tmp_path / "GT.pkl", content))


def test_a_split_that_does_not_exist_is_reported(truth_path: Path) -> None:
    with pytest.raises(InputError, match="has 1 splits; split 2"):
        read_multisports(truth_path, split=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (frame_content()[:, :7], r"shape \(2, 7\)"),
        ([[1, 2], [1, 2, 3]], "differ in length"),
        ({0: []}, "looks like video detections"),
        (np.array([["a"] * 8]), "found <U1"),
        (put(frame_content(), 1, 3, np.nan), "row 1 .of 2, from 0. has a number that is not finite"),
        (put(frame_content(), 1, 1, 4.5), "row 1: video, frame and label must be whole"),
        (frame_content() * [1, 1, 1, 1, 0.01, 0.01, 0.01, 0.01], "this layout has pixels"),
    ],
)
def test_a_fault_of_frame_detections_is_reported(truth_path: Path, tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_frame_detections(dump(tmp_path / "F.pkl", content), read_multisports(truth_path))


TABLE = np.column_stack([np.arange(2, 6), np.full((4, 4), [1.5, 2, 3, 400]), np.full(4, 0.3)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (frame_content(), "looks like frame detections"),
        ({0: TABLE}, "the entry 0 holds a ndarray"),
        ({"run": []}, "the entry 'run'"),
        ({0: [("a", 0.5)]}, "tube 0 of label 0"),
        ({0: [("a", "high", TABLE)]}, "tube 0 of label 0"),
        ({0: [("a", 0.5, TABLE[:, :5])]}, "box|score"),
        ({0: [("a", 0.5, TABLE[::-1])]}, "frame 4 follows 5"),
        ({0: [("a", float("nan"), TABLE)]}, "its score is nan"),
        ({0: [("a", 0.5, TABLE * [1, 1e-3, 1e-3, 1e-3, 1e-3, 1])]}, "this layout has pixels"),
    ],
)
def test_a_fault_of_video_detections_is_reported(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_video_detections(dump(tmp_path / "V.pkl", content))


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo caught",)


def test_a_pickle_that_runs_code_is_refused_unread(
    truth_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = dump(tmp_path / "trap.pkl", {"labels": Trap()})
    truth = read_multisports(truth_path)
    for read in (read_multisports, read_video_detections, lambda file: read_frame_detections(file, truth)):
        with pytest.raises(InputError, match="tries to import"):
            read(path)
    assert "caught" not in capfd.readouterr().out


def test_a_folder_or_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read_multisports(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_video_detections(tmp_path / "nothing.pkl")

"""Tube files from the field: right, or one clear sentence."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.act_tubes import read_corrected_ucf24
from evaluation.formats.multisports import read_frame_detections, read_multisports, read_video_detections


def truth(**changes: Any) -> dict[str, Any]:
    tube = np.array([[1, 10, 10, 50, 80], [2, 12, 10, 52, 80]], np.float32)
    content: dict[str, Any] = {
        "labels": ["a", "b"],
        "train_videos": [["v"]],
        "test_videos": [["w"]],
        "nframes": {"v": 9, "w": 9},
        "resolution": {"v": (100, 200), "w": (100, 200)},
        "gttubes": {"v": {0: [tube]}, "w": {1: [tube]}},
    }
    return content | changes


def dumped(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def tube(first: int, *box: float) -> dict[str, Any]:
    return {"v": {}, "w": {0: [np.array([[first, *box], [first + 1, *box]], np.float32)]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": 3}, "labels must be a list of names, found 3"),
        ({"labels": None}, "labels must be a list of names, found None"),
        ({"labels": [0, 1]}, "labels must be a list of names"),
        ({"nframes": None}, "nframes is a NoneType; expected"),
        ({"nframes": np.float32(3)}, "nframes is a float32; expected"),
        ({"nframes": {"v": float("inf"), "w": 9}}, "video v has inf frames; expected a whole number"),
        ({"nframes": {"v": float("nan"), "w": 9}}, "video v has nan frames"),
        ({"nframes": {"v": "9", "w": 9}}, "video v has '9' frames"),
        ({"nframes": {"v": 2.5, "w": 9}}, r"video v has 2\.5 frames"),
        ({"resolution": None}, "resolution is a NoneType"),
        ({"resolution": {"v": "100x200", "w": (1, 1)}}, "video v has the resolution '100x200'; expected"),
        ({"resolution": {"v": {}, "w": (1, 1)}}, "video v has the resolution {}"),
        ({"resolution": {"v": (0, 200), "w": (1, 1)}}, r"video v has the resolution \(0, 200\)"),
        ({"train_videos": 5}, "train_videos must be a list"),
        ({"train_videos": [np.float32(1)]}, "train_videos of split 1 must be a list of names"),
        ({"test_videos": [[3]]}, "test_videos of split 1 must be a list of names"),
        ({"test_videos": np.datetime64("2020-01-01")}, "test_videos must be a list"),
    ],
)
def test_odd_truth_ends_in_a_sentence(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_multisports(dumped(tmp_path / "gt.pkl", truth(**changes)))


@pytest.mark.parametrize(
    ("gttubes", "message"),
    [
        (tube(0, 10, 10, 50, 80), "frame 0 in video w, is of a frame below 1; frames count from 1"),
        (tube(9, 10, 10, 50, 80), "frame 10 in video w, is of a frame beyond the last"),
        (tube(1, 50, 10, 10, 80), r"2 of 2 boxes .* \(50, 10, 10, 80\) .* is inverted"),
        (tube(1, 50, 60, 20, 30), "is it x, y, width, height"),
    ],
)
def test_truth_that_cannot_be_meant_is_not_scored(tmp_path: Path, gttubes: dict[str, Any], message: str) -> None:
    path = dumped(tmp_path / "gt.pkl", truth(gttubes=gttubes))
    with pytest.raises(InputError, match=message):
        read_multisports(path).check(path)


def test_sound_truth_passes(tmp_path: Path) -> None:
    path = dumped(tmp_path / "gt.pkl", truth())
    read_multisports(path).check(path)


def test_the_real_jhmdb_truth_passes(shared: Path) -> None:
    path = shared / "reference/evaluation/real/jhmdb/JHMDB-GT.pkl"
    read_multisports(path).check(path)


ROW = [0, 1, 0, 0.5, 10, 10, 50, 80]


@pytest.mark.parametrize(
    "content", [range(10**12), [range(10**12)], {"a": 1}, {1, 2}, [ROW, ROW[:7]], [[*ROW[:2], 10**15, *ROW[3:]]], None]
)
def test_odd_frame_detections_end_in_a_sentence(tmp_path: Path, content: Any) -> None:
    known = read_multisports(dumped(tmp_path / "gt.pkl", truth()))
    with pytest.raises(InputError, match=r"expected|exceed|refused"):
        read_frame_detections(dumped(tmp_path / "fd.pkl", content), known)


@pytest.mark.parametrize(
    "content",
    [
        {10**30: [("w", 0.5, np.ones((1, 6)) * 20)]},
        {-1: [("w", 0.5, np.ones((1, 6)) * 20)]},
        {0: [("w", 10**400, np.ones((1, 6)) * 20)]},
        {0: [("w", 0.5, np.full((1, 6), 1e18))]},
    ],
)
def test_odd_video_detections_end_in_a_sentence(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError, match=r"vd\.pkl"):
        read_video_detections(dumped(tmp_path / "vd.pkl", content))


@pytest.mark.parametrize("field", ["label", "sf", "ef", "boxes", "numf"])
@pytest.mark.parametrize("value", ["x", b"x", None, float("inf"), [], np.array(["x"])])
def test_odd_corrected_annotations_end_in_a_sentence(tmp_path: Path, field: str, value: Any) -> None:
    annotation = {"label": 0, "sf": 0, "ef": 2, "boxes": np.full((2, 4), 20)}
    record: dict[str, Any] = {"annotations": [annotation], "numf": 9}
    (record if field == "numf" else annotation)[field] = value
    (tmp_path / "test.txt").write_text("A/v\n")
    with pytest.raises(InputError, match=r"u\.pkl"):
        read_corrected_ucf24(dumped(tmp_path / "u.pkl", {"A/v": record}), test_list=tmp_path / "test.txt")

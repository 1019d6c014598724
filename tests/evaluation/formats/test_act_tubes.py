"""JHMDB's splits and python-2 pickle; UCF101-24's corrected annotations and their small integers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.act_tubes import read_act_tubes, read_corrected_ucf24


def test_jhmdb_has_three_splits(shared: Path) -> None:
    path = shared / "reference/evaluation/real/jhmdb/JHMDB-GT.pkl"
    splits = [read_act_tubes(path, split=split) for split in (1, 2, 3)]
    assert [len(split.test_videos) for split in splits] == [268, 270, 265]
    assert [len(split.train_videos) for split in splits] == [660, 658, 663]
    assert splits[0].labels[:2] == ("brush_hair", "catch")
    assert not splits[0].unscored
    for split in splits:
        assert not set(split.test_videos) & set(split.train_videos)
        assert len(split.of_videos(split.test_videos)) == len(split.test_videos)  # one actor per clip


def annotations(**change: Any) -> dict[str, Any]:
    first = {"label": 0, "sf": 4, "ef": 7, "boxes": np.full((3, 4), [200, 150, 100, 90], np.uint8)}
    second = {"label": 1, "sf": 0, "ef": 2, "boxes": np.full((2, 4), [5, 6, 300, 20], np.uint16)}
    return {
        "Basketball/v_Basketball_g01_c01": {"annotations": [{**first, **change}], "numf": 60, "label": 0},
        "Biking/v_Biking_g09_c02": {"annotations": [second], "numf": 10, "label": 1},
    }


def write(
    tmp_path: Path, content: Any, test_list: str = "Basketball/v_Basketball_g01_c01.avi 1\n"
) -> tuple[Path, Path]:
    (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(content, 2))
    (tmp_path / "testlist.txt").write_text(test_list)
    return tmp_path / "pyannot.pkl", tmp_path / "testlist.txt"


def test_small_integers_do_not_overflow_and_frames_count_from_one(tmp_path: Path) -> None:
    path, test_list = write(tmp_path, annotations())
    truth = read_corrected_ucf24(path, test_list=test_list)
    assert truth.labels == ("Basketball", "Biking")
    assert truth.test_videos == ("Basketball/v_Basketball_g01_c01",)
    assert truth.train_videos == ("Biking/v_Biking_g09_c02",)
    assert truth.tubes.moments.tolist() == [5, 6, 7, 1, 2]
    assert truth.tubes.boxes[0].tolist() == [200, 150, 300, 240]  # 300 is more than a byte
    assert truth.tubes.boxes[-1].tolist() == [5, 6, 305, 26]
    assert truth.sizes["Biking/v_Biking_g09_c02"] == (240, 320)
    assert truth.frame_counts["Biking/v_Biking_g09_c02"] == 10


@pytest.mark.parametrize(
    ("content", "test_list", "message"),
    [
        ([], "x\n", "pyannot.pkl"),
        ({"a": {"boxes": 1}}, "x\n", "pyannot.pkl"),
        (annotations(ef=9), "x\n", r"expected \(5, 4\)"),
        (annotations(label=7), "x\n", r"labels are \[1, 7\]"),
        (annotations(), "Diving/v_Diving_g01_c01\n", "none of its 1 videos"),
        (annotations(), "\n", "none of its 0 videos"),
    ],
)
def test_a_fault_of_the_corrected_annotations_is_reported(
    tmp_path: Path, content: Any, test_list: str, message: str
) -> None:
    path, lists = write(tmp_path, content, test_list)
    with pytest.raises(InputError, match=message):
        read_corrected_ucf24(path, test_list=lists)


def test_a_missing_test_list_is_reported(tmp_path: Path) -> None:
    path, _ = write(tmp_path, annotations())
    with pytest.raises(InputError, match="no such file"):
        read_corrected_ucf24(path, test_list=tmp_path / "nothing.txt")

"""Files are written whole or not at all, and reading one never runs what it holds."""

from __future__ import annotations

import errno
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from evaluation.command_line import describe
from evaluation.errors import InputError
from evaluation.files import atomic_path, load_pickle


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "result.csv"
    target.write_text("old")

    class BrokenOffError(Exception):
        pass

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.csv"]


def test_a_full_disk_is_told_with_the_name_of_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as full, atomic_path(tmp_path / "result.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as file.write() raises it: without a name
    assert describe(full.value) == f"{tmp_path / 'result.csv'}: No space left on device"
    assert os.listdir(tmp_path) == []


def test_a_finished_write_takes_the_place_and_makes_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.csv"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["result.csv"]


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_containers_come_back(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    content = {
        "boxes": np.arange(8, dtype=np.float32).reshape(2, 4),
        "scalar": np.float64(0.5),
        "names": ["a", ("b", 1)],
        "ordered": OrderedDict(x={1, 2}),
    }
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_pickle(path)
    np.testing.assert_array_equal(loaded["boxes"], content["boxes"])
    assert loaded["scalar"] == 0.5
    assert loaded["names"] == content["names"]
    assert loaded["ordered"] == content["ordered"]


class _Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"boxes": _Attack(trace)}))
    with pytest.raises(InputError, match=r"evil\.pkl: refused, it tries to import posix\.system"):
        load_pickle(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"text, no pickle", pickle.dumps([1, 2])[:-4]])
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.pkl: not a readable pickle"):
        load_pickle(path)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        load_pickle(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        load_pickle(tmp_path / "none.pkl")

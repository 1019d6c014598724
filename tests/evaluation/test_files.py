"""Files are written whole or not at all, and reading one never runs what it holds."""

from __future__ import annotations

import errno
import gzip
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.command_line import describe
from evaluation.errors import InputError
from evaluation.files import atomic_path, load_pickle
from evaluation.formats.action_list import read_action_list
from evaluation.formats.ava import read_ava_csv, read_ava_results


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


def test_a_full_disk_is_reported_with_the_name_of_what_was_written(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.csv", "s3://bucket/x.csv", "file:///etc/passwd"])
def test_an_address_is_never_fetched(address: str) -> None:
    with pytest.raises(InputError, match="is an address; expected a local file"):
        read_ava_results(address)


@pytest.mark.parametrize("read", [read_ava_results, read_ava_csv, read_action_list])
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe or a device; expected a regular file"):
        read(tmp_path / "pipe")


def test_a_gzip_archive_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    rows = "".join(f"v{place},900,0.1,0.1,0.5,0.5,1,0.{place}\n" for place in range(1, 2000)).encode()
    archive = gzip.compress(rows)
    (tmp_path / "d.csv.gz").write_bytes(archive)
    assert len(read_ava_results(tmp_path / "d.csv.gz").labels) == 1999
    for damaged in (archive[:-300], rows, archive[:200] + b"x" * 300 + archive[500:]):
        (tmp_path / "d.csv.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"d\.csv\.gz: is damaged or not compressed by gzip"):
            read_ava_results(tmp_path / "d.csv.gz")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"v,900,0.1,0.1,0.5,0.5,x,0.5\n"))
    with pytest.raises(InputError, match='line 1: label "x" in column 7 is not an action id'):
        read_ava_results(tmp_path / "d.csv.gz")


@pytest.mark.parametrize("suffix", [".bz2", ".xz", ".zst", ".zip"])
def test_other_compressions_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d.csv{suffix}"
    path.write_text("not an archive")
    with pytest.raises(InputError, match=rf"is compressed as {re.escape(suffix)}; expected plain text or \.gz"):
        read_ava_results(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,900,0.1,0.1,0.5,0.5,1,0_1.5", r'line 2: score "0_1\.5" in column 8 is not a finite number'),
        ("v,٩٠٠,0.1,0.1,0.5,0.5,1,0.5", r'line 2: time ".*" in column 2 is not a number of seconds$'),
        ("v,nan,0.1,0.1,0.5,0.5,1,0.5", r'line 2: time "nan" in column 2 is not a number of seconds$'),
        ("v,900,0.1,0.1,0.5,0.5,2147483648,0.5", r'line 2: label "2147483648" in column 7 is not an action id'),
        ("v,900,0.1,0.1,0.5,0.5,99999999999999999999,0.5", r'line 2: label "9{20}" in column 7 is not an action id'),
        ("v,900,0.1,0b11,0.5,0.5,1,0.5", r'line 2: y1 "0b11" in column 4 is not a number'),
    ],
)
def test_odd_numbers_are_named_with_their_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "d.csv").write_text(f"v,900,0.1,0.1,0.5,0.5,1,0.5\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_ava_results(tmp_path / "d.csv")


def test_a_person_beyond_all_integers_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("v,0902,0.1,0.1,0.5,0.5,1,3\nv,0902,0.1,0.1,0.5,0.5,1,1e30\n")
    with pytest.raises(InputError, match=r'line 2: person "1e30" in column 8 is too large'):
        read_ava_csv(tmp_path / "t.csv")


def test_a_field_beyond_all_bounds_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"v,900,0.1,0.1,0.5,0.5,1,0.5\nv,900,{'1' * 1_000_000},0.1,0.5,0.5,1,0.5\n")
    with pytest.raises(InputError, match="line 2: field larger than field limit"):
        read_ava_results(tmp_path / "d.csv")

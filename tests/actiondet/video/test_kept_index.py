from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actiondet.video import VideoIndex, index_video
from actiondet.video.index import PacketTable
from actiondet.video.kept_index import FILE_NAME, KeptIndices, packed_index
from actiondet.video.packing import pack_index, unpack_index


def assert_same(one: VideoIndex | PacketTable, other: VideoIndex | PacketTable) -> None:
    for field in fields(one):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, PacketTable):
            assert_same(mine, its)
        elif isinstance(mine, np.ndarray):
            assert mine.dtype == its.dtype
            assert np.array_equal(mine, its), field.name
        else:
            assert mine == its
            assert type(mine) is type(its)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, stamped: ModuleType) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "part").mkdir()
    stamped.write_stamped(folder / "part" / "a.mp4", 30)
    stamped.write_stamped(folder / "b.avi", 20, options={"bf": "2"})
    stamped.write_stamped(folder / "c.mkv", 3, times_ms=[0, 40, 3_600_000])
    (folder / "d.mp4").write_bytes(b"")
    return folder


@pytest.fixture
def folder(films: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(films, tmp_path / "videos"))


def paths(folder: Path) -> list[str]:
    return [os.fspath(folder / name) for name in ("part/a.mp4", "b.avi", "c.mkv", "d.mp4")]


def keep(folder: Path) -> KeptIndices:
    kept = KeptIndices(folder)
    kept.add({path: packed_index(path) for path in kept.lacking(paths(folder))})
    return kept


def test_the_folder_may_be_spelled_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(folder)
    monkeypatch.chdir(folder.parent)
    assert KeptIndices("./videos/").find("videos/b.avi") is not None
    monkeypatch.chdir(folder)
    assert KeptIndices(".").find("b.avi") is not None


def test_an_index_is_the_same_after_packing(films: Path) -> None:
    for path in paths(films)[:3]:
        index = index_video(path)
        assert_same(unpack_index(pack_index(index), path), index)


def test_what_is_kept_equals_what_the_files_say(folder: Path) -> None:
    assert KeptIndices(folder).lacking(paths(folder)) == paths(folder)
    kept = keep(folder)
    assert (folder / FILE_NAME).is_file()
    for each in (kept, KeptIndices(folder), pickle.loads(pickle.dumps(kept))):
        assert each.lacking(paths(folder)) == []  # the unreadable one is tried again only when it changes
        for path in paths(folder)[:3]:
            found = each.find(path)
            assert found is not None
            assert_same(found, index_video(path))
        assert each.find(paths(folder)[3]) is None
        assert each.find(folder / "e.mp4") is None


def test_a_moved_folder_takes_its_indices_along(folder: Path, tmp_path: Path) -> None:
    keep(folder)
    other = folder.rename(tmp_path / "elsewhere")
    found = KeptIndices(other).find(other / "b.avi")
    assert found is not None
    assert found.path == str(other / "b.avi")


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_indexed_again(folder: Path, change: str, stamped: ModuleType) -> None:
    keep(folder)
    path = folder / "b.avi"
    if change == "size":
        stamped.write_stamped(path, 10)
    else:
        os.utime(path, (0, 0))
    kept = KeptIndices(folder)
    assert kept.find(path) is None
    assert kept.lacking(paths(folder)) == [str(path)]
    found = keep(folder).find(path)
    assert found is not None
    assert len(found) == (10 if change == "size" else 20)


def test_all_files_are_looked_at_where_one_of_a_few_has_changed(folder: Path) -> None:
    kept, (first, second, third, fourth) = keep(folder), paths(folder)
    for path in (second, fourth):
        os.utime(path, (0, 0))
    assert kept.lacking(paths(folder), looks=1) == []
    assert kept.find(second) is None
    assert kept.lacking(paths(folder), looks=4) == kept.lacking(paths(folder)) == [second, fourth]
    assert kept.lacking([first, third, f"{third}.mkv"], looks=1) == [f"{third}.mkv"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:40],
        lambda content: b"x" + content[1:],
        lambda content: content[:136] + b"\xff" * 7 + b"\x7f" + content[144:],
    ],
    ids=["empty", "cut off", "cut short", "another file", "an end beyond the file"],
)
def test_a_damaged_file_is_ignored_and_written_again(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    keep(folder)
    file = folder / FILE_NAME
    file.write_bytes(damage(file.read_bytes()))
    assert KeptIndices(folder).lacking(paths(folder)) == paths(folder)
    assert keep(folder).find(folder / "b.avi") is not None


def test_a_flipped_bit_in_an_index_is_noticed(folder: Path) -> None:
    keep(folder)
    file = folder / FILE_NAME
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    found = [KeptIndices(folder).find(path) for path in paths(folder)[:3]]
    assert sum(index is None for index in found) == 1


def test_a_folder_that_cannot_be_written_to_has_its_file_in_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path / "cache"))
    beside = keep(folder).path
    monkeypatch.setattr("actiondet.video.kept_index.os.access", lambda path, mode: False)
    assert KeptIndices(folder).find(folder / "b.avi") is not None  # the file beside the videos still counts
    beside.unlink()
    kept = keep(folder)
    assert kept.path.parent == tmp_path / "cache" / "indices"
    assert kept.find(folder / "b.avi") is not None
    assert not beside.exists()


def test_several_may_add_at_the_same_time(folder: Path) -> None:
    def add(path: str) -> None:
        KeptIndices(folder).add({path: packed_index(path)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, paths(folder) * 3))
    assert KeptIndices(folder).lacking(paths(folder)) == []
    assert sorted(file.name for file in folder.iterdir() if file.name.startswith(".")) == [
        FILE_NAME,
        f"{FILE_NAME}.lock",
    ]


def test_a_folder_of_the_file_s_name_is_no_index(folder: Path) -> None:
    (folder / FILE_NAME).mkdir()
    assert KeptIndices(folder).lacking(paths(folder)) == paths(folder)
    with pytest.raises(IsADirectoryError):
        keep(folder)


def test_videos_elsewhere_are_told_apart(folder: Path, tmp_path: Path, stamped: ModuleType) -> None:
    names = []
    for frames, place in ((5, "one"), (6, "two")):
        (tmp_path / place).mkdir()
        names.append(os.fspath(stamped.write_stamped(tmp_path / place / "long.mp4", frames)))
    kept = KeptIndices(folder)
    kept.add({name: packed_index(name) for name in names})
    found = [KeptIndices(folder).find(name) for name in names]
    assert [index and len(index) for index in found] == [5, 6]

from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from actiondet.datasets import sources
from actiondet.datasets.sources import ReaderPool, find_videos, locate_videos
from evaluation.errors import InputError
from evaluation.video_names import composed

Form = Literal["NFC", "NFD"]


class FakeReader:
    """Remembers whether it is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_video_is_known_by_its_name_whatever_its_container(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mkv", "-c_d.AVI", "v1.2.webm", "e.txt", "a.json", "unused.mp4", "unused.avi", "._a.mp4")
    names = ["a", "b", "-c_d", "v1.2", "e", "f"]
    found = find_videos(tmp_path, names, pictures=False)
    assert {name: path.name for name, path in found.items()} == {
        "a": "a.mp4",
        "b": "b.mkv",
        "-c_d": "-c_d.AVI",
        "v1.2": "v1.2.webm",
    }
    assert locate_videos(tmp_path, names, pictures=False, skip_missing=True) == (found, ("e", "f"))
    with pytest.raises(InputError) as fault:
        locate_videos(tmp_path, names, pictures=False, skip_missing=False)
    message = str(fault.value)
    assert message.startswith(f"{tmp_path}: 2 of 6 videos are missing: e, f; expected files <video>.mp4")
    assert locate_videos(tmp_path, ["a"], pictures=False, skip_missing=False) == ({"a": found["a"]}, ())


def test_many_missing_videos_are_counted_and_the_first_named(tmp_path: Path) -> None:
    names = [f"v{number}" for number in range(30)]
    with pytest.raises(InputError) as fault:
        locate_videos(tmp_path, names, pictures=False, skip_missing=True)
    assert "30 of 30 videos are missing: v0, v1, v2, v3, v4, ... (30 in all);" in str(fault.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.mkv")
    with pytest.raises(InputError, match=r"video 'a' is there twice, as a.mkv and a.mp4; keep one of them"):
        find_videos(tmp_path, ["a"], pictures=False)


def test_names_with_slashes_lie_in_subfolders(tmp_path: Path) -> None:
    touch(tmp_path, "ball/v_1.mp4", "v_1.mp4")
    found = find_videos(tmp_path, ["ball/v_1", "none/v_2"], pictures=False)
    assert found == {"ball/v_1": tmp_path / "ball" / "v_1.mp4"}


def test_videos_as_pictures_are_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a/img_00001.jpg", "b")
    assert find_videos(tmp_path, ["a", "b"], pictures=True) == {"a": tmp_path / "a"}


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.videos: .*gone does not exist"):
        find_videos(tmp_path / "gone", ["a"], pictures=False)
    touch(tmp_path, "file")
    with pytest.raises(InputError, match="is not a folder"):
        find_videos(tmp_path / "file", ["a"], pictures=False)


def videos(at_once: int = 2) -> ReaderPool:
    return ReaderPool({name: Path(name) for name in "abc"}, FakeReader, at_once=at_once)  # type: ignore[arg-type]


def test_a_reader_is_made_once_and_only_the_last_ones_stay_open() -> None:
    pool = videos()
    a, b = pool.reader("a"), pool.reader("b")
    assert pool.reader("a") is a
    c = pool.reader("c")  # b is the one not used for longest
    assert [each.closed for each in (a, b, c)] == [0, 1, 0]  # type: ignore[attr-defined]
    assert pool.reader("b") is b  # its index is kept
    assert [each.closed for each in (a, b, c)] == [1, 1, 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("files", "gib", "expected"), [(1024, 64, 256), (100_000, 2, 16), (16, 64, 4), (1024, 0, 4)])
def test_files_stay_open_within_the_limits_of_the_system(
    files: int, gib: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"SC_PHYS_PAGES": 2 * gib * 2**18, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(sources.resource, "getrlimit", lambda which: (files, files))
    monkeypatch.setattr(sources.os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(sources.os, "cpu_count", lambda: 2)
    assert sources.files_at_once() == expected


def test_of_a_large_set_only_the_indices_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actiondet.datasets.sources.KNOWN_READERS", 2)
    pool = videos(at_once=1)
    a, b = pool.reader("a"), pool.reader("b")
    assert pool.reader("a") is a
    pool.reader("c")
    assert pool.reader("a") is a
    assert pool.reader("b") is not b


def test_more_files_may_be_open_than_indices_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actiondet.datasets.sources.KNOWN_READERS", 1)
    pool = videos(at_once=2)
    readers = [pool.reader(name) for name in "abc"]
    assert [each.closed for each in readers] == [1, 1, 0]  # type: ignore[attr-defined]


def test_a_forgotten_video_is_looked_at_anew() -> None:
    pool = videos()
    first = pool.reader("a")
    pool.forget("a")
    pool.forget("b")
    assert first.closed == 1  # type: ignore[attr-defined]
    assert pool.reader("a") is not first


def test_videos_can_be_pickled() -> None:
    pool = videos()
    pool.reader("a")
    assert pickle.loads(pickle.dumps(pool)).reader("b").path == Path("b")


@pytest.mark.parametrize("pictures", [False, True], ids=["files", "folders of pictures"])
@pytest.mark.parametrize(("wanted", "there"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_composed_and_decomposed_letters_are_the_same_name(
    tmp_path: Path, wanted: Form, there: Form, pictures: bool
) -> None:
    folder = unicodedata.normalize(there, "übung/prüfung")
    touch(tmp_path, f"{folder}/1.jpg" if pictures else f"{folder}.mp4", "other.mp4")
    name = unicodedata.normalize(wanted, "übung/prüfung")
    found = find_videos(tmp_path, [name], pictures=pictures)
    assert found == {name: tmp_path / (folder if pictures else f"{folder}.mp4")}


def test_two_files_whose_names_look_the_same_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, *(unicodedata.normalize(form, "prüfung.mp4") for form in ("NFC", "NFD")))
    with pytest.raises(InputError, match="is there twice"):
        find_videos(tmp_path, ["prüfung"], pictures=False)


def test_names_in_many_folders_are_composed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the videos, not with videos times folders."""
    names = [f"{folder}/{video}" for folder in range(30) for video in range(10)]
    for name in names:
        path = tmp_path / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    calls = 0

    def counted(name: str) -> str:
        nonlocal calls
        calls += 1
        return composed(name)

    monkeypatch.setattr(sources, "composed", counted)
    assert len(find_videos(tmp_path, names, pictures=False)) == 300
    assert calls <= 5 * len(names)


@pytest.mark.parametrize("folder", [".", "videos", "./videos/"])
def test_places_are_the_same_as_paths_and_as_text(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos/ball").mkdir(parents=True)
    (tmp_path / "videos/ball/v_1.mp4").touch()
    (tmp_path / "videos/v_2.avi").touch()
    monkeypatch.chdir(tmp_path / "videos" if folder == "." else tmp_path)
    names = {"ball/v_1.mp4": "ball/v_1", "second": "v_2", "third": "v_3"}
    found, missing = locate_videos(folder, names, pictures=False, skip_missing=True, bare=names)
    assert missing == ("third",)
    assert found == {"ball/v_1.mp4": Path(folder, "ball/v_1.mp4"), "second": Path(folder, "v_2.avi")}
    assert found.texts() == [str(path) for path in found.values()]

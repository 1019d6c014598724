from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from actiondet.video import VideoWriter, open_video
from actiondet.video.cached_reader import CachedReader, SharedFrames
from actiondet.video.pixels import Image
from evaluation.errors import InputError

SIZE = 20 * 32 * 48 * 3


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    random = np.random.default_rng(0)
    with VideoWriter(path, rate=Fraction(10), width=48, height=32, sound_of=None) as writer:
        for _ in range(20):
            writer.write(random.integers(0, 256, (32, 48, 3), dtype=np.uint8))
    return path


def shared(size: int, *paths: Path) -> SharedFrames:
    return SharedFrames(map(os.fspath, paths), size)


@pytest.mark.parametrize("room", [0, SIZE - 1, SIZE, 2**40])
def test_frames_are_those_of_the_file_with_room_and_without(room: int, film: Path) -> None:
    frames = [5, 3, 3, 19, 0]
    expected = open_video(film, reader="pyav").read(frames)
    kept = CachedReader(open_video(film, reader="pyav"), shared(room, film))
    again = pickle.loads(pickle.dumps(kept))  # a spawned worker's copy
    for reader in (kept, kept, again):
        assert np.array_equal(reader.read(frames), expected)
    with pytest.raises(IndexError, match="no frame 20"):
        kept.read([20])


def test_a_video_is_decoded_once_as_long_as_there_is_room(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = film.with_name("other.mp4")
    shutil.copy(film, other)
    room = shared(2 * SIZE - 1, film, other)
    calls: list[int] = []
    kept = []
    for number, path in enumerate((film, other)):
        reader = open_video(path, reader="pyav")
        monkeypatch.setattr(reader, "read", partial(_counted, reader.read, calls, number))
        kept.append(CachedReader(reader, room))
    for _ in range(3):
        for each in kept:
            each.read([1])
    assert calls == [0, 1, 1, 1]


def _counted(read: Callable[[Sequence[int]], Image], calls: list[int], number: int, frames: Sequence[int]) -> Image:
    calls.append(number)
    return read(frames)


def test_what_one_process_has_decoded_no_other_decodes(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    shutil.copy(film, path)
    reader = CachedReader(open_video(path, reader="pyav"), shared(SIZE, path))
    expected = open_video(film, reader="pyav").read([7, 2])
    worker = multiprocessing.get_context("fork").Process(target=reader.read, args=([0],))
    worker.start()
    worker.join()
    path.unlink()
    assert np.array_equal(reader.read([7, 2]), expected)


def test_while_one_process_decodes_a_video_others_read_its_file(film: Path) -> None:
    room = shared(SIZE, film)
    reader = open_video(film, reader="pyav")
    assert room.take(reader.index) is not None
    assert room.take(reader.index) is None
    assert np.array_equal(CachedReader(reader, room).read([4]), reader.read([4]))


def test_a_broken_video_gives_its_room_back(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    path.write_bytes(film.read_bytes())
    reader = open_video(path, reader="pyav")
    room = shared(SIZE, path)
    path.write_bytes(b"")
    with pytest.raises(InputError):
        CachedReader(reader, room).read([0])
    path.write_bytes(film.read_bytes())
    assert room.take(reader.index) is not None


def test_a_damaged_place_costs_the_frames_there_alone(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = open_video(film, reader="pyav")
    expected = reader.read([4])
    whole = reader.read

    def damaged(frames: Sequence[int]) -> Image:
        if 15 in frames:
            raise InputError("frame 15 cannot be decoded")
        return whole(frames)

    monkeypatch.setattr(reader, "read", damaged)
    kept = CachedReader(reader, shared(SIZE, film))
    assert np.array_equal(kept.read([4]), expected)
    with pytest.raises(InputError, match="frame 15"):
        kept.read([4, 15])


def test_a_long_video_is_decoded_in_parts(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actiondet.video.cached_reader._AT_ONCE", 7)
    reader = open_video(film, reader="pyav")
    assert np.array_equal(CachedReader(reader, shared(SIZE, film)).read(range(20)), reader.read(range(20)))

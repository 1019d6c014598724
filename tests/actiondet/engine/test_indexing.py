"""Indices are made once: ahead, by a program of several processes, or by the first training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig
from actiondet.datasets.sources import ReaderPool
from actiondet.engine import indexing
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.devices import launch
from actiondet.video import open_video
from actiondet.video.kept_index import FILE_NAME, KeptIndices, Packed, packed_index
from tests.programs import run_copies

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "configs/toy/slowonly_r18.yaml")


@pytest.fixture
def videos(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy / "videos", tmp_path / "videos", ignore=shutil.ignore_patterns(".*")))


def pool(folder: Path) -> ReaderPool:
    paths = {path.stem: path for path in folder.glob("*.mp4")}
    return ReaderPool(paths, partial(open_video, reader="auto"), kept=KeptIndices(folder))


def test_only_what_is_new_is_indexed_and_readers_use_what_is_kept(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(path: str) -> Packed:
        calls.append(Path(path).name)
        return packed_index(path)

    monkeypatch.setattr(indexing, "packed_index", counted)
    monkeypatch.setattr(indexing, "_ROUND", 2)
    names = sorted(path.name for path in videos.glob("*.mp4"))
    for expected in (names, [], ["new.mp4"], []):
        if expected == ["new.mp4"]:
            shutil.copy(videos / names[0], videos / "new.mp4")
        calls.clear()
        assert indexing.index_videos([pool(videos), pool(videos)], launch()) == [videos / FILE_NAME]
        assert calls == expected
    monkeypatch.setattr("actiondet.video.reader.index_video", None)
    readers = pool(videos)
    assert all(len(readers.reader(video).index) > 1 for video in readers.paths)


def test_a_disk_that_takes_no_file_costs_time_alone(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: KeptIndices, packed: object) -> None:
        raise OSError(28, "No space left on device", "index")

    monkeypatch.setattr(KeptIndices, "add", full)
    readers = pool(videos)
    indexing.index_videos([readers], launch())
    assert capsys.readouterr().out == "the videos' indices are not kept: [Errno 28] No space left on device: 'index'\n"
    assert len(readers.reader(next(iter(readers.paths))).index) > 1


def test_a_training_indexes_its_videos(videos: Path, tiny_config: Callable[..., DetectionConfig]) -> None:
    DetectionTask(tiny_config(f"data.videos={videos}"), launch())
    assert KeptIndices(videos).lacking([os.fspath(path) for path in sorted(videos.glob("*.mp4"))]) == []


def test_two_processes_index_ahead(videos: Path, settings: list[str]) -> None:
    program = ROOT / "tools/index_videos.py"
    done = run_copies(program, CONFIG, *settings, f"data.videos={videos}", processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"the indices are in {videos / FILE_NAME}\n"
    assert KeptIndices(videos).lacking([os.fspath(path) for path in sorted(videos.glob("*.mp4"))]) == []

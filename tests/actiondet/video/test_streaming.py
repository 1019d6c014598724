from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from actiondet.video import index_video, open_video, stream_frames
from actiondet.video.streaming import stream_unconverted
from evaluation.errors import InputError

FAST = {"preset": "veryfast", "g": "12"}


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_every_frame_comes_once_in_order_with_its_time(stamped: ModuleType, tmp_path: Path, name: str) -> None:
    path = stamped.write_stamped(tmp_path / name, 50, options={**FAST, "bf": "3"})
    index = index_video(path)
    streamed = list(stream_frames(path))
    assert [stamped.read_stamp(image) for _, image in streamed] == list(range(50))
    assert [time for time, _ in streamed] == index.frame_times.tolist()
    with open_video(path, "auto", index) as reader:
        np.testing.assert_array_equal(reader.read([17])[0], streamed[17][1])


def test_frames_may_be_converted_later_or_never(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.mp4", 30, options={**FAST, "bf": "3"})
    pictures = list(stream_unconverted(index_video(path)))
    assert [time for time, _ in pictures] == [time for time, _ in stream_frames(path)]
    assert [stamped.read_stamp(pictures[place][1]()) for place in (29, 3, 17, 3)] == [29, 3, 17, 3]


def test_a_recording_that_breaks_off_is_shown_to_its_end(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.flv", 60, options={**FAST, "bf": "3"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    index = index_video(path)
    assert 10 < len(index) < 50
    assert [stamped.read_stamp(image) for _, image in stream_frames(path, index)] == list(range(len(index)))


def test_hidden_frames_are_not_shown(stamped: ModuleType, tmp_path: Path) -> None:
    whole = stamped.write_stamped(tmp_path / "whole.mp4", 40, options={"preset": "veryfast", "g": "20"})
    cut = stamped.cut_without_encoding(whole, tmp_path / "cut.mp4", 27)
    streamed = [(time, stamped.read_stamp(image)) for time, image in stream_frames(cut)]
    assert streamed == [(40_000 * place, 27 + place) for place in range(13)]


def test_memory_does_not_grow_with_the_length(stamped: ModuleType, tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        path = stamped.write_stamped(tmp_path / f"{frames}.mp4", frames, options=FAST)
        tracemalloc.start()
        count = sum(1 for _ in stream_frames(path))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == frames
        return most

    peak(20)  # what is loaded once
    assert (peak(500) - peak(100)) / 400 < 150  # bytes a frame: its entry in the index; a picture has 18,432


def test_the_file_is_closed_when_the_stream_is_left_early(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.mp4", 30, options=FAST)
    frames: Iterator[object] = stream_frames(path)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert list(frames) == []


def test_a_size_that_changes_on_the_way_is_reported(stamped: ModuleType, tmp_path: Path) -> None:
    parts = [stamped.write_stamped(tmp_path / f"{width}.ts", 12, options=FAST, size=(width, 64)) for width in (96, 128)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(InputError, match=r"both\.ts: its picture size changes from 96x64 to 128x64 on the way"):
        list(stream_frames(path))


def test_a_video_that_vanished_after_indexing_is_named(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.mp4", 5, options=FAST)
    index = index_video(path)
    path.unlink()
    with pytest.raises(InputError, match=r"a\.mp4: no such file"):
        next(stream_frames(path, index))
    with pytest.raises(InputError, match=r"a\.mp4: no such file"):
        open_video(path, "pyav", index).read([0])


def test_streaming_needs_no_picture_kept_by_the_caller(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.mp4", 8, options=FAST)
    images = [image for _, image in stream_frames(path)]
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(images, plain)  # each is its own array, none overwritten by a later one

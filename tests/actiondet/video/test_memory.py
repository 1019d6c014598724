"""What remains of videos that were read: the allocator's own count tells a leak from memory that it keeps for later."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from actiondet.video import index_video, open_video, stream_frames


class Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "used", "free", "keepcost")
    ]


def bytes_in_use() -> int:
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("this C library does not count what is in use")
    library.mallinfo2.restype = Heap
    gc.collect()
    heap = library.mallinfo2()
    return int(heap.used) + int(heap.mapped)


@pytest.fixture(scope="module")
def video(stamped: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = stamped.write_stamped(
        tmp_path_factory.mktemp("memory") / "video.mp4", 60, options={"preset": "veryfast", "g": "12"}
    )
    return path


def read_far_frames(path: Path) -> None:
    with open_video(path, "pyav") as reader:
        reader.read([3, 20, 33, 50])


def stream_the_beginning(path: Path) -> None:
    frames = stream_frames(path)
    next(frames)
    del frames


@pytest.mark.parametrize("use", [index_video, read_far_frames, stream_the_beginning])
def test_nothing_remains_of_a_video_that_was_read(use: Callable[[Path], object], video: Path) -> None:
    for _ in range(50):
        use(video)
    before = bytes_in_use()
    for _ in range(200):
        use(video)
    assert (bytes_in_use() - before) / 200 < 50

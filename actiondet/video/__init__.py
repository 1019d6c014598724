"""Video files and folders of frames: which frames there are, reading exactly those, writing new ones (no torch)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actiondet.video.base import VideoReader
    from actiondet.video.frame_folder import FrameFolder
    from actiondet.video.index import VideoIndex, index_video
    from actiondet.video.reader import ReaderName, open_video
    from actiondet.video.sampling import clip_frames, nearest_frames
    from actiondet.video.streaming import stream_frames
    from actiondet.video.writer import VideoWriter

# Loaded at first use, so that a program's --help does not wait for FFmpeg.
_HOMES = {
    "FrameFolder": "frame_folder",
    "ReaderName": "reader",
    "VideoIndex": "index",
    "VideoReader": "base",
    "VideoWriter": "writer",
    "clip_frames": "sampling",
    "index_video": "index",
    "nearest_frames": "sampling",
    "open_video": "reader",
    "stream_frames": "streaming",
}

__all__ = [
    "FrameFolder",
    "ReaderName",
    "VideoIndex",
    "VideoReader",
    "VideoWriter",
    "clip_frames",
    "index_video",
    "nearest_frames",
    "open_video",
    "stream_frames",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"actiondet.video.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

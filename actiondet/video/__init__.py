"""Video files and folders of frames: which frames there are, reading exactly those, writing new ones (no torch).

The public names are loaded on first use, so that a program's --help does not wait for FFmpeg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.public_names import loaded_on_use

if TYPE_CHECKING:
    from actiondet.video.base import VideoReader as VideoReader
    from actiondet.video.frame_folder import FrameFolder as FrameFolder
    from actiondet.video.index import VideoIndex as VideoIndex
    from actiondet.video.index import index_video as index_video
    from actiondet.video.reader import ReaderName as ReaderName
    from actiondet.video.reader import open_video as open_video
    from actiondet.video.sampling import clip_frames as clip_frames
    from actiondet.video.sampling import nearest_frames as nearest_frames
    from actiondet.video.streaming import stream_frames as stream_frames
    from actiondet.video.writer import VideoWriter as VideoWriter

__all__, __getattr__, __dir__ = loaded_on_use(__name__)

"""A whole video, frame by frame, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from actiondet.video.containers import decode_packet, opened_video, video_packets
from actiondet.video.index import VideoIndex, index_video
from actiondet.video.pixels import Image, RgbConverter


def stream_frames(path: str | os.PathLike[str], index: VideoIndex | None = None) -> Iterator[tuple[int, Image]]:
    """Decode a video file once, from start to end.

    Args:
        path: the file.
        index: what `index_video` said of it; None indexes it first.

    Yields:
        (microseconds after the first frame, (H, W, 3) uint8 RGB as shown), in the order in which frames are shown.
        Frames that are too damaged to be decoded are left out; the others keep their times.

    Raises:
        InputError: the file cannot be read as a video, or its picture size changes on the way.

    Example:
        >>> for time, frame in actiondet.stream_frames("street.mp4"):
        ...     brightest = frame.max()
        >>> time  # of the last frame, in microseconds
        1100000
    """
    for time, picture in stream_unconverted(index or index_video(path)):
        yield time, picture()


def stream_unconverted(index: VideoIndex) -> Iterator[tuple[int, Callable[[], Image]]]:
    """As `stream_frames`, for those who look at a few frames only: converting to RGB costs nearly as much as decoding.

    Args:
        index: the video.

    Yields:
        (microseconds after the first frame, what gives the picture that `stream_frames` yields).

    Raises:
        InputError: as `stream_frames`; that the picture size changes is noticed only in frames that are looked at.
    """
    if index.packets is None:
        raise ValueError(f"{index.path} is not a video file")
    converter = RgbConverter(index)
    with opened_video(index.path, threads=0) as (container, stream):
        packets = enumerate(video_packets(container, stream))
        ended = False
        while not ended:
            number, packet = next(packets, (-1, None))
            ended = packet is None
            for frame in decode_packet(stream, packet, number):
                shown = index.packets.frame_of_packet[frame.pts]
                if shown >= 0:
                    yield int(index.frame_times[shown]), partial(converter.convert, frame)

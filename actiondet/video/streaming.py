"""A whole video, frame by frame, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from av.video.frame import VideoFrame

from actiondet.video.containers import decode_packet, opened_video, video_packets
from actiondet.video.index import VideoIndex, index_video
from actiondet.video.pixels import Image, RgbConverter
from actiondet.video.planes import Planes, Undrawn, planes_of


class ShownFrame(NamedTuple):
    """A frame at its time, microseconds after the first one.

    Attributes:
        time: in microseconds.
        image: (H, W, 3) uint8 RGB as shown.
        planes: what it was converted from, if a writer can take it.
    """

    time: int
    image: Image
    planes: Planes | None = None

    @property
    def undrawn(self) -> Undrawn | None:
        """What a writer needs to keep the decoder's values where nothing is drawn; None without planes."""
        return None if self.planes is None else Undrawn(self.image, self.planes)


class Unconverted:
    """A decoded frame, whose picture is made when it is called."""

    def __init__(self, frame: VideoFrame, converter: RgbConverter, planes: Planes | None) -> None:
        """Keep what is needed; `planes` are those of the frame."""
        self._frame, self._converter = frame, converter
        self.planes = planes

    def __call__(self) -> Image:
        """(H, W, 3) uint8 RGB as shown."""
        return self._converter.convert(self._frame)


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


def stream_with_planes(index: VideoIndex) -> Iterator[ShownFrame]:
    """As `stream_frames`, for those who draw on the frames and write them.

    Args:
        index: the video.

    Raises:
        InputError: as `stream_frames`.
    """
    for time, picture in stream_unconverted(index):
        yield ShownFrame(time, picture(), picture.planes)


def stream_unconverted(index: VideoIndex) -> Iterator[tuple[int, Unconverted]]:
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
    upright = not index.rotation and not index.mirrored
    # Of a recording that breaks off, threads lose the frames that they hold when the last packet turns out damaged.
    breaks_off = not index.packets.marked_by_pts and index.packets.frame_of_packet[-1] < 0
    with opened_video(index.path, threads=1 if breaks_off else 0) as (container, stream):
        # A file that is still recorded may hold more by now than when it was indexed.
        packets = enumerate(islice(video_packets(container, stream), len(index.packets.frame_of_packet)))
        ended = False
        while not ended:
            number, packet = next(packets, (-1, None))
            ended = packet is None
            for frame in decode_packet(stream, packet, number):
                shown = index.packets.frame_of_packet[frame.pts]
                if shown >= 0:
                    planes = planes_of(frame, stream.codec_context) if upright else None
                    yield int(index.frame_times[shown]), Unconverted(frame, converter, planes)

"""Opening a video file with PyAV, and its packets and frames under numbers that every pass agrees on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actiondet.video.file_check import check_file
from evaluation.errors import InputError

AnyStream = TypeVar("AnyStream", VideoStream, AudioStream)

# Containers whose table of contents names the streams. A frame need not be decoded to know them.
_LISTING_SUFFIXES = {".mp4", ".m4v", ".mov"}
_UNPROBED = {"skip_frame": "all", "probesize": "32"}


def open_video_stream(path: str, *, threads: int = 1, probe: bool = True) -> tuple[InputContainer, VideoStream]:
    """Open a video file and choose its best video stream; the caller closes the container.

    Args:
        path: the file.
        threads: decoding threads; 0 lets FFmpeg choose.
        probe: decode the first frames to learn what the container does not say, which takes longer than all else.
            Without it, some decoders give frames too early, out of their order; where frames are known by their
            packets, that does no harm. What needs it has it all the same.

    Raises:
        InputError: the file is missing, empty, cut off, or holds no video.
    """
    check_file(path)
    probe = probe or os.path.splitext(path)[1].lower() not in _LISTING_SUFFIXES
    try:
        # "12:30.mp4" alone would be a file of protocol 12. Titles may be in any encoding.
        container = av.open(os.path.abspath(path), options={} if probe else _UNPROBED, metadata_errors="replace")
    except av.error.FFmpegError as fault:
        if isinstance(fault, OSError):  # no permission, a broken disk: the system's own words are the clearest
            raise
        raise InputError(f"{path}: is not a video that FFmpeg can read ({fault.strerror})") from None
    if not probe and len(container.streams.video) != 1:  # which is the best one?
        container.close()
        return open_video_stream(path, threads=threads)
    try:
        return container, _best_video(container, path, threads)
    except BaseException:
        container.close()
        raise


@contextmanager
def opened_video(path: str, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """`open_video_stream` for the length of a `with` block."""
    container, stream = open_video_stream(path, threads=threads)
    try:
        yield container, stream
    finally:
        container.close()


def _best_video(container: InputContainer, path: str, threads: int) -> VideoStream:
    stream = container.streams.best("video")
    # A picture attached to a song is a "video" of one frame; "tty" is how FFmpeg would play a text file.
    attached = stream is not None and bool(stream.disposition & stream.disposition.attached_pic)
    if not isinstance(stream, VideoStream) or attached or container.format.name == "tty":
        kinds = " and ".join(sorted({other.type for other in container.streams if other.type != "video"}))
        raise InputError(f"{path}: holds no video, only {kinds or 'text'} ({container.format.name})")
    if stream.codec_context is None:
        raise InputError(f"{path}: its video is coded in a way that this FFmpeg cannot decode")
    stream.codec_context.thread_count = threads
    if threads != 1:
        stream.codec_context.thread_type = "AUTO"
    return stream


def packets_of(container: InputContainer, stream: AnyStream) -> Iterator[Packet[AnyStream]]:
    """The packets of `stream`, in the file's order."""
    # A generator of PyAV leaks memory if it is dropped before its end. `yield from` closes it with this one.
    yield from container.demux(stream)


def video_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of `stream` in the file's order.

    A packet's number is its place in this sequence. Empty packets (a "dropped frame" of AVI) have none: they show
    nothing, and a decoder would take them for the end of the stream.

    Raises:
        InputError: the container is damaged. OSError: the disk is.
    """
    try:
        for packet in packets_of(container, stream):
            if packet.size > 0:
                yield packet
    except av.error.FFmpegError as fault:
        if isinstance(fault, OSError):
            raise
        raise InputError(
            f"{container.name}: is damaged; FFmpeg cannot continue to read it ({fault.strerror})"
        ) from None


def decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None, number: int = -1) -> list[VideoFrame]:
    """Give the decoder a packet and take the frames that are ready, in the order in which they are shown.

    The number of the packet travels through the decoder as the frame's `pts`, because the file's own times may be
    missing or wrong. None asks for the frames that the decoder still holds. Damaged packets yield nothing.
    """
    if packet is not None:
        packet.pts = number
    try:
        return stream.decode(packet)
    except av.error.FFmpegError:
        return []

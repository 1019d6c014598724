"""One pass over the packets of a video file: the raw facts from which its index is made."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from actiondet.video.containers import decode_packet, opened_video, video_packets
from evaluation.errors import InputError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# How many frames a quick pass decodes, to compare the decoder's order with the order of the packets' times.
_PROBED_FRAMES = 4
_NO_TIME = -(2**63)


@dataclass(frozen=True, eq=False, repr=False)
class Scan:
    """What one pass found. Arrays have one row per packet, in the file's order.

    Attributes:
        container: FFmpeg's name(s) of the container format, with commas.
        pixel_aspect: width of a coded pixel over its height; 1 where the file does not say.
        has_duration: whether the container states how long it is; what is written live, or through a pipe, does not.
        codec: FFmpeg's name of the codec (not of the decoder).
        pixel_format: of the first frame.
        reorders: the codec may show frames in another order than it stores them.
        time_base: seconds per unit of `pts` and `dts`.
        rates: frames a second, as the container claims; the most trustworthy first.
        has_audio: there is a sound stream.
        width: of the coded picture, in pixels.
        height: likewise.
        rotation: degrees clockwise (0, 90, 180, 270) by which it is turned to be shown.
        mirrored: it is mirrored left to right after the turn.
        pts: (M,) when the packet's frame is shown; 0 where the file does not say.
        has_pts: (M,) whether the file says.
        dts: (M,) when it is decoded; 0 where the file does not say.
        has_dts: (M,) whether the file says.
        key: (M,) marked as a keyframe.
        discarded: (M,) decoded but not shown (edit lists).
        damaged: (M,) only a part of the packet is there.
        decoded: packets of the frames that the decoder gave, in its order: the first few, or all.
        decoded_key: whether that frame turned out to be a picture on its own (a true keyframe).
        second_key_true: the second packet that is marked as a keyframe is one, decoded alone.
    """

    container: str
    has_duration: bool
    pixel_aspect: Fraction
    codec: str
    pixel_format: str
    reorders: bool
    time_base: Fraction
    rates: tuple[Fraction, ...]
    has_audio: bool
    width: int
    height: int
    rotation: int
    mirrored: bool
    pts: IntArray
    has_pts: BoolArray
    dts: IntArray
    has_dts: BoolArray
    key: BoolArray
    discarded: BoolArray
    damaged: BoolArray
    decoded: list[int]
    decoded_key: list[bool]
    second_key_true: bool


def scan_packets(path: str, *, decode_all: bool) -> Scan:
    """Read every packet of the file once; decode the first few frames, or all of them.

    Raises:
        InputError: the file cannot be opened, or nothing in it can be decoded.
    """
    pts, dts = array("q"), array("q")  # 8 bytes a packet: a video may be hours long
    key, discarded, damaged = bytearray(), bytearray(), bytearray()
    decoded: list[int] = []
    decoded_key: list[bool] = []
    first: VideoFrame | None = None
    keys, second_key_true = 0, True
    with opened_video(path) as (container, stream):

        def note(frames: list[VideoFrame]) -> None:
            nonlocal first
            for frame in frames:
                first = first or frame
                decoded.append(cast(int, frame.pts))
                decoded_key.append(_is_whole(frame))

        for number, packet in enumerate(video_packets(container, stream)):
            pts.append(_NO_TIME if packet.pts is None else packet.pts)
            dts.append(_NO_TIME if packet.dts is None else packet.dts)
            key.append(packet.is_keyframe)
            discarded.append(packet.is_discard)
            damaged.append(packet.is_corrupt)
            keys += packet.is_keyframe
            if packet.is_keyframe and keys == 2 and not decode_all:
                second_key_true = _is_whole_alone(stream, packet)
            if decode_all or len(decoded) < _PROBED_FRAMES:
                note(decode_packet(stream, packet, number))
        if not pts:
            raise InputError(f"{path}: holds no frame")
        if decode_all or len(decoded) < _PROBED_FRAMES:
            note(decode_packet(stream, None))
        if first is None:
            raise InputError(f"{path}: none of its frames can be decoded")
        rotation, mirrored = _orientation(first, path)
        has_pts, has_dts = (np.frombuffer(times, dtype=np.int64) != _NO_TIME for times in (pts, dts))
        return Scan(
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=first.format.name,
            reorders=stream.codec_context.codec.reorder,
            time_base=stream.time_base or Fraction(1, 1000),
            rates=tuple(rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate),
            has_audio=bool(container.streams.audio),
            has_duration=bool(container.duration),
            pixel_aspect=Fraction(stream.sample_aspect_ratio or 1),
            width=first.width,
            height=first.height,
            rotation=rotation,
            mirrored=mirrored,
            pts=np.where(has_pts, pts, 0),
            has_pts=has_pts,
            dts=np.where(has_dts, dts, 0),
            has_dts=has_dts,
            key=np.frombuffer(key, dtype=bool),
            discarded=np.frombuffer(discarded, dtype=bool),
            damaged=np.frombuffer(damaged, dtype=bool),
            decoded=decoded,
            decoded_key=decoded_key,
            second_key_true=second_key_true,
        )


def _is_whole(frame: VideoFrame) -> bool:
    """The frame depends on no other. Streams that refresh bit by bit call their starting points keyframes, too."""
    return frame.key_frame and frame.pict_type in (PictureType.I, PictureType.NONE)


def _is_whole_alone(stream: VideoStream, packet: Packet[VideoStream]) -> bool:
    """Whether a fresh decoder gets a whole frame from this packet."""
    alone = cast(VideoCodecContext, CodecContext.create(stream.codec_context.codec.name, "r"))
    alone.extradata = stream.codec_context.extradata
    alone.thread_count = 1
    try:
        frames = [*alone.decode(packet), *alone.decode(None)]
    except FFmpegError:
        return False
    return len(frames) > 0 and _is_whole(frames[0])


def _orientation(frame: VideoFrame, path: str) -> tuple[int, bool]:
    """How the coded picture is turned and mirrored to be shown: (degrees clockwise, mirrored after that).

    The display matrix maps a coded point: x' = a x + c y, y' = b x + d y (y downward; ISO 14496-12, 8.2.2).
    """
    matrix = cast("Mapping[str, Any]", frame.side_data).get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if mirrored := a * d - b * c < 0:
        a = -a  # undo the mirror, so that what is left is a turn
    if min(abs(a), abs(b)) * 20 > max(abs(a), abs(b)):
        raise InputError(f"{path}: is to be shown askew; only turns by 90, 180 and 270 degrees are supported")
    if abs(a) > abs(b):
        return (0 if a > 0 else 180), mirrored
    return (90 if b > 0 else 270), mirrored

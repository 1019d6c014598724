"""What is in a video file: its frames, their times, and where decoding can start. One pass over the packets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from actiondet.video.scan import Scan, scan_packets
from evaluation.errors import InputError

IntArray = npt.NDArray[np.int64]

# Containers that store the moment at which each frame is shown. AVI stores none (what FFmpeg calls a pts there is
# guessed from the order of the packets), nor do bare streams.
_TIMED_CONTAINERS = {"mov", "mp4", "matroska", "webm", "mpegts", "flv"}
# What players assume of a stream that does not say.
_UNKNOWN_RATE = Fraction(25)
# Containers whose decoding times are stored or counted, so that they are the same after a jump.
_COUNTED_CONTAINERS = {"mov", "mp4", "avi"}
# Containers and color formats for which decord has been seen to give the same pixels as sequential decoding.
_DECORD_CONTAINERS = {"mov", "mp4", "matroska", "webm"}
_DECORD_FORMATS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}


@dataclass(frozen=True, eq=False, repr=False)
class PacketTable:
    """How to reach each frame: what a frame-exact reader needs to know of the packets, in the file's order.

    Attributes:
        frame_of_packet: (M,) the shown frame that each packet holds, -1 for none.
        start_packets: (K,) rising: packets at which decoding can start; the first is packet 0.
        start_frames: (K,) rising: the first shown frame that is right when decoding starts there.
        start_keys: (K,) the mark by which the packet is known again after a jump (see `marked_by_pts`).
        start_times: (K,) where to jump to, in units of the stream's time base.
        marked_by_pts: the mark of a packet is its presentation time; otherwise its decoding time.
        first_shown: moment of the first shown frame on the file's own clock, which its sound goes by; seconds.
    """

    frame_of_packet: IntArray
    start_packets: IntArray
    start_frames: IntArray
    start_keys: IntArray
    start_times: IntArray
    marked_by_pts: bool
    first_shown: Fraction


@dataclass(frozen=True, eq=False, repr=False)
class VideoIndex:
    """What a reader knows of a video before it decodes anything. Can be pickled and kept.

    Attributes:
        path: file or folder of frames.
        width: of the picture as shown (after rotation), in pixels.
        height: likewise.
        rate: average frames a second.
        rotation: by how many degrees (0, 90, 180, 270) the coded picture is turned clockwise to be shown.
        mirrored: the picture is mirrored left to right after the turn.
        frame_times: (N,) int64, strictly rising: when each frame is shown, microseconds after the first one.
        has_audio: the file holds sound.
        decord_unsafe: why decord would give wrong frames for this file; None if it is exact.
        packets: how to reach the frames of a video file; None for a folder.
        pixel_aspect: width of a pixel of the picture as shown over its height; anamorphic films have 32/27, say.
    """

    path: str
    width: int
    height: int
    rate: Fraction
    rotation: int
    mirrored: bool
    frame_times: IntArray
    has_audio: bool
    decord_unsafe: str | None
    packets: PacketTable | None
    pixel_aspect: Fraction = Fraction(1)

    def __len__(self) -> int:
        """Number of shown frames."""
        return len(self.frame_times)

    def __repr__(self) -> str:
        return f"VideoIndex({self.path}, {len(self)} frames of {self.width}x{self.height}, {float(self.rate):g} fps)"

    def checked_numbers(self, frames: Sequence[int] | IntArray) -> IntArray:
        """`frames` as (T,) int64; an IndexError names the first one that is not a frame of this video."""
        numbers: IntArray = np.asarray(frames, dtype=np.int64).reshape(-1)
        wrong = numbers[(numbers < 0) | (numbers >= len(self))]
        if len(wrong):
            raise IndexError(f"{self.path} has no frame {wrong[0]}: its {len(self)} frames count from 0")
        return numbers

    @property
    def duration_us(self) -> int:
        """How long the video is shown, in microseconds; the last frame stays for one average frame."""
        return int(self.frame_times[-1]) + round(1_000_000 / self.rate)


def index_video(path: str | os.PathLike[str]) -> VideoIndex:
    """Find the frames of a video file, in the order in which they are shown.

    The times written in the file are believed only where they can be: a container that stores them, a time for
    every packet, no time twice, a keyframe first, nothing shown before it, and the first frames that the decoder
    gives are the ones expected. Then one pass over the packets is enough (1 to 30 ms for a short file). Every
    other file (all AVI files with predicted frames, bare streams, damaged ones) is decoded once from start to
    end, which takes as long as playing it at full speed: its frames are what sequential decoding shows.

    Raises:
        InputError: the file is missing, empty, cut off, no video, or none of its frames can be decoded.

    Example:
        >>> index = actiondet.index_video("street.mp4")
        >>> len(index), index.width, index.height, float(index.rate)
        (12, 160, 120, 10.0)
    """
    path = os.fspath(path)
    scan = scan_packets(path, decode_all=False)
    distrust = _why_times_cannot_be_trusted(scan)
    if distrust is not None:
        scan = scan_packets(path, decode_all=True)
    shown = np.array(scan.decoded, dtype=np.int64) if distrust else _shown_by_pts(scan)
    if len(shown) == 0:
        raise InputError(f"{path}: none of its frames can be decoded")
    ticks = _ticks(scan, shown, trusted=distrust is None)
    times = np.rint((ticks - ticks[0]) * float(scan.time_base * 1_000_000)).astype(np.int64)
    turned = scan.rotation in (90, 270)
    return VideoIndex(
        path=path,
        width=scan.height if turned else scan.width,
        height=scan.width if turned else scan.height,
        rate=_average_rate(scan, times),
        rotation=scan.rotation,
        mirrored=scan.mirrored,
        frame_times=times,
        has_audio=scan.has_audio,
        decord_unsafe=_why_decord_is_wrong(scan, distrust),
        pixel_aspect=1 / scan.pixel_aspect if turned else scan.pixel_aspect,
        packets=_packet_table(scan, shown, int(ticks[0]) * scan.time_base, trusted=distrust is None),
    )


def _names(scan: Scan) -> set[str]:
    return set(scan.container.split(","))


def _shown_by_pts(scan: Scan) -> IntArray:
    """(N,) packets of the shown frames in display order, by their times alone."""
    kept = np.flatnonzero(~scan.discarded)
    return kept[np.argsort(scan.pts[kept], kind="stable")]


def _why_times_cannot_be_trusted(scan: Scan) -> str | None:
    """Why the order of the frames cannot follow the packets' times; None if it can."""
    if scan.reorders and not _TIMED_CONTAINERS & _names(scan):
        return f"{scan.container} files do not store when frames are shown"
    if not scan.has_pts.all():
        return "some packets have no time"
    if len(np.unique(scan.pts)) != len(scan.pts):
        return "several packets have the same time"
    if scan.damaged.any():
        return "some packets are damaged"
    if scan.codec == "vp8":
        return "VP8 has packets that hold no shown frame"
    shown = _shown_by_pts(scan)
    if not scan.key[0] or len(shown) == 0 or scan.pts[shown[0]] < scan.pts[0]:
        return "the first packet is not the first frame"
    if scan.decoded != shown[: len(scan.decoded)].tolist():
        return "the decoder shows other frames than the packets' times say"
    if not scan.second_key_true or any(
        scan.key[packet] and not is_key for packet, is_key in zip(scan.decoded, scan.decoded_key, strict=True)
    ):
        return "packets are marked as keyframes that are none"
    return None


def _why_decord_is_wrong(scan: Scan, distrust: str | None) -> str | None:
    """Why decord would give wrong frames; None where it was measured to equal sequential decoding."""
    if not _DECORD_CONTAINERS & _names(scan):
        return f"decord reads {scan.container} files inexactly"
    if not scan.has_duration:
        return "it states no duration, without which decord cannot open it"
    if distrust is not None:
        return distrust
    if scan.codec in ("av1", "hevc"):
        return f"decord reads {scan.codec} video inexactly or not at all"
    if scan.discarded.any():
        return "its edit list hides frames, which decord shows"
    last_key = np.maximum.accumulate(np.where(scan.key, np.arange(len(scan.key)), 0))
    if (scan.pts < scan.pts[last_key]).any():
        return "it has frames shown before the keyframe they follow (open GOP)"
    if scan.pixel_format not in _DECORD_FORMATS or scan.width % 2 or scan.height % 2:
        return f"decord converts the colors of {scan.width}x{scan.height} {scan.pixel_format} otherwise"
    if min(scan.width, scan.height) < 64:  # measured: it fails at widths of 16 and 48
        return f"decord cannot hand over frames as small as {scan.width}x{scan.height}"
    if scan.mirrored or (scan.rotation and "matroska" in _names(scan)):
        return "it is to be shown turned or mirrored in a way that decord does not follow"
    return None


def _ticks(scan: Scan, shown: IntArray, *, trusted: bool) -> IntArray:
    """(N,) when each shown frame is shown, in units of the time base, rising.

    AVI counts its frames by the decoding times; where else the times of the shown frames do not rise, the frames
    take the decoding times in order, too. A stream without any times is shown at its nominal rate.
    """
    if trusted or ("avi" not in _names(scan) and scan.has_pts[shown].all() and _rises(scan.pts[shown])):
        return scan.pts[shown]
    counted = np.sort(scan.dts[shown])
    if _names(scan) & _COUNTED_CONTAINERS and scan.has_dts[shown].all() and _rises(counted):
        return counted
    step = 1 / (scan.time_base * (scan.rates[0] if scan.rates else _UNKNOWN_RATE))
    return np.array([round(number * step) for number in range(len(shown))], dtype=np.int64)


def _rises(values: IntArray) -> bool:
    return bool((np.diff(values) > 0).all())


def _average_rate(scan: Scan, times: IntArray) -> Fraction:
    """Frames a second: the container's figure if the frames keep to it from first to last, else the measured one."""
    intervals, span_us = len(times) - 1, int(times[-1])
    for rate in scan.rates:
        if abs(intervals / rate - Fraction(span_us, 1_000_000)) < 1 / rate:
            return rate
    if intervals == 0:
        return _UNKNOWN_RATE
    rate = Fraction(intervals * 1_000_000, span_us)
    return rate.limit_denominator(1001) if rate > 1 else 1 / (1 / rate).limit_denominator(1001)


def _packet_table(scan: Scan, shown: IntArray, first_shown: Fraction, *, trusted: bool) -> PacketTable:
    """Where each frame is, and at which packets decoding can start."""
    frame_of_packet = np.full(len(scan.pts), -1, dtype=np.int64)
    frame_of_packet[shown] = np.arange(len(shown))
    if trusted:
        starts = np.flatnonzero(scan.key & (frame_of_packet >= 0))
    else:  # only where the decoder agrees that it is a keyframe
        starts = np.array([packet for packet, key in zip(scan.decoded, scan.decoded_key, strict=True) if key], np.int64)
        starts = np.sort(starts[scan.key[starts]])
    if not trusted and not (_names(scan) & _COUNTED_CONTAINERS and scan.has_dts.all() and _rises(scan.dts)):
        starts = starts[:0]  # a packet could not be known again after a jump: decode from the beginning
    # A keyframe is of use only if what it starts is shown after what earlier ones start.
    first_frames = frame_of_packet[starts]
    useful = first_frames > np.maximum.accumulate(np.concatenate([[0], first_frames[:-1]]))
    starts = np.concatenate([[0], starts[useful & (starts > 0)]])
    start_frames = frame_of_packet[starts]
    start_frames[0] = 0
    times = np.where(scan.has_dts[starts], scan.dts[starts], scan.pts[starts])
    return PacketTable(
        frame_of_packet=frame_of_packet,
        start_packets=starts,
        start_frames=start_frames,
        start_keys=scan.pts[starts] if trusted else scan.dts[starts],
        start_times=np.minimum(times, scan.pts[starts]) if trusted else times,
        marked_by_pts=trusted,
        first_shown=first_shown,
    )

"""Frames of a camera or a network stream, as they arrive: lost connections, clocks and damage are dealt with here."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from actiondet.video.containers import packets_of
from actiondet.video.playlists import OwnHost
from evaluation.errors import InputError

PROTOCOLS = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt")
_ADDRESS = re.compile(rf"(?:{'|'.join(PROTOCOLS)})://.+|camera:\d+|/dev/video\d+", re.IGNORECASE)
# What an address may lead on to (playlists, redirects): never a file of this machine.
_ALLOWED = "rtsp,rtsps,rtmp,rtp,srtp,http,https,httpproxy,udp,tcp,tls,crypto,srt"
# FFmpeg's names of what a stream may be; none of them leads to other addresses, as playlists and SDP files do.
_FORMATS = (
    "rtsp,mpegts,mov,mp4,matroska,webm,flv,live_flv,avi,mjpeg,mpjpeg,h264,hevc,mpegvideo,m4v,mpeg,ogg,asf,nut,ivf,obu,"
    "jpeg_pipe"
)
_OTHER_FORMAT = "its format is none of a stream, or leads to other files"
_MOST_PIXELS = 50_000_000  # a frame of 8K has 33 million
_LONGEST_STEP = 10.0  # seconds; a larger one between two frames is a clock that was set
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts
_MOST_LAG = 10.0  # seconds that decoding may fall behind the stream; HLS comes in bursts of some seconds
_SILENCE = 10.0  # seconds without data after which a connection counts as lost
_USUAL_STEP = 1 / 25


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame of a stream.

    Attributes:
        seconds: since the first frame, rising; goes on over lost connections.
        image: (H, W, 3) uint8 RGB.
        segment: frames of different segments are not neighbors: a connection was lost, or the clock was set.
    """

    seconds: float
    image: npt.NDArray[np.uint8]
    segment: int


def is_live(source: str) -> bool:
    """Whether a source is the address of a stream or a camera (rtsp://..., camera:0, /dev/video0), not a file."""
    return _ADDRESS.fullmatch(source) is not None


def address_name(address: str) -> str:
    """What a stream is called in results: its address without user, password and query."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or ''}{port}{parts.path}".rstrip("/")


class LiveStream:
    """Iterating yields the frames of a stream.

    A lost connection is taken up again, with growing pauses. The stream ends when no frame arrives for `reconnect`
    seconds, when `stop` is called, or at the end of a file that is read over the network.

    Attributes:
        name: the address without user and password.
        damaged: packets that could not be decoded.
        skipped: packets that were not decoded because decoding fell behind the stream.
        connections: how often it was connected.
        is_recorded: whether the address is a recording, which waits for its reader; None before the first frame.
    """

    def __init__(
        self,
        address: str,
        *,
        reconnect: float = 10.0,
        any_host: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember the address; iterating connects.

        Args:
            address: rtsp://, rtmp://, http(s)://, udp://, tcp://, srt://, camera:N or /dev/videoN.
            reconnect: seconds without a frame after which the stream ends; infinity for never.
            any_host: a playlist (HLS, DASH) may lead to other hosts than its own.
            clock: seconds, rising.

        Raises:
            InputError: not such an address, or a negative number of seconds.
        """
        if not is_live(address):
            expected = ", ".join(f"{protocol}://" for protocol in PROTOCOLS)
            raise InputError(f"{address}: not a stream; expected {expected}, camera:N or /dev/videoN")
        if not reconnect >= 0:
            raise InputError(f"reconnect={reconnect:g}: expected 0 or more seconds")
        self.name = address_name(address)
        self.damaged = self.skipped = self.connections = 0
        self.is_recorded: bool | None = None
        self._address, self._reconnect, self._any_host, self._clock = address, reconnect, any_host, clock
        self._own: OwnHost | None = None
        self._stopped = threading.Event()
        self._segment = 0

    def stop(self) -> None:
        """End the stream, from any thread."""
        self._stopped.set()

    def __iter__(self) -> Iterator[LiveFrame]:
        """The frames.

        Raises:
            InputError: nothing arrived at all, pictures that are too large, or a playlist that leads elsewhere.
        """
        seconds, latest, pause = 0.0, self._clock(), _FIRST_PAUSE
        seen = False
        reason = "nothing arrives"
        while not self._stopped.is_set():
            before = self._clock()
            try:
                for step, image in self._connection():
                    if not seen:
                        step = 0.0
                    elif step is None:  # the first frame of a new connection
                        step = max(before - latest, _USUAL_STEP)
                    seconds += step
                    seen, pause, latest = True, _FIRST_PAUSE, self._clock()
                    yield LiveFrame(seconds, image, self._segment)
                reason = "the stream ended"
                if self.is_recorded:
                    return
            except (av.error.FFmpegError, OSError) as fault:
                reason = str(fault.strerror or fault)
            self._segment += 1
            if self._clock() - latest >= self._reconnect:
                break
            self._stopped.wait(min(pause, max(0.0, latest + self._reconnect - self._clock())))
            pause = min(2 * pause, _LONGEST_PAUSE)
        if not seen and not self._stopped.is_set():
            raise InputError(f"{self.name}: cannot be read ({reason}); check the address and that the source is on")

    def _connection(self) -> Iterator[tuple[float | None, npt.NDArray[np.uint8]]]:
        """Seconds since the frame before, None for the first one, and the picture."""
        container, stream = self._open()
        try:
            rate = float(stream.average_rate or 0)
            usual = 1 / rate if 0 < rate < 1000 else _USUAL_STEP
            before: float | None = None
            for frame in self._frames(container, stream):
                shown = frame.time
                if before is None:
                    step = None
                elif shown is None or not 0 < shown - before <= _LONGEST_STEP:
                    step = usual
                    self._segment += shown is not None and abs(shown - before) > _LONGEST_STEP
                else:
                    step = shown - before
                before = shown if shown is not None else (before or 0.0) + usual
                yield step, np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        finally:
            container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        address, chosen = self._address, None
        if not address.partition("://")[1]:
            address, chosen = re.sub(r"^camera:", "/dev/video", address, flags=re.IGNORECASE), "v4l2"
        options = {} if chosen else {"protocol_whitelist": _ALLOWED}
        if address.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        container = self._container(address, chosen, options)
        if not container.streams.video:
            container.close()
            raise InputError(f"{self.name}: has no video stream; expected a camera or a stream with pictures")
        self.connections += 1
        # An RTSP server may announce how long it sends; it sends no slower and no faster for that.
        self.is_recorded = container.duration is not None and address.lower().startswith("http")
        return container, container.streams.video[0]

    def _container(self, address: str, chosen: str | None, options: dict[str, str]) -> InputContainer:
        """Connect.

        Raises:
            InputError: a playlist that leads elsewhere.
        """
        patience = min(_SILENCE, max(1.0, self._reconnect))
        if chosen is not None or self._any_host:
            return av.open(
                address, format=chosen, options=options, timeout=(patience, patience), metadata_errors="replace"
            )
        options["format_whitelist"] = _FORMATS
        try:
            return av.open(address, options=options, timeout=(patience, patience), metadata_errors="replace")
        except av.error.ArgumentError:  # FFmpeg's word for a format that is not in the list
            if not address.lower().startswith("http"):
                raise OSError(_OTHER_FORMAT) from None
        options |= {"format_whitelist": f"hls,{_FORMATS}", "http_persistent": "0", "http_multiple": "0"}
        self._own = OwnHost(address, name=self.name, patience=patience)
        try:
            return av.open(
                address, options=options, io_open=self._own, timeout=(patience, patience), metadata_errors="replace"
            )
        except av.error.FFmpegError as fault:
            self._check_host()
            if isinstance(fault, av.error.ArgumentError):
                raise OSError(_OTHER_FORMAT) from None
            raise

    def _check_host(self) -> None:
        if self._own is not None and self._own.refusal is not None:
            raise self._own.refusal

    def _frames(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        stream.thread_type = "SLICE"  # threads for whole frames would hold some of them back
        lag = _Lag(self._clock)
        behind = skipping = False
        for packet in packets_of(container, stream):
            if self._stopped.is_set():
                return
            self._check_host()
            if not self.is_recorded:
                behind = lag.at(packet) > _MOST_LAG or (behind and not packet.is_keyframe)
            if behind:
                self.skipped += 1
                skipping = True
                continue
            self._segment += skipping
            skipping = False
            self._check_size(stream.codec_context.width, stream.codec_context.height)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self.damaged += 1
                continue
            for frame in frames:
                self._check_size(frame.width, frame.height)
                yield frame

    def _check_size(self, width: int, height: int) -> None:
        if width * height > _MOST_PIXELS:
            raise InputError(
                f"{self.name}: pictures of {width}x{height} pixels; expected at most {_MOST_PIXELS:,} pixels"
            )


class _Lag:
    """How far decoding is behind a stream: the clock's distance from the stream's own, above the least so far."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._least: float | None = None
        self._before = 0.0

    def at(self, packet: Packet[VideoStream]) -> float:
        """Seconds, at this packet; a stream whose clock is set back begins again at 0."""
        if packet.dts is None or packet.time_base is None:
            return 0.0
        sent = float(packet.dts * packet.time_base)
        distance = self._clock() - sent
        if self._least is None or distance < self._least or sent < self._before - 1:
            self._least = distance
        self._before = sent
        return distance - self._least

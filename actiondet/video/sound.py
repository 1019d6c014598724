"""The sound of a video, carried over into a written one in step with its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from actiondet.video.containers import open_video_stream, packets_of
from actiondet.video.index import VideoIndex

# What an mp4 file can hold at most rates and browsers or common players play; anything else is re-encoded, as AAC.
_COPIED = {"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"}
_AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}


class SoundTrack:
    """Copies the sound of a video into a container that is being written, or re-encodes it if necessary.

    The target's time 0 is the source's first shown frame. Sound before it is left out, and what comes after the
    last picture is never asked for. Pieces that are damaged or go back in time are left out, too; where nothing more
    can be read, the sound ends and the pictures go on. Sound that FFmpeg cannot decode or encode is left out.

    Args:
        source: a video that has sound.
        target: nothing has been written to it yet.

    Attributes:
        fault: why the sound ends early or is left out, in one sentence; None if it is whole.

    Raises:
        InputError: the source cannot be opened.
    """

    def __init__(self, source: VideoIndex, target: OutputContainer) -> None:
        self._target = target
        self._start = source.packets.first_shown if source.packets else Fraction(0)
        self._path = source.path
        self._container, _ = open_video_stream(source.path)
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._waiting: Packet[AudioStream] | None = None
        self.fault: str | None = None
        best = self._container.streams.best("audio")
        if not isinstance(best, AudioStream) or best.codec_context is None:
            self.fault = f"the sound of {source.path} is coded in a way that this FFmpeg cannot decode; it is left out"
            return
        self._stream = best
        copies = best.codec_context.codec.canonical_name in _COPIED and _mp4_carries(best)
        self._packets = self._copied() if copies else self._recoded()

    def write_until(self, seconds: Fraction) -> None:
        """Write all sound that begins before this moment of the target."""
        while self.fault is None:
            try:
                packet = self._waiting or next(self._packets, None)
                self._waiting = packet
                if packet is None or (packet.pts or 0) * packet.time_base >= seconds:
                    return
                self._waiting = None
                self._target.mux(packet)
            except (av.error.FFmpegError, ValueError) as fault:
                if isinstance(fault, OSError):  # a full disk
                    raise
                self.fault = f"the sound of {self._path} is damaged and ends after {float(seconds):.1f} s"

    def close(self) -> None:
        """Close the source."""
        self._container.close()

    def _copied(self) -> Iterator[Packet[AudioStream]]:
        stream = self._target.add_stream_from_template(self._stream)
        return self._shifted(stream)

    def _shifted(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        last = None
        for packet in packets_of(self._container, self._stream):
            if packet.pts is None or packet.dts is None or (last is not None and packet.dts <= last):
                continue
            last = packet.dts
            shift = round(self._start / packet.time_base)
            if packet.pts + (packet.duration or 0) < shift:
                continue  # over before the first picture
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = stream
            yield packet

    def _recoded(self) -> Iterator[Packet[AudioStream]]:
        context = self._stream.codec_context
        rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48000
        stream = self._target.add_stream("aac", rate=rate)
        stream.layout = "mono" if context.channels == 1 else "stereo"
        return self._encoded(stream)

    def _encoded(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        end = Fraction(0)
        for frame in self._decoded():
            if frame.pts is None or frame.time_base is None:
                continue
            begin = frame.pts * frame.time_base - self._start
            if begin < end:
                continue
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(begin * frame.sample_rate)
            end = begin + Fraction(frame.samples, frame.sample_rate) / 2  # times may be rounded
            yield from stream.encode(frame)
        yield from stream.encode(None)

    def _decoded(self) -> Iterator[AudioFrame]:
        for packet in packets_of(self._container, self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # what follows may be whole
            yield from frames


def _mp4_carries(stream: AudioStream) -> bool:
    """Whether the header of an mp4 file with a copy of this sound can be written: MP3 below 16 kHz fails, say.

    Asked ahead, because the header of the film itself is written with its first picture, which must not be lost.
    """
    try:
        with av.open(BytesIO(), "w", format="mp4") as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True

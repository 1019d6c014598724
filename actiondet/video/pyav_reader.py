"""Frame-exact reading with PyAV: of any file, the frames that sequential decoding shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av.error
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actiondet.video.containers import decode_packet, open_video_stream, video_packets
from actiondet.video.index import IntArray, VideoIndex
from actiondet.video.lazy import LazyReader
from actiondet.video.pixels import Image, RgbConverter
from evaluation.errors import InputError

# Decoders that can leave out exactly the frames that no other frame needs. (libdav1d leaves out others;
# MPEG-4 in AVI may pack two frames into a packet.)
_SKIPPING_CODECS = {"h264", "hevc"}


class PyavReader(LazyReader["_Decoder"]):
    """Reads chosen frames of a video file, with one thread; goes forward as long as that is the shorter way."""

    def _open(self) -> _Decoder:
        return _Decoder(self.index)

    def _close(self, handle: _Decoder) -> None:
        handle.close()

    def _read_rising(self, handle: _Decoder, numbers: IntArray) -> Image:
        images = np.empty((len(numbers), self.index.height, self.index.width, 3), dtype=np.uint8)
        for image, number in zip(images, numbers.tolist(), strict=True):
            image[:] = handle.image(number)
        return images


class _Decoder:
    """An open file and the place in it that decoding has reached."""

    def __init__(self, index: VideoIndex) -> None:
        if index.packets is None:
            raise ValueError(f"{index.path} is not a video file")
        self._index = index
        self._table = index.packets
        self._converter = RgbConverter(index)
        self._open()

    def _open(self) -> None:
        self._container, self._stream = open_video_stream(self._index.path)
        self._may_skip = self._stream.codec_context.codec.canonical_name in _SKIPPING_CODECS
        self._begin(video_packets(self._container, self._stream), next_packet=0)

    def _begin(self, packets: Iterator[Packet[VideoStream]], next_packet: int) -> None:
        self._incoming = packets
        self._next_packet = next_packet  # number of the packet that comes next
        self._ready: deque[VideoFrame] = deque()  # decoded and not looked at yet
        self._last_shown = -1  # number of the last frame looked at
        self._ended = False

    def close(self) -> None:
        self._container.close()

    def image(self, number: int) -> Image:
        """Frame `number`, going forward where that is the shorter way."""
        place = int(np.searchsorted(self._table.start_frames, number, side="right")) - 1
        frame = None
        if self._last_shown < number and self._table.start_packets[place] <= self._next_packet:
            frame = self._forward_to(number)
        # A decoder may drop the first frames after a jump (streams that refresh the picture bit by bit); the
        # keyframe before leaves it room to recover.
        for earlier in (place, max(place - 1, 0)):
            if frame is None:
                self._jump_to_start(earlier)
                frame = self._forward_to(number)
        if frame is None:
            raise InputError(f"{self._index.path}: frame {number} cannot be decoded, the file is damaged there")
        return self._converter.convert(frame)

    def _forward_to(self, number: int) -> VideoFrame | None:
        """Decode until frame `number` comes out; None if the decoder passes it by."""
        while True:
            while self._ready:
                frame = self._ready.popleft()
                shown = int(self._table.frame_of_packet[frame.pts])
                self._last_shown = max(shown, self._last_shown)
                if shown == number:
                    return frame
                if shown > number:
                    return None
            if self._ended:
                return None
            packet = next(self._incoming, None)
            self._ended = packet is None
            # Numbers are asked in rising order: what is shown before this one and helps no other frame is not needed.
            if self._may_skip and packet is not None:
                needless = self._table.frame_of_packet[self._next_packet] < number
                self._stream.codec_context.skip_frame = "NONREF" if needless else "DEFAULT"
            self._ready.extend(decode_packet(self._stream, packet, self._next_packet))
            self._next_packet += 1

    def _jump_to_start(self, place: int) -> None:
        """Make the `place`-th start packet the next one to be decoded."""
        wanted = self._table.start_packets[place]
        for target in (place, max(place - 1, 0)):
            packets = self._seek(int(self._table.start_times[target]), int(self._table.start_keys[place]))
            if packets is not None:
                self._begin(packets, wanted)
                return
        # The container cannot be searched: go through it from the beginning, without decoding.
        self.close()
        self._open()
        while self._next_packet < wanted and next(self._incoming, None) is not None:
            self._next_packet += 1

    def _seek(self, time: int, key: int) -> Iterator[Packet[VideoStream]] | None:
        """The packets from the one marked `key` on, after a jump to `time`; None if the jump goes too far."""
        try:
            self._container.seek(time, stream=self._stream)
        except av.error.FFmpegError:
            return None
        packets = video_packets(self._container, self._stream)
        for packet in packets:
            mark = packet.pts if self._table.marked_by_pts else packet.dts
            if mark == key:
                return _with_first(packet, packets)
            if mark is not None and mark > key:
                return None
        return None


def _with_first(first: Packet[VideoStream], others: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from others

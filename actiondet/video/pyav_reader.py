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
# So many packets after that of a frame a decoder may need before it lets go of the frame.
_DELAY = 2


class PyavReader(LazyReader["_Decoder"]):
    """Reads chosen frames of a video file, with one thread; goes forward as long as that is the shorter way."""

    def _open(self) -> _Decoder:
        return _Decoder(self.index)

    def _close(self, handle: _Decoder) -> None:
        handle.close()

    def _read_rising(self, numbers: IntArray) -> Image:
        handle = self._open_here()
        images = np.empty((len(numbers), self.index.height, self.index.width, 3), dtype=np.uint8)
        wanted = numbers.tolist()
        for image, number, following in zip(images, wanted, [*wanted[1:], None], strict=True):
            image[:] = handle.image(number, following)
        return images


class _Decoder:
    """An open file and the place in it that decoding has reached."""

    def __init__(self, index: VideoIndex) -> None:
        if index.packets is None:
            raise ValueError(f"{index.path} is not a video file")
        self._index = index
        self._table = index.packets
        self._converter = RgbConverter(index)
        # Most containers find a keyframe by the time at which it is shown; by the other, they jump to the one before.
        self._found_as_shown = index.packets.marked_by_pts
        self._probed = not index.packets.marked_by_pts
        self._open()

    def _open(self) -> None:
        self._container, self._stream = open_video_stream(self._index.path, probe=self._probed)
        self._may_skip = self._stream.codec_context.codec.canonical_name in _SKIPPING_CODECS
        self._skips = False
        self._begin(video_packets(self._container, self._stream), next_packet=0)

    def _begin(self, packets: Iterator[Packet[VideoStream]], next_packet: int) -> None:
        self._incoming = packets
        self._next_packet = next_packet  # number of the packet that comes next
        self._ready: deque[VideoFrame] = deque()  # decoded and not looked at yet
        self._last_shown = -1  # number of the last frame looked at
        self._ended = False

    def close(self) -> None:
        self._container.close()

    def image(self, number: int, following: int | None = None) -> Image:
        """Frame `number`, going forward where that is the shorter way; `following` is the next to be asked for."""
        frame = self._find(number, following)
        if frame is None and not self._probed:
            self._probed = True
            self.close()
            self._open()
            frame = self._find(number, following)
        if frame is None:
            raise InputError(f"{self._index.path}: frame {number} cannot be decoded, the file is damaged there")
        return self._converter.convert(frame)

    def _find(self, number: int, following: int | None) -> VideoFrame | None:
        place = self._place(number)
        resumes = 0 if following is None else int(self._table.start_packets[self._place(following)])
        frame = None
        if self._last_shown < number and self._table.start_packets[place] <= self._next_packet:
            frame = self._forward_to(number, resumes)
        # A decoder may drop the first frames after a jump (streams that refresh the picture bit by bit); the
        # keyframe before leaves it room to recover.
        for earlier in (place, max(place - 1, 0)):
            if frame is None:
                self._jump_to_start(earlier)
                frame = self._forward_to(number, resumes)
        return frame

    def _place(self, number: int) -> int:
        """The last start from which frame `number` can be reached."""
        return int(np.searchsorted(self._table.start_frames, number, side="right")) - 1

    def _forward_to(self, number: int, resumes: int) -> VideoFrame | None:
        """Decode until frame `number` comes out; None if the decoder passes it by.

        Packet `resumes` starts what is decoded after it. Where that takes a jump, the decoder is emptied, which spares
        the packets that would make it let go of the frame.
        """
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
            # A file that is still recorded may hold more by now than when it was indexed.
            known = self._next_packet < len(self._table.frame_of_packet)
            packet = next(self._incoming, None) if known else None
            self._ended = packet is None
            shows = -1 if packet is None else self._table.frame_of_packet[self._next_packet]
            # Numbers are asked in rising order: what is shown before this one and helps no other frame is not needed.
            self._skip(packet is not None and shows < number)
            self._ready.extend(decode_packet(self._stream, packet, self._next_packet))
            if shows == number and self._may_skip and resumes > self._next_packet + _DELAY:
                self._ready.extend(decode_packet(self._stream, None))
                self._ended = True
            self._next_packet += 1

    def _skip(self, needless: bool) -> None:
        """Let the decoder leave out the next packet if it is needless and helps no other frame."""
        if self._may_skip and needless != self._skips:
            self._stream.codec_context.skip_frame = "NONREF" if needless else "DEFAULT"
            self._skips = needless

    def _jump_to_start(self, place: int) -> None:
        """Make the `place`-th start packet the next one to be decoded."""
        wanted = self._table.start_packets[place]
        key = int(self._table.start_keys[place])
        times = self._table.start_times[[place, max(place - 1, 0)]].tolist()
        if not self._table.marked_by_pts and len(self._table.start_packets) == 1:
            times = []  # the first packet may have no mark, or that of another
        for time in [key, *times] if self._found_as_shown else times:
            packets = self._seek(time, key)
            if packets is not None:
                self._begin(packets, wanted)
                return
            self._found_as_shown = False
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

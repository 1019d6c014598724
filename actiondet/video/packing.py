"""An index in a few hundred bytes."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

import numpy as np

from actiondet.video.index import PacketTable, VideoIndex

_NUMBERS = struct.Struct("<20q")


def pack_index(index: VideoIndex) -> bytes:
    """The index of a video file, all but its path, in some 300 bytes for 10 seconds.

    Raises:
        ValueError: a folder of frames has no packets to pack.
    """
    packets = index.packets
    if packets is None:
        raise ValueError(f"{index.path} is not a video file")
    reason = (index.decord_unsafe or "").encode()
    arrays = [index.frame_times, packets.frame_of_packet, packets.start_packets]
    arrays += [packets.start_frames, packets.start_keys, packets.start_times]
    numbers = _NUMBERS.pack(
        index.width,
        index.height,
        *index.rate.as_integer_ratio(),
        index.rotation,
        index.mirrored,
        index.has_audio,
        index.decord_unsafe is not None,
        packets.marked_by_pts,
        *packets.first_shown.as_integer_ratio(),
        *index.pixel_aspect.as_integer_ratio(),
        len(reason),
        *map(len, arrays),
    )
    # Differences of rising numbers are small and alike; their bytes of one rank, side by side, are nearly all zero.
    steps = np.concatenate([np.diff(array, prepend=0) for array in arrays]).astype("<i8")
    ranks = steps.view(np.uint8).reshape(-1, 8).T
    return zlib.compress(numbers + reason + ranks.tobytes())


def unpack_index(packed: bytes | memoryview, path: str) -> VideoIndex:
    """What `pack_index` packed, for the file `path`."""
    content = zlib.decompress(packed)
    numbers = _NUMBERS.unpack_from(content)
    lengths = numbers[14:]
    begin = _NUMBERS.size + numbers[13]
    ranks = np.frombuffer(content, np.uint8, offset=begin).reshape(8, -1)
    steps = np.ascontiguousarray(ranks.T).view("<i8").reshape(-1)
    parts = np.split(steps, np.cumsum(lengths)[:-1])
    frame_times, frame_of_packet, packets, frames, keys, times = (np.cumsum(part, dtype=np.int64) for part in parts)
    return VideoIndex(
        path=path,
        width=numbers[0],
        height=numbers[1],
        rate=Fraction(*numbers[2:4]),
        rotation=numbers[4],
        mirrored=bool(numbers[5]),
        has_audio=bool(numbers[6]),
        decord_unsafe=content[_NUMBERS.size : begin].decode() if numbers[7] else None,
        pixel_aspect=Fraction(*numbers[11:13]),
        frame_times=frame_times,
        packets=PacketTable(
            frame_of_packet=frame_of_packet,
            start_packets=packets,
            start_frames=frames,
            start_keys=keys,
            start_times=times,
            marked_by_pts=bool(numbers[8]),
            first_shown=Fraction(*numbers[9:11]),
        ),
    )

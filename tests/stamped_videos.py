"""Small videos whose every frame shows its own number, as blocks that survive compression.

The number stands in the upper rows of blocks and, inverted, in the lower ones, so that a picture mixed from two
frames is noticed. A gray ramp moves through the gaps, so that encoders find motion to predict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
BITS = 12
BLOCK = 16
WIDTH, HEIGHT = 6 * BLOCK, 4 * BLOCK
KEYS = 24


def stamped_frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """(height, width, 3) uint8 RGB picture that shows `number`."""
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[...] = ((np.arange(width) * 2 + number * 5) % 200 + 28)[None, :, None]
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    for place, bit in enumerate([*bits, *(1 - bit for bit in bits)]):
        row, column = divmod(place, 6)
        y, x = row * BLOCK, column * BLOCK
        image[y : y + BLOCK - 2, x : x + BLOCK - 2] = 235 if bit else 20
    return image


def read_stamp(image: Image) -> int:
    """The number that a frame shows; -1 if it is not readable (a damaged or mixed picture)."""
    values = []
    for place in range(2 * BITS):
        row, column = divmod(place, 6)
        y, x = row * BLOCK, column * BLOCK
        values.append(image[y + 4 : y + BLOCK - 6, x + 4 : x + BLOCK - 6].mean())
    bits = np.array(values)
    ones, inverted = bits[:BITS] > 128, bits[BITS:] > 128
    if (ones == inverted).any() or (np.abs(bits - 128) < 50).any():
        return -1
    return int((ones * (1 << np.arange(BITS))).sum())


def write_stamped(
    path: Path,
    frames: int = 120,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: Fraction = Fraction(25),
    times_ms: Sequence[int] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixel_format: str = "yuv420p",
    container_options: dict[str, str] | None = None,
    picture: Callable[[int, int, int], Image] = stamped_frame,
) -> Path:
    """Encode frames 0, 1, 2, ... each of which shows its number *as shown*.

    Args:
        path: where to; the suffix chooses the container.
        frames: how many.
        codec: FFmpeg's name of the encoder.
        options: of the encoder.
        rate: frames a second.
        times_ms: when each frame is shown, milliseconds; None for a constant rate.
        rotation: degrees clockwise by which a player has to turn the coded picture.
        mirrored: a player has to mirror it left to right after the turn.
        size: (width, height) as shown.
        pixel_format: of the coded picture.
        container_options: of the muxer.
        picture: what to draw for (number, width, height).
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1", **(options or {})})
        turned = rotation in (90, 270)
        stream.width, stream.height = size[::-1] if turned else size
        stream.pix_fmt = pixel_format
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation or mirrored:
            stream.set_display_rotation(-rotation, hflip=mirrored)  # PyAV counts counter-clockwise
        for number in range(frames):
            image = picture(number, *size)
            image = image[:, ::-1] if mirrored else image
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image, rotation // 90)), format="rgb24")
            frame.pts = number if times_ms is None else times_ms[number]
            frame.time_base = 1 / rate if times_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_without_encoding(source: Path, path: Path, first_shown: int) -> Path:
    """Cut the start off a video as `ffmpeg -ss X -c copy` does: whole groups are kept, an edit list hides the rest."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.dts is not None]
        cut = sorted(packet.pts for packet in packets)[first_shown]
        start = max(place for place, packet in enumerate(packets) if packet.is_keyframe and packet.pts <= cut)
        for packet in packets[start:]:
            packet.pts, packet.dts = packet.pts - cut, packet.dts - cut
            packet.stream = copied
            new.mux(packet)
    return path

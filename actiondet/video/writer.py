"""Writing mp4 files that browsers play."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from actiondet.video.index import VideoIndex, index_video
from actiondet.video.pixels import Image
from actiondet.video.planes import BT709, Colors, Undrawn, redrawn_planes
from actiondet.video.sound import SoundTrack
from evaluation.errors import InputError
from evaluation.files import atomic_path

# A time nearer than this to its place at a constant rate takes that place: containers round times to a millisecond.
_SNAP = Fraction(1, 1000)
# Half of veryfast's work for files a fifth larger: superfast without B-frames, but with the macroblock tree, without
# which files are twice as large.
_FOR_PLAYERS = {"preset": "superfast", "x264-params": "bframes=0:mbtree=1:rc-lookahead=10"}


class ConvertedPicture(NamedTuple):
    """A picture as the encoder takes it, and when it is shown, in seconds after the first one."""

    picture: VideoFrame
    seconds: Fraction


class VideoWriter:
    """Writes an H.264 mp4 (yuv420p, table of contents first), with the sound of another video if wished.

    A context manager: the file takes its name when the block ends well, and an older file of that name stays
    whole otherwise. Pictures of odd width or height are enlarged by repeating the last column or row, because
    yuv420p needs even sizes.

    Args:
        path: where to; ends in .mp4.
        rate: frames a second.
        width: of the pictures, in pixels.
        height: likewise.
        sound_of: video file, or the index of one, whose sound to take over; what has no sound gives none. Its
            first shown frame is taken to be the first one written.
        crf: quality of libx264: 18 looks like the source, 28 is small.
        reproducible: the same pictures give the same file whatever the machine: one encoding thread, and without
            the macroblock tree, for which libx264's fast code reads memory that it never wrote. Files are larger.
        pixel_aspect: width of a pixel over its height, as players are to show it.
        gop: frames from one keyframe to the next, at most, in a file from which clips are read at random: with one
            B-frame and without what takes decoders long (arithmetic coding, the loop filter). None: a file for
            players, with a keyframe every two seconds.

    Raises:
        InputError: the name does not end in .mp4, or `sound_of` cannot be read.

    Example:
        >>> with actiondet.VideoWriter("copy.mp4", rate=10, width=160, height=120, sound_of="street.mp4") as writer:
        ...     for time, frame in actiondet.stream_frames("street.mp4"):
        ...         writer.write(frame, time)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction | float,
        width: int,
        height: int,
        sound_of: str | os.PathLike[str] | VideoIndex | None = None,
        *,
        crf: int = 20,
        reproducible: bool = False,
        pixel_aspect: Fraction = Fraction(1),
        gop: int | None = None,
    ) -> None:
        if Path(path).suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as mp4, expected a name that ends in .mp4")
        self._path = os.fspath(path)
        self._rate = Fraction(rate).limit_denominator(100_000)
        if self._rate <= 0 or width <= 0 or height <= 0:
            raise ValueError(f"cannot write {width}x{height} at {rate} frames a second")
        self._shape = (height, width, 3)
        self._reformatter = VideoReformatter()
        self._converted = self._written = 0
        self._last_tick = -1
        self._finished = False
        # A multiple of the rate, so that constant-rate files are exact, and fine enough for any other timing.
        self._ticks_a_second = self._rate.numerator * -(-90_000 // self._rate.numerator)
        with ExitStack() as opening:
            temporary = opening.enter_context(atomic_path(path))
            container = av.open(os.path.abspath(temporary), "w", format="mp4", options={"movflags": "+faststart"})
            self._container = opening.enter_context(container)
            self._stream = self._add_video_stream(crf, reproducible, pixel_aspect, gop)
            self._mark(BT709)
            self._sound = self._add_sound(sound_of)
            if self._sound is not None:
                opening.callback(self._sound.close)
            self._open = opening.pop_all()

    def write(self, frame: Image, time_us: int | None = None, *, undrawn: Undrawn | None = None) -> None:
        """Append a picture.

        Args:
            frame: (H, W, 3) uint8 RGB.
            time_us: when it is shown, microseconds after the first one; None puts it one frame after the one before
                at the constant rate. A time within a millisecond of the constant rate is put on it.
            undrawn: what the picture was drawn on; where it is still as it was, the decoder's values are written. Those
                of the first picture decide the colors of the file; without them it is BT.709.
        """
        self.write_converted(self.convert(frame, time_us, undrawn=undrawn))

    def convert(self, frame: Image, time_us: int | None = None, *, undrawn: Undrawn | None = None) -> ConvertedPicture:
        """Make the next picture for `write_converted`, which may write those before at the same time; see `write`."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"frame is {frame.dtype} {frame.shape}, expected uint8 {self._shape}")
        if undrawn is not None and self._converted == 0:
            self._mark(undrawn.planes.colors)
        constant = self._converted / self._rate
        seconds = constant if time_us is None else Fraction(time_us, 1_000_000)
        if abs(seconds - constant) <= _SNAP:
            seconds = constant
        self._last_tick = max(round(seconds * self._ticks_a_second), self._last_tick + 1)
        self._converted += 1
        return ConvertedPicture(self._picture(frame, undrawn), seconds)

    def write_converted(self, converted: ConvertedPicture) -> None:
        """Append a picture of `convert`, in the order in which they were made."""
        self._written += 1
        if self._sound is not None:
            self._sound.write_until(converted.seconds)
        self._encode(converted.picture)

    @property
    def sound_fault(self) -> str | None:
        """Why the sound ends before the pictures, in one sentence; None where nothing is wrong with it."""
        return self._sound.fault if self._sound is not None else None

    def close(self) -> None:
        """Finish the file and give it its name; only once.

        Raises:
            ValueError: no frame was written.
        """
        with self._open:
            if self._written == 0:
                raise ValueError("no frame was written")
            self._encode(None)
            if self._sound is not None:
                self._sound.write_until(Fraction(self._last_tick, self._ticks_a_second) + 1 / self._rate)
        self._finished = True

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is not None:
            self._open.__exit__(kind, fault, trace)  # the unfinished file goes
        elif not self._finished:
            self.close()

    def _encode(self, picture: VideoFrame | None) -> None:
        """Write what the encoder makes of a picture; None ends it."""
        try:
            packets = self._stream.encode(picture)
        except av.error.FFmpegError as fault:
            if isinstance(fault, (OSError, MemoryError)):
                raise
            raise InputError(
                f"{self._path}: not written, the encoder failed at frame {self._written} ({fault.strerror}); expected "
                "libx264 to encode it: run the command again"
            ) from fault
        self._container.mux(packets)

    def _add_video_stream(self, crf: int, reproducible: bool, pixel_aspect: Fraction, gop: int | None) -> VideoStream:
        # A keyframe every two seconds, so that players can jump.
        options = {"crf": str(crf), "g": str(gop or max(1, round(2 * self._rate)))}
        if gop is None and not reproducible:
            options |= _FOR_PLAYERS
        else:
            options["preset"] = "veryfast"
        if gop is not None:
            options |= {"tune": "fastdecode", "bf": "1"}
        if reproducible:
            options["x264-params"] = "mbtree=0"
        stream: VideoStream = self._container.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = self._shape[1] + self._shape[1] % 2, self._shape[0] + self._shape[0] % 2
        stream.pix_fmt = "yuv420p"
        if pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        context = stream.codec_context
        if reproducible:
            context.thread_count = 1
        context.time_base = Fraction(1, self._ticks_a_second)
        context.color_range = ColorRange.MPEG
        return stream

    def _mark(self, colors: Colors) -> None:
        """Say in the file how its colors are to be read; before anything is written."""
        context = self._stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = (
            colors.matrix,
            colors.primaries,
            colors.transfer,
        )
        self._colors = colors

    def _add_sound(self, source: str | os.PathLike[str] | VideoIndex | None) -> SoundTrack | None:
        if source is None:
            return None
        index = source if isinstance(source, VideoIndex) else index_video(source)
        return SoundTrack(index, self._container) if index.has_audio else None

    def _picture(self, image: Image, undrawn: Undrawn | None) -> VideoFrame:
        if undrawn is not None and undrawn.planes.colors == self._colors:
            picture = VideoFrame.from_numpy_buffer(redrawn_planes(undrawn, image), format="yuv420p")
        else:
            picture = self._in_yuv(image)
        picture.pts = self._last_tick
        picture.time_base = Fraction(1, self._ticks_a_second)
        picture.duration = round(self._ticks_a_second / self._rate)
        return picture

    def _in_yuv(self, image: Image) -> VideoFrame:
        height, width, _ = self._shape
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
        matrix = Colorspace.ITU709 if self._colors == BT709 else Colorspace.ITU601
        return self._reformatter.reformat(
            picture, format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG
        )

"""What nobody drew on passes in the decoder's own values, with the colors of the source."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter

from actiondet.video import VideoWriter, index_video
from actiondet.video.pixels import Image
from actiondet.video.planes import Planes, Undrawn, redrawn_planes
from actiondet.video.streaming import ShownFrame, stream_with_planes

BT709, BT601, UNSPECIFIED = (1, 1, 1), (6, 6, 6), (2, 2, 2)
SIZES = [(96, 64), (100, 50), (98, 66)]


def write_film(
    path: Path, colors: tuple[int, int, int], *, size: tuple[int, int] = (96, 64), pix: str = "yuv420p"
) -> Path:
    """Three frames of colored squares."""
    width, height = size
    squares = np.random.default_rng(5).integers(0, 256, (-(-height // 16), -(-width // 16), 3), dtype=np.uint8)
    image = np.kron(squares, np.ones((16, 16, 1), dtype=np.uint8))[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, pix
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = colors
        context.color_range = ColorRange.JPEG if pix == "yuvj420p" else ColorRange.MPEG
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.roll(image, number, axis=1), format="rgb24").reformat(format=pix)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[ShownFrame]:
    return list(stream_with_planes(index_video(path)))


def kept(frame: ShownFrame) -> Planes:
    assert frame.planes is not None
    return frame.planes


def drawn_on(image: Image) -> Image:
    """A copy with a filled box at an odd place, and a single pixel."""
    picture = image.copy()
    picture[11:32, 21:50] = (200, 30, 60)
    picture[40, 71] = (0, 255, 0)
    return picture


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("colors", [BT709, BT601, UNSPECIFIED], ids=["BT.709", "BT.601", "unspecified"])
def test_only_what_is_drawn_differs_from_what_was_decoded(
    tmp_path: Path, colors: tuple[int, int, int], size: tuple[int, int]
) -> None:
    frame = frames_of(write_film(tmp_path / "a.mp4", colors, size=size))[1]
    width, height = size
    picture = drawn_on(frame.image)
    decoded, values = kept(frame).frame.to_ndarray(), redrawn_planes(Undrawn(frame.image, kept(frame)), picture)
    far = np.ones((height, width), dtype=bool)  # more than a few pixels from what was drawn
    far[8:36, 12:60] = far[38:44, 60:84] = False
    assert np.array_equal(values[:height][far], decoded[:height][far])
    assert not np.array_equal(values, decoded)
    # FFmpeg itself converts the picture to about the same, from the matrix that it took for decoding.
    again = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(picture, format="rgb24"),
        format="yuv420p",
        dst_colorspace=1 if colors == BT709 else 5,
        dst_color_range=ColorRange.MPEG,
    )
    expected = again.to_ndarray().astype(int)
    assert np.abs(values[14:30, 24:48] - expected[14:30, 24:48]).max() <= 2
    chroma, by_ffmpeg = (each[height:].reshape(2, height // 2, width // 2) for each in (values, expected))
    assert np.abs(chroma[:, 8:14, 13:23] - by_ffmpeg[:, 8:14, 13:23]).max() <= 2


def test_a_picture_that_nobody_drew_on_is_what_was_decoded(tmp_path: Path) -> None:
    frame = frames_of(write_film(tmp_path / "a.mp4", BT601))[0]
    decoded = kept(frame).frame.to_ndarray()
    for same in (frame.image, frame.image.copy()):
        assert np.array_equal(redrawn_planes(Undrawn(frame.image, kept(frame)), same), decoded)


def test_the_decoder_keeps_its_own_frame(tmp_path: Path) -> None:
    frame = frames_of(write_film(tmp_path / "a.mp4", BT709))[0]
    before = kept(frame).frame.to_ndarray()
    redrawn_planes(Undrawn(frame.image, kept(frame)), drawn_on(frame.image))
    assert np.array_equal(kept(frame).frame.to_ndarray(), before)


def tags_of(path: Path) -> tuple[int, ...]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.color_range != ColorRange.JPEG
        return context.colorspace, context.color_primaries, context.color_trc


@pytest.mark.parametrize("colors", [BT709, BT601, UNSPECIFIED], ids=["BT.709", "BT.601", "unspecified"])
def test_the_written_video_has_the_colors_of_its_source(tmp_path: Path, colors: tuple[int, int, int]) -> None:
    source = write_film(tmp_path / "a.mp4", colors)
    frames = frames_of(source)
    with VideoWriter(tmp_path / "drawn.mp4", 10, 96, 64, crf=5) as writer:
        for frame in frames:
            writer.write(drawn_on(frame.image), frame.time, undrawn=Undrawn(frame.image, kept(frame)))
        writer.write(frames[0].image)  # a picture without planes is brought to the same colors
    assert tags_of(tmp_path / "drawn.mp4") == colors
    seen = [each.image.astype(int) for each in frames_of(tmp_path / "drawn.mp4")]
    for shown, frame in zip(seen, frames, strict=False):
        assert np.abs(shown - drawn_on(frame.image)).mean() < 4
        assert np.abs(shown[15:28, 26:46] - (200, 30, 60)).max() <= 6
    assert np.abs(seen[3] - frames[0].image).mean() < 4


@pytest.mark.parametrize("pix", ["yuvj420p", "yuv422p", "yuv420p10le"])
def test_other_formats_are_converted(tmp_path: Path, pix: str) -> None:
    assert [frame.planes for frame in frames_of(write_film(tmp_path / "a.mp4", BT709, pix=pix))] == [None] * 3


def test_other_matrices_are_converted(tmp_path: Path) -> None:
    assert [frame.planes for frame in frames_of(write_film(tmp_path / "a.mp4", (9, 9, 1)))] == [None] * 3

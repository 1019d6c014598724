"""Films whose pixels are not square keep their shape when they are drawn, cut or written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actiondet.drawing import DrawingStyle, draw_video
from actiondet.video import VideoWriter, index_video, open_video
from actiondet.video.sampling import IntArray
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey


def aspect_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        return Fraction(container.streams.video[0].sample_aspect_ratio or 1)


@pytest.mark.parametrize("aspect", [Fraction(32, 27), Fraction(1), Fraction(8, 9)])
def test_the_shape_of_pixels_is_read_and_written(tmp_path: Path, aspect: Fraction) -> None:
    with VideoWriter(tmp_path / "film.mp4", Fraction(10), 180, 120, pixel_aspect=aspect) as writer:
        for number in range(5):
            writer.write(np.full((120, 180, 3), 40 * number, dtype=np.uint8))
    assert aspect_of(tmp_path / "film.mp4") == aspect
    assert index_video(tmp_path / "film.mp4").pixel_aspect == aspect


@dataclass
class Nobody:
    """A video without persons."""

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        found = ActionDetections(FrameKey("film", time), boxes, scores, np.zeros((0, 1), np.float32))
        return found, np.zeros(0, np.int64)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg2video"), ("a.ts", "mpeg2video"), ("a.avi", "mpeg4")],
)
def test_a_drawn_film_is_shown_in_the_shape_of_its_source(tmp_path: Path, name: str, codec: str) -> None:
    """A disk of the screen stays a disk, whatever the container keeps the shape in."""
    aspect = Fraction(32, 27)
    rows, columns = np.mgrid[:120, :180]
    disk = ((columns - 90) * float(aspect)) ** 2 + (rows - 60) ** 2 < 40**2
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 180, 120, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        picture = np.where(disk[..., None], 230, 20).astype(np.uint8).repeat(3, axis=2)
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    actions = ActionList(ids=(1,), names=("walk",), types=(None,))
    drawn = tmp_path / "drawn.mp4"
    draw_video(index_video(tmp_path / name), drawn, Nobody(), actions=actions, style=DrawingStyle())
    assert aspect_of(drawn) == aspect
    with open_video(drawn) as reader:
        seen = reader.read([3])[0].mean(axis=2) > 128
    tall, wide = np.count_nonzero(seen.any(axis=1)), np.count_nonzero(seen.any(axis=0))
    assert wide * float(aspect_of(drawn)) == pytest.approx(tall, abs=3)

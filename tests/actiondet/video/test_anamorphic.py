"""Films whose pixels are not square keep their shape when they are drawn, cut or written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actiondet.video import VideoWriter, index_video


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

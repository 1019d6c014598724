"""Files as browsers and pipes write them: without a duration."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actiondet.video import index_video, open_video


def write_live(path: Path, codec: str, container_format: str) -> int:
    """30 frames, each of its own brightness; returns their number."""
    with av.open(str(path), "w", format=container_format, options={"live": "1"}) as container:
        stream = container.add_stream(codec, rate=30, options={} if "vp" in codec else {"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(30):
            image = np.full((64, 96, 3), 8 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return 30


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libvpx-vp9", "webm"), ("libvpx", "webm"), ("libx264", "matroska"), ("mpeg4", "matroska")]
)
def test_a_file_without_duration_is_read_by_itself(tmp_path: Path, codec: str, suffix: str) -> None:
    path = tmp_path / f"live.{'mkv' if suffix == 'matroska' else suffix}"
    count = write_live(path, codec, suffix)
    index = index_video(path)
    assert len(index) == count
    assert "no duration" in str(index.decord_unsafe)
    with open_video(path) as reader:
        levels = reader.read([0, 10, 29]).mean(axis=(1, 2, 3))
    assert levels == pytest.approx([0, 80, 232], abs=12)

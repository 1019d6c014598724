"""Clips from elsewhere: what `auto` reads is what sequential decoding shows."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from actiondet.video import index_video, open_video

PLACES, CLIP = 40, 20


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "frames", "safe"),
    [
        ("demo.mp4", 280, True),
        ("demo_skeleton.mp4", 72, True),
        ("mm_test.mp4", 300, True),
        ("one-by-one-person-detection.mp4", 1394, True),
        ("vtest_ocv.avi", 795, False),
    ],
)
def test_auto_equals_sequential_decoding_at_40_places(shared: Path, name: str, frames: int, safe: bool) -> None:
    path = shared / "videos" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    index = index_video(path)
    assert len(index) == frames
    assert (index.decord_unsafe is None) == safe
    places = np.random.default_rng(4).choice(frames, PLACES, replace=False)
    expected: dict[int, npt.NDArray[np.uint8]] = {}
    wanted = set(places.tolist())
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                expected[number] = frame.to_ndarray(format="rgb24")
    assert number == frames - 1
    with open_video(path, "auto", index) as reader:
        for start in range(0, PLACES, CLIP):
            asked = places[start : start + CLIP].tolist()
            for place, image in zip(asked, reader.read(asked), strict=True):
                np.testing.assert_array_equal(image, expected[place])

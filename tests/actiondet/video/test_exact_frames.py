"""Whatever the kind of file, a reader gives the frame that was asked for: every frame shows its own number."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from actiondet.video import index_video, open_video

FRAMES = 120
PLACES = 200

GROUPS = "scenecut=0:b-adapt=0:bframes=3"
H264 = {"preset": "veryfast", "g": "24"}
HEVC = {"preset": "ultrafast"}
X265 = "log-level=none:pools=none:frame-threads=1:keyint=24:bframes=3"
MPEG4 = {"bf": "2", "g": "15", "b": "800k"}
_pauses = random.Random(0)
UNEVEN_MS = list(accumulate(_pauses.choice([10, 20, 33, 40, 67, 250]) for _ in range(FRAMES)))

KINDS: dict[str, dict[str, Any]] = {
    "closed_gop.mp4": {"options": {**H264, "x264-params": GROUPS}},
    "closed_gop.mkv": {"options": {**H264, "x264-params": GROUPS}},
    "one_gop.mp4": {"options": {"preset": "veryfast", "g": "250"}},
    "open_gop.mp4": {"options": {**H264, "x264-params": f"open-gop=1:{GROUPS}"}},
    "open_gop.mkv": {"options": {**H264, "x264-params": f"open-gop=1:{GROUPS}"}},
    "open_gop.ts": {"options": {**H264, "x264-params": f"open-gop=1:{GROUPS}"}},
    "bit_by_bit_refresh.mp4": {"options": {**H264, "x264-params": "intra-refresh=1:bframes=0"}},
    "fragmented.mp4": {"options": H264, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "uneven.mp4": {"options": H264, "times_ms": UNEVEN_MS},
    "uneven.mkv": {"options": H264, "times_ms": UNEVEN_MS},
    "same_times.mkv": {"options": {**H264, "bf": "3"}, "times_ms": [number // 2 for number in range(FRAMES)]},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "options": MPEG4},
    "mpeg4_b_frames.mp4": {"codec": "mpeg4", "options": MPEG4},
    "h264_b_frames.avi": {"options": {**H264, "bf": "3"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "h264.ts": {"options": {**H264, "bf": "3"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15", "b": "1500k"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15", "b": "1500k"}},
    "bare.h264": {"options": {**H264, "bf": "3"}},
    "hevc_open_gop.mp4": {"codec": "libx265", "options": {**HEVC, "x265-params": f"{X265}:open-gop=1"}},
    "hevc_closed_gop.mkv": {
        "codec": "libx265",
        "options": {**HEVC, "x265-params": f"{X265}:open-gop=0"},
    },
    "vp8_hidden_frames.webm": {"codec": "libvpx", "options": {"g": "24", "b": "400k", "auto-alt-ref": "1"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "24", "cpu-used": "8", "deadline": "realtime"}},
    "quarter_turn.mp4": {"options": H264, "rotation": 90},
    "half_turn.mp4": {"options": H264, "rotation": 180},
    "three_quarter_turn.mkv": {"options": H264, "rotation": 270},
    "mirrored.mp4": {"options": H264, "rotation": 90, "mirrored": True},
    "odd_size.mp4": {"options": H264, "size": (97, 65), "pixel_format": "yuv444p"},
    "ntsc.mkv": {"options": H264, "rate": Fraction(30000, 1001)},
    "three_frames.mp4": {"frames": 3},
    "one_frame.mp4": {"frames": 1},
}
CUTS = {"cut_in_closed_gop.mp4": ("closed_gop.mp4", 29), "cut_in_open_gop.mp4": ("open_gop.mp4", 47)}
# Files that decord is trusted with. The list is what was measured, not what the guard says.
DECORD_EXACT = {
    "closed_gop.mp4", "closed_gop.mkv", "one_gop.mp4", "fragmented.mp4", "uneven.mp4", "uneven.mkv", "vp9.webm",
    "quarter_turn.mp4", "half_turn.mp4", "ntsc.mkv", "three_frames.mp4", "one_frame.mp4",
}  # fmt: skip

Maker = Callable[[str], tuple[Path, int, int]]


@pytest.fixture(scope="module")
def video(stamped: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Makes a video once: its path, the number that its first shown frame shows, and how many frames it has."""
    folder = tmp_path_factory.mktemp("kinds")

    def make(name: str) -> tuple[Path, int, int]:
        path = folder / name
        if name in CUTS:
            source, first = CUTS[name]
            if not path.exists():
                stamped.cut_without_encoding(make(source)[0], path, first)
            return path, first, FRAMES - first
        kind = {"frames": FRAMES, **KINDS[name]}
        if not path.exists():
            if kind.get("rotation") and not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write rotated videos")
            stamped.write_stamped(path, **kind)
        return path, 0, kind["frames"]

    return make


@pytest.mark.parametrize("name", [*KINDS, *CUTS])
def test_auto_gives_the_right_frame_at_200_random_places(name: str, video: Maker, stamped: ModuleType) -> None:
    path, first, count = video(name)
    index = index_video(path)
    # An open group after a cut begins with frames that need what was cut away; the decoder leaves them out.
    assert len(index) == count
    places = np.random.default_rng(7).integers(0, count, PLACES).tolist()
    with open_video(path, "auto", index) as reader:
        seen = [stamped.read_stamp(reader.read([place])[0]) for place in places[:100]]
        for start in range(100, PLACES, 4):
            seen += [stamped.read_stamp(image) for image in reader.read(places[start : start + 4])]
    assert seen == [first + place for place in places]


@pytest.mark.parametrize("name", sorted(DECORD_EXACT))
def test_both_readers_give_the_same_pixels_where_decord_is_trusted(name: str, video: Maker) -> None:
    pytest.importorskip("decord")
    path, _, count = video(name)
    index = index_video(path)
    places = np.random.default_rng(8).integers(0, count, 30)
    with open_video(path, "decord", index) as one, open_video(path, "pyav", index) as other:
        np.testing.assert_array_equal(one.read(places), other.read(places))


@pytest.mark.parametrize("name", sorted({*KINDS, *CUTS} - DECORD_EXACT))
def test_decord_is_not_trusted_with_anything_else(name: str, video: Maker) -> None:
    assert index_video(video(name)[0]).decord_unsafe is not None


def test_a_frame_is_the_same_whatever_was_read_before(video: Maker) -> None:
    path, _, count = video("closed_gop.mp4")
    index = index_video(path)
    with open_video(path, "pyav", index) as reader:
        forward = reader.read(range(count))
        for place in np.random.default_rng(9).permutation(count)[:60].tolist():
            np.testing.assert_array_equal(reader.read([place])[0], forward[place])

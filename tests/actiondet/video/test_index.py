from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from actiondet.video import index_video, open_video, stream_frames
from evaluation.errors import InputError

FAST = {"preset": "veryfast", "g": "12"}


def test_the_index_says_size_rate_and_times(stamped: ModuleType, tmp_path: Path) -> None:
    index = index_video(stamped.write_stamped(tmp_path / "a.mp4", 31, options=FAST, rate=Fraction(30)))
    assert (len(index), index.width, index.height, index.rate) == (31, 96, 64, 30)
    assert (index.rotation, index.mirrored, index.has_audio, index.decord_unsafe) == (0, False, False, None)
    assert index.frame_times.dtype == np.int64
    assert index.frame_times[[0, 1, 2, 30]].tolist() == [0, 33_333, 66_667, 1_000_000]
    assert index.duration_us == 1_033_333


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("rate", [Fraction(10), Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_the_rate_is_the_file_s_own(stamped: ModuleType, tmp_path: Path, rate: Fraction, container: str) -> None:
    index = index_video(stamped.write_stamped(tmp_path / f"a.{container}", 50, options=FAST, rate=rate))
    assert index.rate == rate
    expected = [number * 1_000_000 / rate for number in range(50)]
    assert np.abs(index.frame_times - np.array(expected, dtype=float)).max() <= (1000 if container == "mkv" else 12)


def test_an_hour_between_two_frames_is_a_rate(stamped: ModuleType, tmp_path: Path) -> None:
    index = index_video(stamped.write_stamped(tmp_path / "a.mkv", 2, options=FAST, times_ms=[0, 3_600_000]))
    assert index.rate == Fraction(1, 3600)


def test_uneven_times_are_kept(stamped: ModuleType, tmp_path: Path) -> None:
    times_ms = [0, 10, 43, 300, 333, 1000]
    index = index_video(stamped.write_stamped(tmp_path / "a.mp4", 6, options=FAST, times_ms=times_ms))
    assert index.frame_times.tolist() == [time * 1000 for time in times_ms]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"name": "a.mp4"}, None),
        ({"name": "a.mkv"}, None),
        ({"name": "a.ts"}, "mpegts"),
        ({"name": "a.avi"}, "avi"),
        ({"name": "a.mp4", "x264-params": "open-gop=1:bframes=3:b-adapt=0"}, "open GOP"),
        ({"name": "a.mp4", "x264-params": "intra-refresh=1:bframes=0"}, "marked as keyframes that are none"),
        ({"name": "a.mp4", "size": (48, 64)}, "frames as small as 48x64"),
        ({"name": "a.mp4", "pixel_format": "yuv420p10le"}, "converts the colors of 96x64 yuv420p10le otherwise"),
    ],
)
def test_the_guard_says_why_decord_would_be_wrong(
    stamped: ModuleType, tmp_path: Path, kind: dict[str, Any], reason: str | None
) -> None:
    options = {**FAST, **({"x264-params": kind["x264-params"]} if "x264-params" in kind else {})}
    pixel_format = kind.get("pixel_format", "yuv420p")
    size = kind.get("size", (96, 64))
    path = stamped.write_stamped(tmp_path / kind["name"], 40, options=options, pixel_format=pixel_format, size=size)
    unsafe = index_video(path).decord_unsafe
    assert unsafe is None if reason is None else reason in str(unsafe)


def test_an_edit_list_hides_frames(stamped: ModuleType, tmp_path: Path) -> None:
    whole = stamped.write_stamped(tmp_path / "whole.mp4", 40, options={"preset": "veryfast", "g": "20"})
    index = index_video(stamped.cut_without_encoding(whole, tmp_path / "cut.mp4", 27))
    assert len(index) == 13
    assert index.frame_times[0] == 0
    assert "edit list" in str(index.decord_unsafe)


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_videos_are_shown_upright(
    stamped: ModuleType, tmp_path: Path, turn: int, mirrored: bool
) -> None:
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write rotated videos")
    path = stamped.write_stamped(tmp_path / "a.mp4", 5, options=FAST, rotation=turn, mirrored=mirrored)
    index = index_video(path)
    assert (index.width, index.height, index.rotation, index.mirrored) == (96, 64, turn, mirrored)
    for reader in ("auto", "pyav"):
        assert stamped.read_stamp(open_video(path, reader).read([3])[0]) == 3
    assert [stamped.read_stamp(image) for _, image in stream_frames(path)] == [0, 1, 2, 3, 4]


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"no such file"),
        (lambda path: path.mkdir(), r"is a folder, expected a video file"),
        (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
        (
            lambda path: path.write_text("second,person,action\n" * 500),
            r"is not a video|holds no video",
        ),
        (lambda path: path.write_bytes(b"\0\0\0\x08free" * 9), r"has no table of contents \(moov box\)"),
        (_sound_only, r"holds no video, only audio \(mov,mp4"),
    ],
)
def test_what_is_no_video_is_refused_in_one_clear_sentence(tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(InputError, match=rf"clip\.mp4: ({message})") as fault:
        index_video(path)
    assert "\n" not in str(fault.value)


def test_titles_may_be_in_any_encoding(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "clip.mp4", 5)
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", "Café".encode("latin-1")))
    assert len(index_video(path)) == 5


def test_a_fragment_that_points_elsewhere_is_reported(stamped: ModuleType, tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = stamped.write_stamped(tmp_path / "clip.mp4", 30, options={"g": "10"}, container_options=options)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"tfhd") + 12] = 0x5E  # first byte of the place of its data
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.mp4: is damaged; FFmpeg cannot continue to read it"):
        index_video(path)


def test_a_text_file_is_no_video_even_if_ffmpeg_could_play_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see here\n" * 200)
    with pytest.raises(InputError, match=r"notes\.txt: (holds no video|is not a video)"):
        index_video(path)


@pytest.mark.parametrize("kept", [0.5, 0.98])
@pytest.mark.parametrize("name", ["faststart.mp4", "index_last.mp4", "fragmented.mp4", "a.mkv", "a.webm", "a.avi"])
def test_a_cut_off_file_is_refused(stamped: ModuleType, tmp_path: Path, name: str, kept: float) -> None:
    flags = {"faststart.mp4": "+faststart", "fragmented.mp4": "frag_keyframe+empty_moov"}.get(name)
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(name[-4:].strip("."), "libx264")
    options = {"cpu-used": "8", "deadline": "realtime"} if codec == "libvpx-vp9" else {}
    container_options = {"movflags": flags} if flags else {}
    path = stamped.write_stamped(tmp_path / name, 40, codec=codec, options=options, container_options=container_options)
    assert len(index_video(path)) == 40
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"{name}: (is cut off: its header promises|has no table of contents)"):
        index_video(path)


def test_a_cut_transport_stream_ends_where_it_ends(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.ts", 60, options=FAST)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    index = index_video(path)
    assert 20 < len(index) < 45
    shown = [stamped.read_stamp(image) for _, image in stream_frames(path, index)]
    assert shown[:-1] == list(range(len(index) - 1))  # the last picture may be half a one
    with open_video(path, "auto", index) as reader:
        assert stamped.read_stamp(reader.read([len(index) - 2])[0]) == len(index) - 2
        reader.read([len(index) - 1])


def test_bytes_after_the_end_do_no_harm(stamped: ModuleType, tmp_path: Path) -> None:
    path = stamped.write_stamped(tmp_path / "a.mp4", 10, options=FAST)
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert len(index_video(path)) == 10


def test_a_picture_attached_to_a_song_is_no_video(stamped: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        sound.layout = "mono"
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
        container.mux(cover.encode(av.VideoFrame.from_ndarray(stamped.stamped_frame(0), format="rgb24")))
        container.mux(cover.encode())
    with pytest.raises(InputError, match=r"song\.mp4: holds no video, only audio"):
        index_video(path)

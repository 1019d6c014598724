"""One video: every frame of what is cut shows the number that it must."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from actiondet.video import index_video, open_video
from data_tools.preparing.coding import Coding
from data_tools.preparing.cut import Cut, choose_frames, scaled_size
from data_tools.preparing.place import Place
from evaluation.errors import InputError

SECOND = 1_000_000


def stamps(path: Path, stamped: ModuleType) -> list[int]:
    with open_video(path, reader="pyav") as reader:
        return [stamped.read_stamp(image) for image in reader.read(range(len(reader.index)))]


def make(folder: Path, source: Path, **asked: object) -> Path:
    job = Cut(source=str(source), name="cut/clip.mp4", **asked)  # type: ignore[arg-type]
    count = job.make(folder)
    assert job.is_whole(folder, count)
    assert not job.is_whole(folder, count + 1)
    assert [path.name for path in (folder / "cut").iterdir()] == ["clip.mp4"]
    return folder / job.name


@pytest.mark.parametrize(
    ("rate", "start", "end", "fps", "expected"),
    [
        (30, 2, 4, None, range(60, 120)),
        (30, 0, 2, None, range(60)),
        (30, 2, None, None, range(60, 120)),
        (30, 2, 9, None, range(60, 120)),
        (30, 1, 3, 15, range(30, 90, 2)),
        (25, 1, 3, None, range(25, 75)),
        (15, 1, 3, 30, np.repeat(np.arange(15, 45), 2)),
        (Fraction(30000, 1001), 2, 4, None, range(60, 120)),
    ],
)
def test_a_piece_holds_just_the_frames_of_its_seconds(
    tmp_path: Path,
    stamped: ModuleType,
    rate: int,
    start: int,
    end: int | None,
    fps: int | None,
    expected: list[int],
) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 120, rate=Fraction(rate))
    path = make(
        tmp_path,
        source,
        start_us=start * SECOND,
        end_us=None if end is None else end * SECOND,
        fps=None if fps is None else Fraction(fps),
    )
    found = stamps(path, stamped)
    if fps == 30:  # a frame shown twice is the nearest one, the earlier of two equally near
        assert len(found) == 60
        assert np.abs(np.array(found) - np.array(expected)).max() <= 1
        assert found == sorted(found)
    else:
        assert found == list(expected)
    index = index_video(path)
    assert index.rate == (fps or rate)
    assert index.decord_unsafe is None


@pytest.mark.parametrize("name", ["source.avi", "source.webm", "source.mkv"])
def test_every_container_is_cut_to_the_same_frames(tmp_path: Path, stamped: ModuleType, name: str) -> None:
    codec = {"source.avi": "mpeg4", "source.webm": "libvpx-vp9", "source.mkv": "libx264"}[name]
    source = stamped.write_stamped(tmp_path / name, 90, codec=codec, rate=Fraction(30))
    path = make(tmp_path, source, start_us=SECOND, end_us=2 * SECOND)
    assert stamps(path, stamped) == list(range(30, 60))


def test_ava_minutes_are_27030_frames(stamped: ModuleType, tmp_path: Path) -> None:
    index = index_video(stamped.write_stamped(tmp_path / "film.mp4", 12, rate=Fraction(24000, 1001)))
    times = np.rint(np.arange(50_000) * 1_001_000_000 / 24_000).astype(np.int64)
    film = replace(index, frame_times=times)
    chosen = choose_frames(film, start_us=900 * SECOND, end_us=1801 * SECOND, fps=Fraction(30))
    assert len(chosen) == 27_030
    shown = times[chosen] - 900 * SECOND - np.arange(27_030) * SECOND / 30
    assert np.abs(shown).max() <= 1001 / 24 / 2 * 1000 + 1000, "no frame is shown more than half a frame off"
    own = choose_frames(film, start_us=900 * SECOND, end_us=1801 * SECOND)
    assert abs(times[own[0]] - 900 * SECOND) <= 20_900
    assert abs(len(own) - 901 * 24000 / 1001) <= 1


def test_times_of_a_variable_rate_are_kept(tmp_path: Path, stamped: ModuleType) -> None:
    times = [0, 40, 100, 140, 260, 300, 400, 480, 560, 700]
    source = stamped.write_stamped(tmp_path / "source.mp4", 10, times_ms=times)
    path = make(tmp_path, source, start_us=100_000)
    assert stamps(path, stamped) == list(range(2, 10))
    assert np.abs(index_video(path).frame_times - (np.array(times[2:]) - 100) * 1000).max() <= 1000


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((640, 480), 320, (426, 320)),
        ((480, 640), 320, (320, 426)),
        ((1280, 720), 320, (568, 320)),
        ((320, 240), 320, (320, 240)),
        ((320, 240), None, (320, 240)),
        ((321, 241), None, (320, 240)),
        ((640, 361), 360, (638, 360)),
    ],
)
def test_sizes_are_even_and_never_enlarged(
    tmp_path: Path, stamped: ModuleType, size: tuple[int, int], short_side: int | None, expected: tuple[int, int]
) -> None:
    index = index_video(stamped.write_stamped(tmp_path / "source.mp4", 2))
    assert scaled_size(replace(index, width=size[0], height=size[1]), short_side) == expected


def test_a_turned_video_is_turned_and_shrunk(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 5, rotation=90, size=(192, 128))
    path = make(tmp_path, source, short_side=64)
    index = index_video(path)
    assert (index.width, index.height, index.rotation) == (96, 64, 0)


def test_what_needs_no_coding_is_the_file_itself(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 20)
    assert make(tmp_path, source, short_side=320).samefile(source)


def test_a_source_is_not_replaced_by_its_own_copy(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 20)
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"source\.mp4: would be replaced by its own copy; name another folder"):
        Cut(source=str(source), name="source.mp4", short_side=32).make(tmp_path)
    assert Cut(source=str(source), name="source.mp4").make(tmp_path) == 20
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_the_sound_is_cut_with_the_pictures(tmp_path: Path, stamped: ModuleType) -> None:
    silent = stamped.write_stamped(tmp_path / "silent.mp4", 120, rate=Fraction(30))
    source = tmp_path / "source.mp4"
    _add_steps(silent, source)
    path = make(tmp_path, source, start_us=2 * SECOND, end_us=4 * SECOND)
    assert index_video(path).has_audio
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    end = len(samples) / rate
    assert abs(end - 2) < 0.1
    # The source is silent before second 3 and loud from there on, which is second 1 of the piece.
    loud = np.abs(samples) > 0.1
    assert abs(np.flatnonzero(loud)[0] / rate - 1) < 0.06


def test_damaged_sound_does_not_cost_the_pictures(
    tmp_path: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise InputError("its sound is coded in a way that this FFmpeg cannot decode")

    _add_steps(stamped.write_stamped(tmp_path / "silent.mp4", 120, rate=Fraction(30)), tmp_path / "source.mp4")
    monkeypatch.setattr("actiondet.video.writer.SoundTrack", refuse)
    path = make(tmp_path, tmp_path / "source.mp4", start_us=SECOND, end_us=2 * SECOND)
    assert stamps(path, stamped) == list(range(30, 60))
    assert not index_video(path).has_audio


def _add_steps(silent: Path, path: Path) -> None:
    """The pictures of `silent` with four seconds of sound: nothing up to second 3, a tone from there on."""
    rate = 16_000
    wave = np.sin(np.arange(4 * rate) * 0.2).astype(np.float32) * 0.5
    wave[: 3 * rate] = 0
    with av.open(str(silent)) as old, av.open(str(path), "w") as new:
        pictures = new.add_stream_from_template(old.streams.video[0])
        sound = new.add_stream("aac", rate=rate, layout="mono")
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                new.mux(packet)
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            new.mux(sound.encode(frame))
        new.mux(sound.encode(None))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mpg", "mpeg2video"), ("a.avi", "mpeg4")])
@pytest.mark.parametrize("short_side", [None, 90, 64])
def test_an_anamorphic_source_keeps_its_shape(tmp_path: Path, name: str, codec: str, short_side: int | None) -> None:
    aspect = Fraction(32, 27)
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 180, 120, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for number in range(10):
            image = np.full((120, 180, 3), 20 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    found = index_video(make(tmp_path, tmp_path / name, short_side=short_side, fps=Fraction(5)))
    assert min(found.width, found.height) == (short_side or 120)
    assert found.pixel_aspect * Fraction(found.width, found.height) == Fraction(16, 9)


def kinds(path: Path) -> list[str]:
    """I, P or B for each frame."""
    with av.open(str(path)) as container:
        return [PictureType(frame.pict_type).name for frame in container.decode(video=0)]


@pytest.mark.parametrize("gop", [1, 4, 16, 300])
def test_keyframes_lie_as_near_as_is_asked(tmp_path: Path, stamped: ModuleType, gop: int) -> None:
    source = stamped.write_stamped(tmp_path / "source.mkv", 120, rate=Fraction(30))
    path = make(tmp_path, source, coding=Coding(gop=gop))
    assert stamps(path, stamped) == list(range(120))
    keys = [number for number, kind in enumerate(kinds(path)) if kind == "I"] + [120]
    assert max(np.diff(keys)) <= gop
    assert "BB" not in "".join(kinds(path))
    with open_video(path) as one, open_video(path, reader="pyav") as other:  # near and far, forth and back
        for number in (119, 3, 64, 0, 65):
            assert stamped.read_stamp(one.read([number])[0]) == stamped.read_stamp(other.read([number])[0]) == number


def test_the_usual_coding_has_a_keyframe_every_sixteen_frames(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mkv", 120, rate=Fraction(30))
    keys = [number for number, kind in enumerate(kinds(make(tmp_path, source))) if kind == "I"]
    assert max(np.diff(keys)) <= 16
    assert Cut(source="a", name="b.mp4").order == "own rate, own size", "what earlier versions made is kept"
    assert Cut(source="a", name="b.mp4", coding=Coding(gop=8)).order == "own rate, own size, a keyframe every 8"


def test_a_source_that_is_what_is_asked_for_is_coded_anew_only_where_that_is_asked(
    tmp_path: Path, stamped: ModuleType
) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 60, options={"g": "250"})
    assert make(tmp_path, source).samefile(source)
    path = make(tmp_path, source, coding=Coding(recode=True))
    assert not path.samefile(source)
    assert kinds(path).count("I") >= 4
    job = Place(source=str(source), name="placed/a.mp4", frames=60, coding=Coding(gop=8, recode=True))
    assert (job.make(tmp_path), job.order) == (60, "a keyframe every 8, coded anew")
    assert kinds(tmp_path / "placed/a.mp4").count("I") >= 7
    assert kinds(source).count("I") == 1, "the source is left as it was"


def test_a_video_that_ends_too_soon_is_refused_and_leaves_nothing(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 60, rate=Fraction(30))
    with pytest.raises(InputError, match=r"lasts 2\.00 s, its piece begins at 5 s.*is it cut already"):
        Cut(source=str(source), name="a/b.mp4", start_us=5 * SECOND).make(tmp_path)
    with pytest.raises(InputError, match=r"begins at 1 s, expected at least 9 s more"):
        Cut(source=str(source), name="a/b.mp4", start_us=SECOND, end_us=11 * SECOND, shortest_us=9 * SECOND).make(
            tmp_path
        )
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_a_cut_off_source_is_refused_and_leaves_nothing(tmp_path: Path, stamped: ModuleType) -> None:
    source = stamped.write_stamped(tmp_path / "source.mp4", 60)
    source.write_bytes(source.read_bytes()[:-500])
    with pytest.raises(InputError, match="cut off"):
        Cut(source=str(source), name="b.mp4", short_side=32).make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]

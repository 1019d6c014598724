"""What is written is read back: same length, rate, timing, close colors, the sound kept; and browsers play it."""

from __future__ import annotations

import random
import re
import resource
import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from actiondet.video import VideoWriter, index_video, open_video, stream_frames
from actiondet.video.sound import SoundTrack
from evaluation.command_line import describe
from evaluation.errors import InputError

FAST = {"preset": "veryfast", "g": "12"}


def copy(source: Path, target: Path) -> Path:
    """Write what the source shows, with its timing and sound, as the demo does."""
    index = index_video(source)
    with VideoWriter(target, index.rate, index.width, index.height, sound_of=index) as writer:
        for time_us, frame in stream_frames(source, index):
            writer.write(frame, time_us)
    return target


def boxes(path: Path) -> list[str]:
    """The top-level boxes of an mp4 file."""
    content, offset, kinds = path.read_bytes(), 0, []
    while offset < len(content):
        length, kind = struct.unpack_from(">I4s", content, offset)
        kinds.append(kind.decode())
        offset += length
    return kinds


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_copy_has_the_length_rate_and_colors_of_its_source(
    stamped: ModuleType, tmp_path: Path, rate: Fraction, name: str
) -> None:
    source = stamped.write_stamped(tmp_path / name, 45, options=FAST, rate=rate)
    target = copy(source, tmp_path / "copy.mp4")
    before, after = index_video(source), index_video(target)
    assert (len(after), after.rate, after.width, after.height) == (45, rate, 96, 64)
    assert after.decord_unsafe is None
    assert after.duration_us == pytest.approx(45 * 1_000_000 / rate, abs=2)
    old = open_video(source, "auto", before).read(range(0, 45, 7)).astype(int)
    for reader in ("auto", "pyav"):
        new = open_video(target, reader, after).read(range(0, 45, 7))
        assert [stamped.read_stamp(image) for image in new] == list(range(0, 45, 7))
        assert np.abs(new - old).mean() < 4


def test_browsers_play_it(stamped: ModuleType, tmp_path: Path) -> None:
    target = copy(stamped.write_stamped(tmp_path / "a.mp4", 30, options=FAST), tmp_path / "copy.mp4")
    kinds = boxes(target)
    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat")
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)  # BT.709, TV range
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert packets[0].is_keyframe


def test_plain_colors_survive(tmp_path: Path) -> None:
    colors = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [250, 250, 250], [5, 5, 5], [120, 90, 200]])
    image = np.repeat(np.repeat(colors[None], 64, axis=0), 16, axis=1).astype(np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 25, 96, 64) as writer:
        for _ in range(5):
            writer.write(image)
    seen = open_video(tmp_path / "a.mp4").read([2])[0, 32, 8::16].astype(int)
    assert np.abs(seen - colors).max() <= 6


def test_uneven_timing_is_kept(stamped: ModuleType, tmp_path: Path) -> None:
    pauses = random.Random(3)
    times_ms = [0, *accumulate(pauses.choice([10, 20, 33, 67, 250]) for _ in range(39))]
    source = stamped.write_stamped(tmp_path / "a.mp4", 40, options=FAST, times_ms=times_ms)
    after = index_video(copy(source, tmp_path / "copy.mp4"))
    assert np.abs(after.frame_times - np.array(times_ms) * 1000).max() <= 1000


def test_odd_sizes_are_enlarged_by_the_last_row_and_column(tmp_path: Path) -> None:
    image = np.full((33, 51, 3), 60, dtype=np.uint8)
    image[-1] = image[:, -1] = 220
    with VideoWriter(tmp_path / "a.mp4", 25, 51, 33) as writer:
        writer.write(image)
    seen = open_video(tmp_path / "a.mp4").read([0])[0]
    assert seen.shape == (34, 52, 3)
    assert seen[33].mean() == pytest.approx(220, abs=12)
    assert seen[10, 51].mean() == pytest.approx(220, abs=12)


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.mp4"
    image = np.zeros((64, 96, 3), dtype=np.uint8)

    def fail() -> None:
        with VideoWriter(target, 25, 96, 64) as writer:
            writer.write(image)
            raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="network"):
        fail()
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"older")
    with pytest.raises(ValueError, match="no frame"), VideoWriter(target, 25, 96, 64):
        pass
    assert target.read_bytes() == b"older"
    assert len(list(target.parent.iterdir())) == 1
    writer = VideoWriter(target, 25, 96, 64)
    writer.write(image)
    assert target.read_bytes() == b"older"
    writer.close()
    assert len(index_video(target)) == 1


def noise(number: int) -> npt.NDArray[np.uint8]:
    """A picture that takes much room."""
    return np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may become larger than 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("pictures", [3, 150], ids=["noticed at the end", "noticed on the way"])
def test_a_full_disk_is_named_and_leaves_the_older_file(pictures: int, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"older")
    written = []

    def write() -> None:
        with VideoWriter(target, 25, 96, 64, crf=1) as writer:
            for number in range(pictures):
                writer.write(noise(number))
                written.append(number)

    with pytest.raises(OSError, match="File too large") as full:
        write()
    assert describe(full.value) == f"{target}: File too large"
    assert (len(written) == pictures) == (pictures == 3)
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize("at_the_end", [False, True])
def test_an_encoder_that_fails_is_a_sentence_and_leaves_no_file(at_the_end: bool, tmp_path: Path) -> None:
    def fail(picture: object) -> list[av.Packet]:
        if (picture is None) == at_the_end:
            raise av.error.ExternalError(av.error.tag_to_code(b"EXT "), "Generic error in an external library")
        return []

    def write() -> None:
        with VideoWriter(tmp_path / "a.mp4", 25, 96, 64) as writer:
            writer._stream = SimpleNamespace(encode=fail)  # type: ignore[assignment]
            writer.write(noise(0))

    with pytest.raises(InputError, match=r"a\.mp4: not written, the encoder failed at frame 1 \(Generic error"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"drawn\.avi: .*ends in \.mp4"):
        VideoWriter(tmp_path / "drawn.avi", 25, 96, 64)
    with pytest.raises(InputError, match=r"nowhere\.mp4: no such file"):
        VideoWriter(tmp_path / "a.mp4", 25, 96, 64, sound_of=tmp_path / "nowhere.mp4")
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(ValueError, match=r"uint8 \(10, 96, 3\), expected uint8 \(64, 96, 3\)"),
        VideoWriter(tmp_path / "a.mp4", 25, 96, 64) as writer,
    ):
        writer.write(np.zeros((10, 96, 3), dtype=np.uint8))


RATE, SECONDS, BEEP = 25, 4, 2.0


def write_beeping(path: Path, stamped: ModuleType, sound: str, video: str, hertz: int, channels: str) -> Path:
    """A video whose sound is silence up to second 2 and a tone after it."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream(video, rate=RATE, options={"g": "10"})
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        track = container.add_stream(sound, rate=hertz)
        track.layout = channels
        clock = np.arange(SECONDS * hertz) / hertz
        tone = np.where(clock >= BEEP, 9000 * np.sin(2 * np.pi * 440 * clock), 0).astype(np.int16)
        samples = np.repeat(tone, 1 if channels == "mono" else 2)[None]
        wide = samples.shape[1] // len(clock)
        for number in range(SECONDS * RATE):
            frame = av.VideoFrame.from_ndarray(stamped.stamped_frame(number), format="rgb24")
            container.mux(picture.encode(frame))
            start, end = (hertz * part // RATE for part in (number, number + 1))
            piece = np.ascontiguousarray(samples[:, start * wide : end * wide])
            heard = av.AudioFrame.from_ndarray(piece, format="s16", layout=channels)
            heard.sample_rate, heard.pts, heard.time_base = hertz, start, Fraction(1, hertz)
            container.mux(track.encode(heard))
        container.mux(picture.encode())
        container.mux(track.encode())
    return path


def heard(path: Path) -> tuple[str, float, float]:
    """Codec of the sound, second at which the tone begins, second at which the sound ends."""
    levels: list[npt.NDArray[Any]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        for frame in frames:
            pcm = frame.to_ndarray().astype(float)
            mono = np.abs(pcm).max(axis=0) if frame.format.is_planar else np.abs(pcm[0, :: len(frame.layout.channels)])
            levels.append(np.stack([frame.time + np.arange(mono.size) / frame.sample_rate, mono]))
        clock, level = np.concatenate(levels, axis=1)
        begin = clock[np.argmax(level > level.max() * 0.4)]
        return stream.codec_context.codec.canonical_name, float(begin), float(clock[-1])


@pytest.mark.parametrize(
    ("name", "sound", "video", "hertz", "channels", "kept_as"),
    [
        ("a.mp4", "aac", "libx264", 44100, "stereo", "aac"),
        ("a.ts", "aac", "libx264", 48000, "mono", "aac"),
        ("a.avi", "libmp3lame", "mpeg4", 44100, "stereo", "mp3"),
        ("b.avi", "pcm_s16le", "mpeg4", 16000, "mono", "aac"),
        ("a.mkv", "flac", "libx264", 22050, "stereo", "flac"),
        ("a.webm", "libopus", "libvpx", 48000, "stereo", "opus"),
        ("b.mkv", "pcm_s16le", "libx264", 7000, "stereo", "aac"),
    ],
)
def test_the_sound_is_kept_in_step(
    stamped: ModuleType, tmp_path: Path, name: str, sound: str, video: str, hertz: int, channels: str, kept_as: str
) -> None:
    source = write_beeping(tmp_path / name, stamped, sound, video, hertz, channels)
    target = copy(source, tmp_path / "copy.mp4")
    assert len(index_video(target)) == SECONDS * RATE
    assert index_video(target).has_audio
    codec, begin, end = heard(target)
    assert codec == kept_as
    assert begin == pytest.approx(BEEP, abs=0.05)
    assert end == pytest.approx(SECONDS, abs=0.1)
    kinds = boxes(target)
    assert kinds.index("moov") < kinds.index("mdat")


@pytest.mark.parametrize("sound", ["aac", "mp2"])
def test_sound_that_goes_back_in_time_is_left_out(stamped: ModuleType, tmp_path: Path, sound: str) -> None:
    once = write_beeping(tmp_path / "a.ts", stamped, sound, "libx264", 48000, "mono").read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)  # as recorders join their files
    target = copy(tmp_path / "twice.ts", tmp_path / "copy.mp4")
    assert len(index_video(target)) == 2 * SECONDS * RATE
    assert heard(target)[1:] == pytest.approx((BEEP, SECONDS), abs=0.1)


@pytest.mark.parametrize("sound", ["aac", "mp2", "pcm_s16le"])
def test_damaged_sound_costs_no_picture(stamped: ModuleType, tmp_path: Path, sound: str) -> None:
    suffix = "avi" if sound == "pcm_s16le" else "ts"
    source = write_beeping(tmp_path / f"a.{suffix}", stamped, sound, "mpeg4", 48000, "mono")
    index, content = index_video(source), bytearray(source.read_bytes())
    noise = np.random.default_rng(0)
    for place in noise.integers(len(content) // 3, len(content), 60).tolist():
        content[place : place + 20] = noise.bytes(20)
    source.write_bytes(content)
    picture = stamped.stamped_frame(0)
    with VideoWriter(tmp_path / "copy.mp4", RATE, 96, 64, sound_of=index) as writer:
        for _ in range(SECONDS * RATE):
            writer.write(picture)
    assert len(index_video(tmp_path / "copy.mp4")) == SECONDS * RATE


def test_sound_that_cannot_be_read_further_ends_and_says_so(
    stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(track: SoundTrack) -> Iterator[object]:
        yield from islice(decoded(track), 50)
        raise ValueError("Frame does not match AudioResampler setup")

    decoded = SoundTrack._decoded
    monkeypatch.setattr(SoundTrack, "_decoded", fail)
    source = write_beeping(tmp_path / "a.ts", stamped, "mp2", "libx264", 48000, "mono")
    with VideoWriter(tmp_path / "copy.mp4", RATE, 96, 64, sound_of=source) as writer:
        for number in range(SECONDS * RATE):
            writer.write(stamped.stamped_frame(number))
    assert re.fullmatch(rf"the sound of {source} is damaged and ends after 1\.\d s", str(writer.sound_fault))
    assert len(index_video(tmp_path / "copy.mp4")) == SECONDS * RATE


def test_a_colon_in_a_name_is_no_protocol(stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stamped.write_stamped(Path("a.mp4"), 5, options=FAST).rename("12:30.mp4")
    index = index_video("12:30.mp4")
    with VideoWriter("12:30_drawn.mp4", 25, 96, 64, sound_of=index) as writer, open_video("12:30.mp4") as reader:
        for frame in reader.read(range(5)):
            writer.write(frame)
    assert len(index_video("12:30_drawn.mp4")) == 5


def test_sound_of_a_silent_video_is_silence(stamped: ModuleType, tmp_path: Path) -> None:
    target = copy(stamped.write_stamped(tmp_path / "a.mp4", 5, options=FAST), tmp_path / "copy.mp4")
    assert not index_video(target).has_audio


def test_sound_ends_with_the_pictures(stamped: ModuleType, tmp_path: Path) -> None:
    source = write_beeping(tmp_path / "a.mp4", stamped, "aac", "libx264", 44100, "mono")
    index = index_video(source)
    with VideoWriter(tmp_path / "short.mp4", index.rate, 96, 64, sound_of=source) as writer:
        for time_us, frame in stream_frames(source, index):
            if time_us < 2_500_000:
                writer.write(frame, time_us)
    _, begin, end = heard(tmp_path / "short.mp4")
    assert begin == pytest.approx(BEEP, abs=0.05)
    assert end == pytest.approx(2.5, abs=0.1)

"""Sound that mp4 cannot carry is encoded again or left out; the pictures are never lost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from actiondet.video import VideoWriter, index_video

# Codec, rate, container, and the codec in the written film.
PAIRS = [
    ("libmp3lame", 8000, "mkv", "aac"),
    ("libmp3lame", 11025, "mkv", "aac"),
    ("libmp3lame", 11025, "avi", "aac"),
    ("libmp3lame", 11025, "flv", "aac"),
    ("libmp3lame", 12000, "mkv", "aac"),
    ("libmp3lame", 16000, "mkv", "mp3"),
    ("libmp3lame", 44100, "mkv", "mp3"),
    ("aac", 8000, "mkv", "aac"),
    ("aac", 11025, "ts", "aac"),
    ("aac", 96000, "mkv", "aac"),
    ("mp2", 16000, "ts", "aac"),
    ("mp2", 48000, "ts", "aac"),
    ("ac3", 32000, "mkv", "ac3"),
    ("ac3", 48000, "mkv", "ac3"),
    ("eac3", 48000, "mkv", "eac3"),
    ("flac", 8000, "mkv", "flac"),
    ("flac", 192000, "mkv", "flac"),
    ("alac", 44100, "mov", "alac"),
    ("libopus", 48000, "webm", "opus"),
    ("pcm_u8", 5512, "avi", "aac"),
    ("pcm_s16le", 192000, "avi", "aac"),
    ("pcm_mulaw", 8000, "avi", "aac"),
    ("adpcm_ms", 11025, "avi", "aac"),
    ("wavpack", 44100, "mkv", "aac"),
]
FRAMES = 10


def write_source(path: Path, codec: str, rate: int) -> None:
    """One second of pictures with a tone."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream({".webm": "libvpx", ".flv": "flv"}.get(path.suffix, "mpeg4"), rate=FRAMES)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        formats = sound.codec_context.codec.audio_formats
        if formats:
            sound.format = formats[0]
        for number in range(FRAMES):
            image = np.full((64, 96, 3), 20 * number, dtype=np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(pictures.encode())
        container.start_encoding()  # only now the encoder knows the size of its pieces
        tone = (8000 * np.sin(np.arange(rate) / 20)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        size = sound.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=sound.format.name, layout="mono", rate=rate, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(sound.encode())


def write_film(path: Path, source: Path) -> str | None:
    """Other pictures with the sound of `source`; returns what is wrong with the sound."""
    with VideoWriter(path, Fraction(FRAMES), 96, 64, sound_of=source) as writer:
        for number in range(FRAMES):
            writer.write(np.full((64, 96, 3), 20 * number, dtype=np.uint8))
    return writer.sound_fault


@pytest.mark.parametrize(("codec", "rate", "suffix", "kept_as"), PAIRS)
def test_sound_of_any_code_and_rate_ends_in_a_whole_film_with_sound(
    tmp_path: Path, codec: str, rate: int, suffix: str, kept_as: str
) -> None:
    source, drawn = tmp_path / f"source.{suffix}", tmp_path / "drawn.mp4"
    write_source(source, codec, rate)
    assert write_film(drawn, source) is None
    assert len(index_video(drawn)) == FRAMES
    with av.open(str(drawn)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == kept_as
        heard = sum(Fraction(frame.samples, frame.sample_rate) for frame in container.decode(audio=0))
        assert 0.85 < heard < 1.15


@pytest.mark.parametrize(("codec", "mark"), [("libmp3lame", b"A_MPEG/L3"), ("pcm_s16le", b"A_PCM/INT")])
def test_sound_of_an_unknown_code_is_left_out_and_says_so(tmp_path: Path, codec: str, mark: bytes) -> None:
    source = tmp_path / "source.mkv"
    write_source(source, codec, 16000)
    content = source.read_bytes()
    assert mark in content
    source.write_bytes(content.replace(mark, b"A_X" + mark[3:]))
    fault = write_film(tmp_path / "drawn.mp4", source)
    assert fault == f"the sound of {source} is coded in a way that this FFmpeg cannot decode; it is left out"
    assert len(index_video(tmp_path / "drawn.mp4")) == FRAMES
    assert not index_video(tmp_path / "drawn.mp4").has_audio


def test_sound_whose_header_fails_is_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: FFmpeg's builds differ in what they let into an mp4 file."""

    def refuse(*_: object) -> None:
        raise av.error.ArgumentError(22, "Invalid argument")

    source = tmp_path / "source.mkv"
    write_source(source, "flac", 16000)
    opened = av.open

    def open_without_trial(file: object, *arguments: object, **options: object) -> object:
        if not isinstance(file, str):
            refuse()
        return opened(file, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("actiondet.video.sound.av.open", open_without_trial)
    assert write_film(tmp_path / "drawn.mp4", source) is None
    with opened(str(tmp_path / "drawn.mp4")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == "aac"

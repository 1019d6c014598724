"""Sound that mp4 cannot carry is encoded again; the pictures are never lost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actiondet.video import VideoWriter


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 44100])
def test_mp3_of_any_rate_ends_in_a_whole_film_with_sound(tmp_path: Path, rate: int) -> None:
    source = tmp_path / "source.mkv"
    with av.open(str(source), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("libmp3lame", rate=rate)
        sound.layout = "mono"
        for number in range(10):
            image = np.full((64, 96, 3), 20 * number, dtype=np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        tone = (8000 * np.sin(np.arange(rate) / 20)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(
            format="s16p", layout="mono", rate=rate, frame_size=sound.codec_context.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    with VideoWriter(tmp_path / "drawn.mp4", Fraction(10), 96, 64, sound_of=source) as writer:
        for number in range(10):
            writer.write(np.full((64, 96, 3), 20 * number, dtype=np.uint8))
    assert writer.sound_fault is None
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == ("aac" if rate < 16000 else "mp3float")
        assert sum(1 for _ in container.decode(video=0)) == 10
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0.7 * rate

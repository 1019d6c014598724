import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from actiondet.data.resized_frames import resized_images
from actiondet.data.transforms import BoxedClip, WholeFrameTransform
from actiondet.video import VideoIndex, clip_frames, clip_stream, index_video, open_video
from actiondet.video.clip_stream import moment_times, stream_clips
from actiondet.video.scaling import scaled_image
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError

SECOND = 1_000_000


def resize(frame: np.ndarray) -> tuple[np.ndarray, ...]:
    return (scaled_image(frame, 12),)


def fake_index(count: int, fps: float) -> VideoIndex:
    return VideoIndex(
        path="fake.mp4",
        width=32,
        height=24,
        rate=Fraction(fps),
        rotation=0,
        mirrored=False,
        frame_times=np.round(np.arange(count) * SECOND / fps).astype(np.int64),
        has_audio=False,
        decord_unsafe=None,
        packets=None,
    )


class Frames:
    """A stream of frames that show their number; notes how many are alive at once."""

    def __init__(self, count: int, *, damaged: tuple[int, ...] = ()) -> None:
        self.count = count
        self.damaged = damaged
        self.alive = 0
        self.most_alive = 0

    def __call__(self, index: VideoIndex) -> Iterator[tuple[int, Callable[[], np.ndarray]]]:
        for number in range(self.count):
            if number not in self.damaged:
                yield int(index.frame_times[number]), partial(self.picture, number)

    def picture(self, number: int) -> np.ndarray:
        frame = np.full((24, 32, 3), number % 256, dtype=np.uint8)
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(frame, self.died)
        return frame

    def died(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1.0, [0, 1, 2, 3]), (0.5, [0, 0.5, 1, 1.5, 2, 2.5, 3]), (2.0, [0, 2]), (10.0, [0]), (1 / 3, 10)],
)
def test_key_moments_begin_with_the_video_and_end_with_its_last_frame(
    every: float, expected: list[float] | int
) -> None:
    index = fake_index(31, 10)  # the last frame is shown at second 3
    times = moment_times(index, every)
    if isinstance(expected, int):
        assert len(times) == expected
    else:
        assert (times / SECOND).tolist() == expected


def test_clips_show_the_frames_that_training_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    index = fake_index(200, 20)
    monkeypatch.setattr(clip_stream, "stream_unconverted", Frames(200))
    times = moment_times(index, 1.0)
    clips = list(stream_clips(index, times, ClipWindow(frames=8, stride=4, clip_fps=30.0), resize=resize))
    assert [clip.time for clip in clips] == times.tolist()
    for clip in clips:
        wanted = clip_frames(index.frame_times, center_us=clip.time, frames=8, stride=4, clip_fps=30.0)
        assert clip.clips[0].shape == (8, 12, 16, 3)
        assert clip.clips[0][:, 0, 0, 0].tolist() == wanted.tolist()
        assert clip.key_frame.shape == (24, 32, 3)
        assert clip.key_frame[0, 0, 0] == wanted[4]
    # At second 4 of a 20 fps file: 30 fps strides of 4 are 2.67 of its frames.
    assert clips[4].clips[0][:, 0, 0, 0].tolist() == [69, 72, 75, 77, 80, 83, 85, 88]


@pytest.mark.parametrize("every", [0.05, 1.0, 20.0])
def test_memory_does_not_grow_with_the_video(monkeypatch: pytest.MonkeyPatch, every: float) -> None:
    most = []
    for seconds in (50, 100):
        stream = Frames(seconds * 10)
        monkeypatch.setattr(clip_stream, "stream_unconverted", stream)
        index = fake_index(seconds * 10, 10)
        clips = stream_clips(
            index, moment_times(index, every), ClipWindow(frames=8, stride=8, clip_fps=30.0), resize=resize
        )
        assert sum(1 for _ in clips) == len(moment_times(index, every))
        most.append(stream.most_alive)
    # Of a clip, 0.8 seconds lie after its moment: so long do key frames, whole or not, wait for it.
    assert most[0] == most[1] <= 0.8 * 10 + 3


def test_good_frames_stand_in_for_damaged_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    index = fake_index(40, 10)
    monkeypatch.setattr(clip_stream, "stream_unconverted", Frames(36, damaged=(0, 19, 20)))
    clips = list(
        stream_clips(index, moment_times(index, 1.0), ClipWindow(frames=4, stride=3, clip_fps=30.0), resize=resize)
    )
    assert clips[0].clips[0][:, 0, 0, 0].tolist() == [1, 1, 1, 1]
    assert clips[2].clips[0][:, 0, 0, 0].tolist() == [18, 21, 21, 21]
    assert clips[2].key_frame[0, 0, 0] == 21
    assert stream_last_frames(index) == [34, 35, 35, 35]


def stream_last_frames(index: VideoIndex) -> list[int]:
    times = np.array([3_600_000], dtype=np.int64)
    (clip,) = stream_clips(index, times, ClipWindow(frames=4, stride=3, clip_fps=30.0), resize=resize)
    shown: list[int] = clip.clips[0][:, 0, 0, 0].tolist()
    return shown


def test_a_video_that_ends_before_its_promise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_stream, "stream_unconverted", Frames(50))
    index = fake_index(100, 10)
    with pytest.raises(InputError, match=r"fake\.mp4: decoding ends after 50 of 100 frames"):
        list(
            stream_clips(index, moment_times(index, 1.0), ClipWindow(frames=4, stride=4, clip_fps=30.0), resize=resize)
        )


def test_clips_of_a_real_file_equal_random_access(tmp_path: Path, shared: Path) -> None:
    path = shared / "videos" / "mm_test.mp4"
    index = index_video(path)
    clips = list(
        stream_clips(
            index,
            moment_times(index, 3.0),
            ClipWindow(frames=8, stride=8, clip_fps=30.0),
            resize=lambda frame: resized_images(frame, (64,)),
        )
    )
    assert len(clips) == 4
    with open_video(path, index=index) as reader:
        for clip in clips:
            wanted = clip_frames(index.frame_times, center_us=clip.time, frames=8, stride=8, clip_fps=30.0)
            boxed = BoxedClip.of(reader.read(wanted.tolist()), np.zeros((0, 4), dtype=np.float32))
            expected, _ = WholeFrameTransform(short_side=64)(boxed).tensors()
            assert np.array_equal(clip.clips[0].transpose(3, 0, 1, 2), expected.numpy())

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from actiondet.config.recognition import VideoClipConfig, VideoListConfig, VideoTransformConfig
from actiondet.data import video_transforms
from actiondet.data.build import build_train_videos
from actiondet.data.labeled_videos import TrainVideos
from actiondet.data.loading import ClipShape, Draw, Unreadable

Watched = Callable[[VideoClipConfig, VideoTransformConfig], tuple[TrainVideos, set[int]]]


@pytest.fixture
def watched(stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """One training video of 40 frames, and the set that the distances of the frames read of it are put into."""

    def watch(clip: VideoClipConfig, transform: VideoTransformConfig) -> tuple[TrainVideos, set[int]]:
        stamped.write_stamped(tmp_path / "a.mp4", 40)
        listing = tmp_path / "list.txt"
        listing.write_text("a.mp4 0\n")
        data = VideoListConfig(videos=str(tmp_path), train=str(listing), val=str(listing))
        videos = build_train_videos(data, clip=clip, transform=transform, num_classes=1, seed=0)
        reader = videos.videos.sources.reader("a.mp4")
        read, steps = reader.read, set[int]()

        def recorded(frames: np.ndarray) -> np.ndarray:
            steps.update(np.diff(frames).tolist())
            return read(frames)

        monkeypatch.setattr(reader, "read", recorded)
        return videos, steps

    return watch


def test_training_draws_strides_from_their_whole_range(watched: Watched) -> None:
    clip = VideoClipConfig(frames=4, stride=9, train_strides=(2, 5))
    videos, steps = watched(clip, VideoTransformConfig(train_short_side=(32, 32), train_crop=32))
    for epoch in range(40):
        videos[Draw(epoch, 0)]
    assert steps == {2, 3, 4, 5}
    with pytest.raises(ValidationError, match=r"train_strides 5\.\.2 is empty"):
        VideoClipConfig(train_strides=(5, 2))


def test_a_stage_of_multigrid_draws_strides_and_short_sides_from_its_own_ranges(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = VideoTransformConfig(train_short_side=(64, 64), train_crop=64, crop="random")
    videos, steps = watched(VideoClipConfig(frames=4, stride=9), transform)
    scaled_size, sides = video_transforms.scaled_size, set()

    def measured(rows: int, columns: int, short_side: int, at_least: tuple[int, int]) -> tuple[int, int]:
        sides.add(short_side)
        return scaled_size(rows, columns, short_side, at_least=at_least)

    monkeypatch.setattr(video_transforms, "scaled_size", measured)
    for epoch in range(60):
        sample = videos[Draw(epoch, 0, ClipShape(frames=2, strides=(2, 8), side=32, short_side=(36, 40)))]
        assert not isinstance(sample, Unreadable)
        assert sample.clips.shape[-3:] == (2, 32, 32)
    assert steps == set(range(2, 9))
    assert sides == set(range(36, 41))


def test_several_clips_of_a_video_come_from_one_read(watched: Watched, stamped: ModuleType) -> None:
    videos, _ = watched(VideoClipConfig(frames=2, stride=3), VideoTransformConfig())
    settings = {"sampling": videos._sampling, "transform": videos._transform, "seed": 0}
    several = TrainVideos(videos.videos, **settings, clips_per_video=3, repeats=2)
    reader, calls = videos.videos.sources.reader("a.mp4"), []
    read = reader.read
    reader.read = lambda frames: (calls.append(frames.tolist()), read(frames))[1]  # type: ignore[method-assign]
    sample = several[Draw(0, 0)]
    assert not isinstance(sample, Unreadable)
    assert sample.clips.shape[:3] == (6, 3, 2)
    (frames,) = calls
    assert [after - before for before, after in zip(frames[::2], frames[1::2], strict=True)] == [3, 3, 3]
    assert len(set(frames[::2])) == 3  # of this seed
    videos[Draw(0, 0)]
    assert calls[1] == frames[:2]  # the first clip is the one that comes alone

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from actiondet.config.recognition import VideoClipConfig, VideoListConfig, VideoTransformConfig
from actiondet.data import video_transforms
from actiondet.data.loading import ClipShape, Draw, Unreadable
from actiondet.data.recognition import build_train_videos


def test_training_draws_strides_from_their_whole_range(
    stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamped.write_stamped(tmp_path / "a.mp4", 30)
    (tmp_path / "list.txt").write_text("a.mp4 0\n")
    listing = str(tmp_path / "list.txt")
    videos = build_train_videos(
        VideoListConfig(videos=str(tmp_path), train=listing, val=listing),
        clip=VideoClipConfig(frames=4, stride=9, train_strides=(2, 5)),
        transform=VideoTransformConfig(train_short_side=(32, 32), train_crop=32),
        num_classes=1,
        seed=0,
    )
    reader = videos.videos.sources.reader("a.mp4")
    read, steps = reader.read, set()

    def recorded(frames: np.ndarray) -> np.ndarray:
        steps.update(np.diff(frames).tolist())
        return read(frames)

    monkeypatch.setattr(reader, "read", recorded)
    for epoch in range(40):
        videos[Draw(epoch, 0)]
    assert steps == {2, 3, 4, 5}
    with pytest.raises(ValidationError, match=r"train_strides 5\.\.2 is empty"):
        VideoClipConfig(train_strides=(5, 2))


def test_a_stage_of_multigrid_draws_strides_and_short_sides_from_its_own_ranges(
    stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamped.write_stamped(tmp_path / "a.mp4", 40)
    (tmp_path / "list.txt").write_text("a.mp4 0\n")
    listing = str(tmp_path / "list.txt")
    videos = build_train_videos(
        VideoListConfig(videos=str(tmp_path), train=listing, val=listing),
        clip=VideoClipConfig(frames=4, stride=9),
        transform=VideoTransformConfig(train_short_side=(64, 64), train_crop=64, crop="random"),
        num_classes=1,
        seed=0,
    )
    reader = videos.videos.sources.reader("a.mp4")
    read, scaled, steps, sides = reader.read, video_transforms.scaled, set(), set()

    def recorded(frames: np.ndarray) -> np.ndarray:
        steps.update(np.diff(frames).tolist())
        return read(frames)

    def measured(frames: np.ndarray, short_side: int, at_least: int = 1) -> torch.Tensor:
        sides.add(short_side)
        return scaled(frames, short_side, at_least)

    monkeypatch.setattr(reader, "read", recorded)
    monkeypatch.setattr(video_transforms, "scaled", measured)
    for epoch in range(60):
        sample = videos[Draw(epoch, 0, ClipShape(frames=2, strides=(2, 8), side=32, short_side=(36, 40)))]
        assert not isinstance(sample, Unreadable)
        assert sample.clips.shape[-3:] == (2, 32, 32)
    assert steps == set(range(2, 9))
    assert sides == set(range(36, 41))

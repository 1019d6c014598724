from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from actiondet.config.recognition import VideoClipConfig, VideoListConfig, VideoTransformConfig
from actiondet.data.loading import Draw
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

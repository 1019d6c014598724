from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from actiondet.data.dense import DenseClips, VideoEnd, video_moments
from actiondet.datasets.tables import KeyTable, select_persons
from actiondet.datasets.tracks import FollowLimits, PersonIndex, Tracks
from actiondet.video.windows import ClipWindow
from evaluation.records import FrameKey, PersonBoxes
from tests.stamped_videos import HEIGHT, WIDTH, read_stamp, write_stamped


def test_dense_clips_show_the_box_of_each_of_their_frames(tmp_path: Path) -> None:
    write_stamped(tmp_path / "v.mp4", 12, rate=Fraction(10))
    keys = KeyTable.of([FrameKey("v", frame) for frame in range(1, 13)])
    # Somebody who stands, in frame n, 0.05 n from the left.
    found: list[PersonBoxes | None] = [
        PersonBoxes(key, np.array([(0.05 * n, 0.2, 0.05 * n + 0.2, 0.8)], np.float32), np.ones(1, np.float32))
        for n, key in enumerate(keys, start=1)
    ]
    persons = select_persons(keys, found, threshold=0, at_most=9)
    clips = DenseClips(
        video_moments(persons, {"v": tmp_path / "v.mp4"}),
        window=ClipWindow(frames=4, stride=2, clip_fps=None),
        short_sides=[HEIGHT, 2 * HEIGHT],
        batch=5,
        tracks=Tracks(found=PersonIndex.of(persons), true=None, limits=FollowLimits(beyond=30, max_gap=10)),
    )
    *batches, end = list(clips)
    assert end == VideoEnd("v")
    assert [len(sizes[0]) for sizes in batches if not isinstance(sizes, VideoEnd)] == [5, 5, 2]
    for sizes in batches:
        assert not isinstance(sizes, VideoEnd)
        batch, twice = sizes
        assert twice.keys == batch.keys
        assert twice.clips.shape[-2:] == (2 * HEIGHT, 2 * WIDTH)
        torch.testing.assert_close(torch.cat(list(twice.boxes)), 2 * torch.cat(list(batch.boxes)))
        for clip, boxes in zip(batch.clips, batch.boxes, strict=True):
            shown = [read_stamp(frame) + 1 for frame in clip.permute(1, 2, 3, 0).numpy()]
            assert boxes.shape == (1, 4, 4)
            np.testing.assert_allclose(boxes[0, :, 0].numpy() / WIDTH, 0.05 * np.array(shown), atol=1e-5)

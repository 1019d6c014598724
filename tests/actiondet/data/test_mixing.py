"""Mixup and CutMix: shares of clips and labels agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actiondet.config.recognition import MixingConfig
from actiondet.data.mixing import cut_window, mix_clips

# Every clip is a number of its own, so that its share of a mixed clip can be read off the mean.
CLIPS = torch.tensor([0.0, 1.0, 10.0, 100.0]).view(4, 1, 1, 1, 1).expand(4, 3, 2, 20, 30)
LABELS = torch.eye(4)


@pytest.mark.parametrize("cutmix_share", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_labels_are_shared_as_clips_are(cutmix_share: float, seed: int) -> None:
    config = MixingConfig(cutmix_share=cutmix_share, label_smoothing=0)

    clips, targets = mix_clips(CLIPS, LABELS, **dict(config), random=np.random.default_rng(seed))

    values = torch.tensor([0.0, 1.0, 10.0, 100.0])
    torch.testing.assert_close(clips.mean(dim=(1, 2, 3, 4)), targets @ values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(targets, targets.flip(0).flip(1))  # first with last, second with third
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))


def test_mixup_adds_and_cutmix_replaces() -> None:
    added, _ = mix_clips(CLIPS, LABELS, **dict(MixingConfig(cutmix_share=0)), random=np.random.default_rng(0))
    replaced, _ = mix_clips(CLIPS, LABELS, **dict(MixingConfig(cutmix_share=1)), random=np.random.default_rng(3))

    assert added[3].unique().numel() == 1
    assert set(replaced[3].unique().tolist()) == {0.0, 100.0}
    assert torch.equal(replaced[:, :, 0], replaced[:, :, 1])  # the window is the same in all frames
    assert CLIPS[3].unique().tolist() == [100.0]  # what came in stays


def test_labels_are_smoothed_with_and_without_a_mix() -> None:
    config = MixingConfig(probability=0, label_smoothing=0.1)

    clips, targets = mix_clips(CLIPS, LABELS, **dict(config), random=np.random.default_rng(0))

    assert torch.equal(clips, CLIPS)
    torch.testing.assert_close(targets, torch.full((4, 4), 0.025) + 0.9 * torch.eye(4))


def test_the_share_of_mixed_batches_is_that_of_the_settings() -> None:
    random = np.random.default_rng(0)
    config = MixingConfig(probability=0.3, cutmix_share=0)

    mixed = sum(not torch.equal(mix_clips(CLIPS, LABELS, **dict(config), random=random)[0], CLIPS) for _ in range(400))

    assert 90 < mixed < 150


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999, 1.0])
def test_a_window_lies_in_the_frame_and_takes_at_most_its_share(share: float) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        top, left, rows, columns = cut_window(24, 36, share, random)
        assert 0 <= top <= top + rows <= 24
        assert 0 <= left <= left + columns <= 36
        assert rows * columns <= (1 - share) * 24 * 36 + 1e-9

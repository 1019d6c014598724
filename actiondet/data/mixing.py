"""Two clips in one: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), with smoothed labels."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from actiondet.config.recognition import MixingConfig

Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""


def mix_clips(
    clips: Tensor, labels: Tensor, *, config: MixingConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each clip of a batch with its partner: the first with the last, the second with the one before, and so on.

    One draw decides for the whole batch whether and how, as in PySlowFast.

    Args:
        clips: (B, C, T, H, W) floats.
        labels: (B, classes), 1 for the clip's own.
        config: how much.
        random: where the draw comes from.

    Returns:
        The mixed clips, and (B, classes) targets that sum to 1: shares of both labels, smoothed.
    """
    smoothing = config.label_smoothing
    targets = labels * (1 - smoothing) + smoothing / labels.shape[1]
    if random.random() >= config.probability:
        return clips, targets
    if random.random() < config.cutmix_share:
        height, width = clips.shape[3:]
        stays = random.beta(config.cutmix_alpha, config.cutmix_alpha)
        top, left, rows, columns = cut_window(height, width, stays, random)
        clips, others = clips.clone(), clips.flip(0)
        window = (..., slice(top, top + rows), slice(left, left + columns))
        clips[window] = others[window]
        share = 1 - rows * columns / (height * width)
    else:
        share = random.beta(config.mixup_alpha, config.mixup_alpha)
        clips = clips * share + clips.flip(0) * (1 - share)
    return clips, targets * share + targets.flip(0) * (1 - share)


def cut_window(height: int, width: int, share: float, random: np.random.Generator) -> Window:
    """Draw a window of the shape of the frame that leaves `share` of it, its middle anywhere; the borders cut it."""
    scale = math.sqrt(1 - share)
    rows, columns = int(height * scale), int(width * scale)
    middle, center = int(random.integers(height)), int(random.integers(width))
    top, bottom = (min(max(middle + side, 0), height) for side in (-(rows // 2), rows // 2))
    left, right = (min(max(center + side, 0), width) for side in (-(columns // 2), columns // 2))
    return top, left, bottom - top, right - left

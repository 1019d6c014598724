"""Two clips in one: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), with smoothed labels."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""


def mix_clips(
    clips: Tensor,
    labels: Tensor,
    *,
    random: np.random.Generator,
    mixup_alpha: float,
    cutmix_alpha: float,
    cutmix_share: float,
    probability: float,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Mix each clip of a batch with its partner: the first with the last, the second with the one before, and so on.

    One draw decides for the whole batch whether and how, as in PySlowFast.

    Args:
        clips: (B, C, T, H, W) floats.
        labels: (B, classes), 1 for the clip's own.
        random: where the draw comes from.
        mixup_alpha, cutmix_alpha: of the Beta distributions that shares are drawn from.
        cutmix_share: probability of CutMix, where a batch is mixed; else mixup.
        probability: share of the batches that are mixed.
        label_smoothing: share of every label that all classes get in equal parts.

    Returns:
        The mixed clips, and (B, classes) targets that sum to 1: shares of both labels, smoothed.
    """
    targets = labels * (1 - label_smoothing) + label_smoothing / labels.shape[1]
    if random.random() >= probability:
        return clips, targets
    if random.random() < cutmix_share:
        height, width = clips.shape[3:]
        stays = random.beta(cutmix_alpha, cutmix_alpha)
        top, left, rows, columns = cut_window(height, width, stays, random)
        clips, others = clips.clone(), clips.flip(0)
        window = (..., slice(top, top + rows), slice(left, left + columns))
        clips[window] = others[window]
        share = 1 - rows * columns / (height * width)
    else:
        share = random.beta(mixup_alpha, mixup_alpha)
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

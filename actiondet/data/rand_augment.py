"""RandAugment (Cubuk et al. 2020) on clips: one draw for all frames of a clip, and boxes that move with them.

torchvision's own class takes no boxes and draws from torch's global state; its functions are used here, with its
fourteen operations and their strengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import (  # type: ignore[attr-defined]
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_sharpness,
    affine,
    autocontrast,
    equalize,
    posterize,
    solarize,
)

STRONGEST = 30
"""Magnitudes go from 0 to this, as in torchvision."""
_GRAY = [127.0, 127.0, 127.0]
"""What comes into view from beyond the frame."""

Boxed = tuple[Tensor, Tensor]
"""A clip (T, 3, H, W) uint8, a tv_tensors.Video, and boxes (P, 4), tv_tensors.BoundingBoxes."""
Operation = Callable[[Tensor, Tensor, float, int], Boxed]
"""A clip, boxes, a strength from 0 to 1 and a direction to a clip and boxes."""


def augmented(video: Tensor, boxes: Tensor, operations: int, magnitude: int, random: np.random.Generator) -> Boxed:
    """Change a clip by some operations in turn, drawn with repetition, either way with the same probability.

    Args:
        video: (T, 3, H, W) uint8, a tv_tensors.Video; its frames change alike.
        boxes: (P, 4), tv_tensors.BoundingBoxes; a turned box becomes the upright one around it, within the frame.
        operations: how many.
        magnitude: their strength, 0 to `STRONGEST`.
        random: where they come from.
    """
    for _ in range(operations):
        operation = OPERATIONS[int(random.integers(len(OPERATIONS)))]
        sign = 1 if random.random() < 0.5 else -1
        video, boxes = operation(video, boxes, magnitude / STRONGEST, sign)
    return video, boxes


def _same(video: Tensor, boxes: Tensor, strength: float, sign: int) -> Boxed:
    return video, boxes


def _shear(video: Tensor, boxes: Tensor, strength: float, sign: int, *, axis: int) -> Boxed:
    degrees = math.degrees(math.atan(0.3 * strength * sign))
    return _move(video, boxes, shear=(degrees, 0.0) if axis == 0 else (0.0, degrees))


def _shift(video: Tensor, boxes: Tensor, strength: float, sign: int, *, axis: int) -> Boxed:
    side = video.shape[-1] if axis == 0 else video.shape[-2]
    by = round(150 / 331 * strength * sign * side)
    return _move(video, boxes, shift=(by, 0) if axis == 0 else (0, by))


def _turn(video: Tensor, boxes: Tensor, strength: float, sign: int) -> Boxed:
    return _move(video, boxes, degrees=30 * strength * sign)


def _move(
    video: Tensor,
    boxes: Tensor,
    *,
    degrees: float = 0.0,
    shift: tuple[int, int] = (0, 0),
    shear: tuple[float, float] = (0.0, 0.0),
) -> Boxed:
    """Turn and shear (degrees) about the middle of the frame, and shift (pixels right and down)."""
    moved = affine(video, degrees, list(shift), 1.0, list(shear), interpolation=InterpolationMode.BILINEAR, fill=_GRAY)
    return moved, affine(boxes, degrees, list(shift), 1.0, list(shear))


def _color(change: Callable[[Tensor, float], Tensor]) -> Operation:
    """An operation on colors by a factor, which is 1 for no change."""
    return lambda video, boxes, strength, sign: (change(video, 1 + 0.9 * strength * sign), boxes)


OPERATIONS: tuple[Operation, ...] = (
    _same,
    lambda *clip: _shear(*clip, axis=0),
    lambda *clip: _shear(*clip, axis=1),
    lambda *clip: _shift(*clip, axis=0),
    lambda *clip: _shift(*clip, axis=1),
    _turn,
    _color(adjust_brightness),
    _color(adjust_saturation),
    _color(adjust_contrast),
    _color(adjust_sharpness),
    lambda video, boxes, strength, sign: (posterize(video, 8 - round(4 * strength)), boxes),
    lambda video, boxes, strength, sign: (solarize(video, 255 * (1 - strength)), boxes),
    lambda video, boxes, strength, sign: (autocontrast(video), boxes),
    lambda video, boxes, strength, sign: (equalize(video), boxes),
)

"""Changes of color in training: hue, saturation and value (HSV) of a whole clip shift by the same amounts."""

from __future__ import annotations

import torch
from torch import Tensor


def shifted_colors(frames: Tensor, *, hue: float, saturation: float, value: float) -> Tensor:
    """Shift the colors of a clip in HSV.

    Args:
        frames: (T, 3, H, W) uint8, RGB.
        hue: degrees; it goes round.
        saturation, value: added to what lies between 0 and 1, and held there.

    Returns:
        (T, 3, H, W) uint8.
    """
    hues, saturations, values = rgb_to_hsv(frames.float() / 255).unbind(-3)
    shifted = torch.stack(
        [(hues + hue) % 360, (saturations + saturation).clamp(0, 1), (values + value).clamp(0, 1)], dim=-3
    )
    return (hsv_to_rgb(shifted) * 255 + 0.5).to(torch.uint8)


def rgb_to_hsv(rgb: Tensor) -> Tensor:
    """(..., 3, H, W) red, green and blue, 0 to 1, to hue in degrees, saturation and value, 0 to 1 (Smith 1978)."""
    red, green, blue = rgb.unbind(-3)
    value, lowest = rgb.amax(-3), rgb.amin(-3)
    spread = value - lowest
    safe = torch.where(spread > 0, spread, 1.0)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = spread / torch.where(value > 0, value, 1.0)
    return torch.stack([hue * 60 % 360, saturation, value], dim=-3)


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """The inverse of `rgb_to_hsv`."""
    hue, saturation, value = hsv.unbind(-3)
    channels = []
    for shift in (5.0, 3.0, 1.0):
        place = (shift + hue / 60) % 6
        channels.append(value * (1 - saturation * torch.minimum(place, 4 - place).clamp(0, 1)))
    return torch.stack(channels, dim=-3)

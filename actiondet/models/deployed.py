"""Networks as they are exported: frames as a reader gives them in, scores between 0 and 1 out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.clip_network import ClipNetwork
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer


class DeployedDetector(nn.Module):
    """A detector with everything around it: resizing, normalisation, and what turns logits into scores.

    Args:
        network: the detector.
        short_side: pixels that the short side of a frame is scaled to.
        multi_label: scores are sigmoids (any number of actions a person), else a softmax (exactly one).
    """

    def __init__(self, network: ActionDetector, *, short_side: int, multi_label: bool) -> None:
        super().__init__()
        self.network = network
        self.short_side = short_side
        self.multi_label = multi_label

    def forward(self, frames: Tensor, boxes: Tensor, clip_of_box: Tensor) -> Tensor:
        """Score every box.

        Args:
            frames: (B, T, H, W, 3) uint8, RGB.
            boxes: (P, 4) float32, unit boxes.
            clip_of_box: (P,) int64, the clip that each box belongs to.

        Returns:
            (P, C) scores.
        """
        clips = scaled_clips(frames, self.short_side)
        height, width = clips.shape[3:]
        # Not one tensor made of the sizes: it would fix them at those of the example.
        pixel_boxes = torch.stack([boxes[:, i] * (width, height)[i % 2] for i in range(4)], dim=1)
        features = self.network.backbone(normalized(clips, self.network))
        logits = self.network.head.classify(self.network.head.pool_rows(features, pixel_boxes, clip_of_box))
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)


class DeployedRecognizer(nn.Module):
    """A recogniser with everything around it: resizing, the centre crop, normalisation and softmax.

    Args:
        network: the recogniser.
        short_side: pixels that the short side of a frame is scaled to.
        crop: side of the square that is cut from the middle, in pixels.
        round_up: where a pixel is left over, the square lies right and down of the middle (PySlowFast).
    """

    def __init__(self, network: ActionRecognizer, *, short_side: int, crop: int, round_up: bool) -> None:
        super().__init__()
        self.network = network
        self.short_side = short_side
        self.crop = crop
        self.round_up = round_up

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, H, W, 3) uint8 RGB frames to (B, C) scores."""
        clips = scaled_clips(frames, self.short_side)
        top, left = ((size - self.crop + self.round_up) // 2 for size in clips.shape[3:])
        clips = clips[..., top : top + self.crop, left : left + self.crop]
        logits: Tensor = self.network(normalized(clips, self.network))
        return logits.softmax(dim=1)


def scaled_clips(frames: Tensor, short_side: int) -> Tensor:
    """(B, T, H, W, 3) uint8 frames as (B, 3, T, H', W') float32 clips on the scale 0..255, the short side given.

    Bilinear without antialias and rounded to whole numbers, as training and testing do it.
    """
    batch, time, height, width, channels = frames.shape
    shorter = torch.sym_min(height, width)
    # As `scaled_size`: size * short_side / shorter, halves upward, in whole numbers.
    size = [(2 * side * short_side + shorter) // (2 * shorter) for side in (height, width)]
    pictures = frames.permute(0, 1, 4, 2, 3).reshape(batch * time, channels, height, width).float()
    pictures = F.interpolate(pictures, size=size, mode="bilinear", antialias=False)  # type: ignore[arg-type]
    pictures = (pictures + 0.501).floor()  # halves go up, whichever side of them a library's own rounding left them
    return pictures.reshape(batch, time, channels, *size).transpose(1, 2)


def normalized(clips: Tensor, network: ClipNetwork) -> Tensor:
    """`network.normalize` for clips that are floats already."""
    mean, std = (torch.tensor(values).view(-1, 1, 1, 1) for values in (network.mean, network.std))
    return (clips - mean) / std

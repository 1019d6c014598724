"""Networks as they are exported: frames as a reader gives them in, scores between 0 and 1 out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actiondet.models.clip_network import ClipNetwork
from actiondet.models.detector import ActionDetector
from actiondet.models.interpolation import resized_axis
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.records import Memory


class DeployedDetector(nn.Module):
    """A detector with everything around it: resizing, normalization, and what turns logits into scores.

    Args:
        network: the detector.
        short_side: pixels that the short side of a frame is scaled to.
        multi_label: scores are sigmoids (any number of actions a person), else a softmax (exactly one).
        memory: slots and channels of what a detector with a feature bank is given; None for one without.
    """

    def __init__(
        self, network: ActionDetector, *, short_side: int, multi_label: bool, memory: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.memory = memory
        self.network = network
        self.short_side = short_side
        self.multi_label = multi_label

    def forward(
        self,
        frames: Tensor,
        boxes: Tensor,
        clip_of_box: Tensor,
        remembered: Tensor | None = None,
        filled: Tensor | None = None,
    ) -> Tensor:
        """Score every box.

        Args:
            frames: (B, T, H, W, 3) uint8, RGB.
            boxes: (P, 4) float32, unit boxes; (P, T, 4) where the head follows tracks.
            clip_of_box: (P,) int64, the clip that each box belongs to.
            remembered: (B, L, C) float32, what a detector with a feature bank remembers; zeros in empty slots.
            filled: (B, L) bool, which slots are not empty.

        Returns:
            (P, C) scores.
        """
        clips = scaled_clips(frames, self.short_side)
        height, width = clips.shape[3:]
        # Not one tensor made of the sizes: it would fix them at those of the example.
        pixel_boxes = torch.stack([boxes[..., i] * (width, height)[i % 2] for i in range(4)], dim=-1)
        features = self.network.backbone(normalized(clips, self.network))
        head = self.network.head
        rows = head.pool_rows(features, head.widened(pixel_boxes, height, width), clip_of_box)
        if remembered is None or filled is None:
            logits = head.classify(rows)
        else:
            logits = head.classify_vectors(head.vectors(rows), Memory(remembered, filled, clip_of_box))
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)


class DeployedRecognizer(nn.Module):
    """A recognizer with everything around it: resizing, the center crop, normalization and softmax.

    Args:
        network: the recognizer.
        short_side: pixels that the short side of a frame is scaled to.
        crop: side of the square that is cut from the middle, in pixels.
        round_up: where a pixel is left over, the square lies right and down of the middle (PySlowFast).
    """

    def __init__(self, network: ActionRecognizer, *, short_side: int, crop: int, round_up: bool) -> None:
        super().__init__()
        self.network = network
        self.short_side = short_side
        self.crop = crop
        self.round_up = int(round_up)  # older versions of torch do not add a bool to a size

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, H, W, 3) uint8 RGB frames to (B, C) scores."""
        logits: Tensor = self.network(self.clips(frames))
        return logits.softmax(dim=1)

    def clips(self, frames: Tensor) -> Tensor:
        """(B, T, H, W, 3) uint8 RGB frames to (B, 3, T, crop, crop), normalized."""
        clips = scaled_clips(frames, self.short_side)
        top, left = ((size - self.crop + self.round_up) // 2 for size in clips.shape[3:])
        return normalized(clips[..., top : top + self.crop, left : left + self.crop], self.network)


class DeployedPathways(nn.Module):
    """A SlowFast recognizer whose pathways are given their frames apart.

    Args:
        whole: the same recognizer for undivided clips.
        backbone: its backbone.
    """

    def __init__(self, whole: DeployedRecognizer, backbone: SlowFast) -> None:
        super().__init__()
        self.whole = whole
        self.backbone = backbone

    def forward(self, slow_frames: Tensor, fast_frames: Tensor) -> Tensor:
        """(B, T / alpha, H, W, 3) and (B, T, H, W, 3) uint8 RGB frames to (B, C) scores."""
        maps = self.backbone.pathways(self.whole.clips(slow_frames), self.whole.clips(fast_frames))
        logits: Tensor = self.whole.network.head(maps)
        return logits.softmax(dim=1)


def scaled_clips(frames: Tensor, short_side: int) -> Tensor:
    """(B, T, H, W, 3) uint8 frames as (B, 3, T, H', W') float32 clips on the scale 0..255, the short side given.

    Bilinear without antialias and rounded to whole numbers, as training and testing do it.
    """
    height, width = frames.shape[2:4]
    shorter = torch.sym_min(height, width)
    # As `scaled_size`: size * short_side / shorter, halves upward, in whole numbers.
    rows, columns = ((2 * side * short_side + shorter) // (2 * shorter) for side in (height, width))
    clips = frames.permute(0, 4, 1, 2, 3)  # (B, 3, T, H, W)
    clips = resized_axis(resized_axis(clips, 3, rows), 4, columns)  # type: ignore[arg-type]  # numbers, or symbols
    # Halves go up, on whichever side of them an inexact sum left them.
    return (clips + 0.501).floor()


def normalized(clips: Tensor, network: ClipNetwork) -> Tensor:
    """`network.normalize` for clips that are floats already."""
    mean, std = (torch.tensor(values).view(-1, 1, 1, 1) for values in (network.mean, network.std))
    return (clips - mean) / std

"""The detector: what are the people in these boxes doing?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from actiondet.models.blocks import Backbone
from actiondet.models.heads import PersonHead

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class ClipNetwork(nn.Module):
    """A network that knows how its input is normalised.

    Attributes:
        mean, std: per channel, on the scale 0..255. They are settings, not weights: a network in half precision
            keeps them exact, and its state has no entry for them.
    """

    def __init__(self, *, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"mean {tuple(mean)} and std {tuple(std)}: expected as many of each, and std above 0")
        self.mean = tuple(mean)
        self.std = tuple(std)

    def normalize(self, clips: Tensor) -> Tensor:
        """(B, C, T, H, W) uint8 clips to float32 ones, as the network was trained on."""
        mean, std = (torch.tensor(v, device=clips.device).view(-1, 1, 1, 1) for v in (self.mean, self.std))
        return (clips.float() - mean) / std


class ActionDetector(ClipNetwork):
    """A backbone and a head that classifies people.

    Args:
        backbone: clips to feature maps.
        head: feature maps and boxes to logits.
        mean, std: input normalisation, per channel, on the scale 0..255.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: PersonHead,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(mean=mean, std=std)
        self.backbone = backbone
        self.head = head

    def forward(self, clips: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Score every person of every clip.

        Args:
            clips: (B, 3, T, H, W) float, normalised.
            boxes: B tensors (P_i, 4), pixel boxes of the clip.

        Returns:
            (sum of P_i, C) logits, clip by clip in order. On AVA-format sets C is the largest id, and column c is
            id c + 1.
        """
        if len(boxes) != len(clips):
            raise ValueError(f"{len(boxes)} lists of boxes for {len(clips)} clips")
        features = self.backbone(clips)
        people = self.head.pool(features, boxes)
        return self.head.classify(people)

"""The recognizer: what happens in this clip?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from actiondet.models.blocks import Backbone
from actiondet.models.clip_network import IMAGENET_MEAN, IMAGENET_STD, ClipNetwork
from actiondet.models.heads.recognition import RecognitionHead


class ActionRecognizer(ClipNetwork):
    """A backbone and a head that classifies whole clips.

    Args:
        backbone: clips to feature maps.
        head: feature maps to logits.
        mean, std: input normalization, per channel, on the scale 0..255.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: RecognitionHead,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(mean=mean, std=std)
        self.backbone = backbone
        self.head = head

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) normalized clips to (B, C) logits."""
        return self.head(self.backbone(clips))  # type: ignore[no-any-return]

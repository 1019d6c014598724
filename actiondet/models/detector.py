"""The detector: what are the people in these boxes doing?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from actiondet.models.blocks import Backbone
from actiondet.models.clip_network import IMAGENET_MEAN, IMAGENET_STD, ClipNetwork
from actiondet.models.heads.person import PersonHead
from actiondet.records import Memory


class ActionDetector(ClipNetwork):
    """A backbone and a head that classifies people.

    Args:
        backbone: clips to feature maps.
        head: feature maps and boxes to logits.
        mean, std: input normalization, per channel, on the scale 0..255.
        multi_label: what the logits are for, any number of actions a person or exactly one. Nothing here depends on
            it; weights that were trained for the other are refused by it.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: PersonHead,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        multi_label: bool = True,
    ) -> None:
        super().__init__(mean=mean, std=std)
        self.multi_label = multi_label
        self.backbone = backbone
        self.head = head

    def forward(self, clips: Tensor, boxes: Sequence[Tensor], memory: Memory | None = None) -> Tensor:
        """Score every person of every clip.

        Args:
            clips: (B, 3, T, H, W) float, normalized.
            boxes: B tensors (P_i, 4), pixel boxes of the clip; (P_i, T, 4) for a head that follows tracks.
            memory: of the clips, for a head with a feature bank.

        Returns:
            (sum of P_i, C) logits, clip by clip in order. On AVA-format sets C is the largest id, and column c is
            id c + 1, unless `data.classes` chooses among the ids.
        """
        people = self._people(clips, boxes)
        if memory is None:
            return self.head.classify(people)
        return self.head.classify_vectors(self.head.vectors(people), memory)

    def vectors(self, clips: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """(sum of P_i, C) features of every person: what a feature bank keeps, and `head.classify_vectors` takes."""
        return self.head.vectors(self._people(clips, boxes))

    def _people(self, clips: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """What the head pools."""
        if len(boxes) != len(clips):
            raise ValueError(f"{len(boxes)} lists of boxes for {len(clips)} clips")
        features = self.backbone(clips)
        height, width = clips.shape[-2:]
        return self.head.pool(features, [self.head.widened(each, height, width) for each in boxes])

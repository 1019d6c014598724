"""What a detector asks of its head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PersonHead(nn.Module):
    """What a detector asks of its head: features of the people first, their logits next.

    Attributes:
        follows_tracks: whether it takes a box of each person for every frame of the clip, instead of one for all.
    """

    follows_tracks: bool = False

    def pool(self, features: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Cut the people out: one feature map (B, C, T', H', W') per pathway, B tensors (P_i, 4) of pixel boxes.

        A head that follows tracks takes (P_i, T, 4): a box for each of the clip's frames.
        """
        # shape[0], since len() would fix the number of boxes in an exported network
        clip_index = torch.cat([box.new_full((box.shape[0],), i, dtype=torch.int64) for i, box in enumerate(boxes)])
        return self.pool_rows(features, torch.cat(list(boxes)), clip_index)

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """The same for (P, 4) pixel boxes in one tensor; clip_index (P,) are the clips that they belong to, from 0."""
        raise NotImplementedError

    def widened(self, boxes: Tensor, height: int, width: int) -> Tensor:
        """The (P, 4) boxes that are cut out for these persons of a picture of this size; here the same."""
        return boxes

    def classify(self, people: Tensor) -> Tensor:
        """(sum of P_i, num_actions) logits of what `pool` returned."""
        raise NotImplementedError

"""RoIAlign and a classifier: each person by its own box alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.heads.bank import BankOperator
from actiondet.models.heads.person import BoxHead
from actiondet.models.heads.pooling import TemporalPool, average_cells, joined_maps
from actiondet.models.precision import has_float64
from actiondet.records import Memory


class RoIHead(BoxHead):
    """RoIAlign of the time-pooled maps, the strongest response of each channel, and a linear layer or two.

    Args:
        channels: channels of each pathway's map (`backbone.channels`).
        num_actions: logits per person.
        stride, roi_size, aligned, sampling_ratio: as in BoxHead.
        temporal_pool: how a map loses its time axis before RoIAlign.
        box_margin: shares of their width and height by which boxes grow at test, half on each side; None: none.
        context: put the whole image, averaged to the same size, beside every person (twice the channels).
        classifier: "linear", or "mlp" with a hidden layer as wide as the features.
        dropout: share of the features dropped in training.
        dropout_at: drop "cells" of the person's map (MMAction2, PaddleVideo) or entries of the pooled "vector"
            (PySlowFast, pytorchvideo).
        bank: what it makes of a memory goes to the classifier beside the person's own features; None: no memory.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_actions: int,
        stride: int = 16,
        roi_size: int = 8,
        aligned: bool = True,
        sampling_ratio: int = 0,
        temporal_pool: TemporalPool = "avg",
        box_margin: tuple[float, float] | None = None,
        context: bool = False,
        classifier: Literal["linear", "mlp"] = "linear",
        dropout: float = 0.5,
        dropout_at: Literal["cells", "vector"] = "cells",
        bank: BankOperator | None = None,
    ) -> None:
        super().__init__(stride=stride, roi_size=roi_size, aligned=aligned, sampling_ratio=sampling_ratio)
        self.temporal_pool = temporal_pool
        self.box_margin = box_margin
        self.context = context
        self.dropout = dropout
        self.dropout_at = dropout_at
        self.bank = bank
        width = sum(channels) * (2 if context else 1)
        self.fc = classifier_layers(width + (0 if bank is None else bank.width), num_actions, classifier)

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """Cut the people out of the maps.

        Args:
            features: one map (B, C_i, T_i, H', W') per pathway; their lengths may differ.
            boxes: (P, 4) pixel boxes of the clips; none of them is fine.
            clip_index: (P,) int64, the clip that each box belongs to.

        Returns:
            (P, C, roi_size, roi_size). A box without area gives zeros where `aligned` (as in the references).
        """
        # Time goes first: pathways then agree in size, and RoIAlign works on one map instead of T.
        maps = joined_maps(features, self.temporal_pool)  # (B, C, H', W')
        people = self.cut(maps, boxes, clip_index)
        if self.context:
            surroundings = average_cells(maps.to(people.dtype), self.roi_size)  # (B, C, S, S)
            people = torch.cat([people, surroundings[clip_index]], dim=1)  # (P, 2 C, S, S)
        return people.to(features[0].dtype)

    def widened(self, boxes: Tensor, height: int, width: int) -> Tensor:
        """Boxes grown by `box_margin` at test, within the picture.

        As the authors of VideoMAE's detectors do it, a box from x1 to x2 is x2 - x1 + 1 wide, and the last pixel is
        the limit.
        """
        if self.box_margin is None or self.training:
            return boxes
        across, along = self.box_margin
        wide = (boxes[:, 2] - boxes[:, 0] + 1) * across / 2
        high = (boxes[:, 3] - boxes[:, 1] + 1) * along / 2
        x1, y1, x2, y2 = boxes.unbind(1)
        columns = [(x1 - wide).clamp(0, width - 1), (x2 + wide).clamp(0, width - 1)]
        rows = [(y1 - high).clamp(0, height - 1), (y2 + high).clamp(0, height - 1)]
        return torch.stack([columns[0], rows[0], columns[1], rows[1]], dim=1)

    def vectors(self, people: Tensor) -> Tensor:
        """(P, C, S, S) to (P, C)."""
        if self.dropout_at == "cells":
            people = F.dropout(people, self.dropout, self.training)
        return people.amax(dim=(2, 3))

    def classify(self, people: Tensor) -> Tensor:
        """What `pool_rows` returned to (P, num_actions) logits."""
        return self.classify_vectors(self.vectors(people))

    def classify_vectors(self, people: Tensor, memory: Memory | None = None) -> Tensor:
        """What `vectors` returned, and what is remembered where there is a bank, to (P, num_actions) logits."""
        if (memory is None) != (self.bank is None):
            raise ValueError("a head with a bank takes a memory, and no other head does")
        if self.bank is not None and memory is not None:
            people = torch.cat([people, self.bank(people, memory)], dim=1)
        if self.dropout_at == "vector":
            people = F.dropout(people, self.dropout, self.training)
        return self.fc(people)  # type: ignore[no-any-return]


class ActionLogits(nn.Linear):
    """A linear layer in which a logit does not depend on how many others there are.

    A matrix product in float32 rounds differently with each number of columns; here it is summed in float64, and what
    is lost in rounding is the same with 80 columns and with the 3 of them that are kept. Exported networks, and devices
    that have no float64, compute in float32.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(P, width) to (P, num_actions)."""
        if torch.compiler.is_exporting() or not has_float64(input.device):
            return super().forward(input)
        bias = None if self.bias is None else self.bias.double()
        return F.linear(input.double(), self.weight.double(), bias).to(self.weight.dtype)


def classifier_layers(width: int, num_actions: int, kind: Literal["linear", "mlp"]) -> nn.Module:
    """(P, width) to (P, num_actions) logits, in one layer or two."""
    layers: nn.Module = ActionLogits(width, num_actions)
    if kind == "mlp":
        layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), ActionLogits(width, num_actions))
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers

"""What a whole clip shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.heads.pooling import joined_maps


class RecognitionHead(nn.Module):
    """Average pooling over time and space, and a linear layer.

    Args:
        channels: channels of each pathway's map (`backbone.channels`).
        num_classes: logits per clip.
        window: cells, along height and width, averaged for one prediction; a larger image then gives several
            predictions (7 in PySlowFast and pytorchvideo). None averages over the whole image.
        average_positions: how several predictions of a clip become one: the mean of their "logits"
            (pytorchvideo), or of their "softmax" (PySlowFast, PaddleVideo).
        dropout: share of the pooled features dropped in training.
        bias: whether the linear layer has one.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_classes: int,
        window: int | None = None,
        average_positions: Literal["logits", "softmax"] = "logits",
        dropout: float = 0.5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.window = window
        self.average_positions = average_positions
        self.dropout = dropout
        self.fc = nn.Linear(sum(channels), num_classes, bias=bias)
        nn.init.normal_(self.fc.weight, std=0.01)
        if bias:
            nn.init.zeros_(self.fc.bias)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One map (B, C_i, T_i, H', W') per pathway to (B, num_classes) logits."""
        x = joined_maps(features, "avg")  # (B, C, H', W')
        x = x.mean(dim=(2, 3), keepdim=True) if self.window is None else F.avg_pool2d(x, self.window, stride=1)
        x = x.flatten(2).transpose(1, 2)  # (B, positions, C)
        logits: Tensor = self.fc(F.dropout(x, self.dropout, self.training))  # (B, positions, num_classes)
        if logits.shape[1] == 1:
            return logits[:, 0]
        if self.average_positions == "logits":
            return logits.mean(dim=1)
        # Logarithms of the mean probabilities are logits, too: their softmax is that mean.
        return logits.log_softmax(dim=2).logsumexp(dim=1) - torch.tensor(logits.shape[1]).log()

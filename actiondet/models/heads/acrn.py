"""Actor-centric relations: each person beside every place of the picture (Sun et al. 2018, arXiv 1807.10982)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.heads.pooling import joined_maps, with_nobody
from actiondet.models.heads.roi import RoIHead, classifier_layers


class AcrnHead(RoIHead):
    """A person's features beside those of every cell of the clip's map, convolutions, and their strongest response.

    As MMAction2 builds it: the person is the largest of each channel in the box, and reaches the classifier through
    the convolutions alone.

    Args:
        channels: channels of each pathway's map (`backbone.channels`).
        num_actions: logits per person.
        relation_channels: width of the convolutions; None is that of the maps, as published.
        num_convs: convolutions over 3x3 cells behind the one that joins person and map.
        conv_stride: of the first of them.
        roi: the other arguments of RoIHead, without `context`.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_actions: int,
        relation_channels: int | None = None,
        num_convs: int = 1,
        conv_stride: int = 1,
        **roi: Any,
    ) -> None:
        super().__init__(channels=channels, num_actions=num_actions, **roi)
        if self.context:
            raise ValueError("an ACRN head sees the whole map already; set context: false")
        self.conv_stride = conv_stride
        self.map_channels = sum(channels)
        width = self.map_channels if relation_channels is None else relation_channels
        self.join = nn.Conv2d(2 * self.map_channels, width, 1, bias=False)
        self.join_norm = nn.BatchNorm2d(width)
        self.convs = nn.ModuleList(NormedConv(width, conv_stride if i == 0 else 1) for i in range(num_convs))
        self.fc = classifier_layers(width, num_actions, "linear")
        nn.init.kaiming_normal_(self.join.weight, mode="fan_out", nonlinearity="relu")

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """Relate each person to the map of the clip.

        Args:
            features, boxes, clip_index: as in RoIHead.

        Returns:
            (P, relation_channels, H'', W''), the maps' size divided by `conv_stride`.
        """
        maps = joined_maps(features, self.temporal_pool)  # (B, C, H', W')
        people = self.cut(maps, boxes, clip_index).amax(dim=(2, 3)).to(maps.dtype)  # (P, C)
        return self.relate(people, maps, clip_index)

    def relate(self, people: Tensor, maps: Tensor, clip_index: Tensor) -> Tensor:
        """(P, C) people of the clips `clip_index` (P,) and (B, C, H', W') maps to (P, relation_channels, H'', W'')."""
        exporting = torch.compiler.is_exporting()
        if exporting:
            people, clip_index = with_nobody(people, clip_index)
        # A convolution of 1x1 over [person, map] is the sum of one over each: the map's is computed once a clip.
        of_person, of_map = self.join.weight[:, : self.map_channels], self.join.weight[:, self.map_channels :]
        x = F.conv2d(maps, of_map)[clip_index] + F.conv2d(people[:, :, None, None], of_person)
        x = F.relu(self.join_norm(x))
        for conv in self.convs:
            x = conv(x)
        return x[:-1] if exporting else x


class NormedConv(nn.Module):
    """A convolution over 3x3 cells, batch norm and ReLU."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(P, C, H, W) to (P, C, H / stride, W / stride)."""
        return F.relu(self.norm(self.conv(x)))

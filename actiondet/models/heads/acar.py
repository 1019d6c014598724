"""Actor-context-actor relations: what people do in view of others (Pan et al. 2021, arXiv 2006.07976)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.heads.person import BoxHead
from actiondet.models.heads.pooling import joined_maps, with_nobody
from actiondet.models.heads.roi import ActionLogits
from evaluation.errors import InputError


class AcarHead(BoxHead):
    """Each person beside every cell of the clip's map; at each cell, the persons of a clip attend to each other.

    As its authors build it, boxes are shares of the picture that are laid on all cells of the map, where the picture
    is not a multiple of the stride, too.

    Args:
        channels: channels of each pathway's map (`backbone.channels`).
        num_actions: logits per person.
        stride, roi_size, aligned, sampling_ratio: as in BoxHead.
        reduced_channels: what the joined maps are reduced to.
        relation_channels: width of the relations.
        layers: how often the persons attend to each other.
        output_kernel: side of the convolution behind the attention: 3 (R50), or 1 (R101).
        halved: whether maps are halved before the attention.
        dropout: share of what attention adds that is dropped in training.
        bias: whether the classifier has one.
        exclusive_actions: of the first so many actions, a person does exactly one: their scores are a softmax. 0: each
            action is scored by itself.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_actions: int,
        stride: int = 16,
        roi_size: int = 7,
        aligned: bool = False,
        sampling_ratio: int = 0,
        reduced_channels: int = 1024,
        relation_channels: int = 512,
        layers: int = 2,
        output_kernel: Literal[1, 3] = 3,
        halved: bool = True,
        dropout: float = 0.2,
        bias: bool = True,
        exclusive_actions: int = 0,
    ) -> None:
        super().__init__(stride=stride, roi_size=roi_size, aligned=aligned, sampling_ratio=sampling_ratio)
        if exclusive_actions == 1 or exclusive_actions > num_actions:
            raise ValueError(
                f"exclusive_actions {exclusive_actions}: expected 0, or from 2 to {num_actions}, the number of actions"
            )
        self.reduced_channels = reduced_channels
        self.halved = halved
        self.exclusive_actions = exclusive_actions
        self.reduce = nn.Conv2d(sum(channels), reduced_channels, 1, bias=False)
        self.join = nn.Conv2d(2 * reduced_channels, relation_channels, 1, bias=False)
        self.conv = nn.Conv2d(relation_channels, relation_channels, 3, bias=False)
        self.relations = nn.ModuleList(
            PersonAttention(relation_channels, output_kernel=output_kernel, dropout=dropout) for _ in range(layers)
        )
        self.person = nn.Linear(reduced_channels, relation_channels, bias=False)
        self.fc = ActionLogits(2 * relation_channels, num_actions, bias=bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def widened(self, boxes: Tensor, height: int, width: int) -> Tensor:
        """Boxes as shares of the picture, in pixels of the whole cells that cover it."""
        x1, y1, x2, y2 = boxes.unbind(1)
        across, along = ((size + self.stride - 1) // self.stride * self.stride for size in (width, height))
        return torch.stack([x1 * across / width, y1 * along / height, x2 * across / width, y2 * along / height], dim=1)

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """What a person looks like, and what it does in view of the others.

        Args:
            features: one map (B, C_i, T_i, H', W') per pathway; their lengths may differ.
            boxes: (P, 4) pixel boxes of the clips; none of them is fine.
            clip_index: (P,) int64, the clip that each box belongs to.

        Returns:
            (P, 2 * relation_channels).

        Raises:
            InputError: maps of fewer than three cells a side, which is what a convolution without padding looks over.
        """
        maps = self.reduce(joined_maps(features, "avg"))  # (B, reduced_channels, H', W')
        people = self.cut(maps, boxes, clip_index)
        return torch.cat([F.relu(self.person(people)), self.relate(people, maps, clip_index)], dim=1)

    def cut(self, maps: Tensor, boxes: Tensor, map_index: Tensor) -> Tensor:
        """The largest of each channel in every box: (P, reduced_channels)."""
        return super().cut(maps, boxes, map_index).amax(dim=(2, 3)).to(maps.dtype)

    def relate(self, people: Tensor, maps: Tensor, clip_index: Tensor) -> Tensor:
        """(P, reduced_channels) people and the (B, reduced_channels, H', W') maps to (P, relation_channels)."""
        rows, columns = maps.shape[2:]
        if rows < 3 or columns < 3:
            raise InputError(
                f"an ACAR head needs maps of at least 3x3 cells, this one has {rows}x{columns}; expected pictures of "
                f"more than {2 * self.stride} pixels a side (transform.test_short_side, transform.train_crop)"
            )
        exporting = torch.compiler.is_exporting()
        if exporting:
            people, clip_index = with_nobody(people, clip_index)
        # A convolution of 1x1 over [map, person] is the sum of one over each: the map's is computed once a clip.
        of_map, of_person = self.join.weight[:, : self.reduced_channels], self.join.weight[:, self.reduced_channels :]
        x = F.relu(F.conv2d(maps, of_map)[clip_index] + F.conv2d(people[:, :, None, None], of_person))
        x = F.relu(self.conv(x))
        if self.halved:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        for attention in self.relations:
            x = attention(x, clip_index)
        related = x.mean(dim=(2, 3))
        return related[:-1] if exporting else related

    def classify(self, people: Tensor) -> Tensor:
        """What `pool_rows` returned to (P, num_actions) logits; their sigmoids are the scores."""
        logits: Tensor = self.fc(people)
        return exclusive_logits(logits, self.exclusive_actions) if self.exclusive_actions else logits


class PersonAttention(nn.Module):
    """At each cell, every person attends to all persons of the clip (the non-local form of the paper's relations)."""

    def __init__(self, channels: int, *, output_kernel: Literal[1, 3], dropout: float) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.key = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.value = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(1, channels)
        self.out = nn.Conv2d(channels, channels, output_kernel, padding=output_kernel // 2, bias=False)
        self.dropout = dropout

    def forward(self, people: Tensor, clip_index: Tensor) -> Tensor:
        """(P, C, H, W) of people in the clips `clip_index` (P,) to the same."""
        query, key, value = (_by_cell(layer(people)) for layer in (self.query, self.key, self.value))  # (H W, P, C)
        scores = query @ key.transpose(1, 2) / people.shape[1] ** 0.5  # (H W, P, P)
        strangers = clip_index[:, None] != clip_index[None, :]
        shares = scores.masked_fill(strangers, float("-inf")).softmax(dim=2)
        seen = (shares @ value).permute(1, 2, 0).view_as(people)
        added = self.out(F.relu(self.norm(seen)))
        return people + F.dropout(added, self.dropout, self.training)


def _by_cell(people: Tensor) -> Tensor:
    """(P, C, H, W) to (H W, P, C)."""
    return people.flatten(2).permute(2, 0, 1)


def exclusive_logits(logits: Tensor, count: int) -> Tensor:
    """Logits whose sigmoids are a softmax over the first `count` columns, and as they were in the others.

    The odds of one of several exclusive actions are those of it against all others together, so a softmax of x has
    the logits x_i - logsumexp of all other x_j. Binary cross-entropy of them is that of the softmax.
    """
    exclusive, others = logits[:, :count], logits[:, count:]
    itself = torch.eye(count, dtype=torch.bool, device=logits.device)
    rivals = exclusive[:, None, :].masked_fill(itself, float("-inf")).logsumexp(dim=2)  # (P, count)
    return torch.cat([exclusive - rivals, others], dim=1)

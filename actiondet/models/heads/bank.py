"""What was and will be seen around a clip, added to what the clip shows of a person.

After Wu et al. 2019 (Long-Term Feature Banks, arXiv 1812.05038). A memory has a slot for each of some persons of each
second; how persons get there is `actiondet.datasets.feature_bank`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.records import Memory


class BankOperator(nn.Module):
    """Makes one vector of what a memory holds, for each person.

    Attributes:
        width: length of these vectors.
    """

    width: int

    def forward(self, people: Tensor, memory: Memory) -> Tensor:
        """(P, C) features of persons to (P, width); `memory` says which clip each person is of."""
        raise NotImplementedError


class BankPool(BankOperator):
    """The mean or the largest value of each channel; an empty memory gives zeros.

    Args:
        channels: of the memory.
        operator: "avg" or "max".
        mask_empty: leave empty slots out; else they count as zeros, as in the published networks.
    """

    def __init__(self, *, channels: int, operator: Literal["max", "avg"], mask_empty: bool = True) -> None:
        super().__init__()
        self.width = channels
        self.operator = operator
        self.mask_empty = mask_empty

    def forward(self, people: Tensor, memory: Memory) -> Tensor:
        """As of the class above."""
        slots = memory.features.to(people.dtype)  # (B, L, C); zeros where empty
        filled = memory.filled[..., None]
        if self.operator == "avg":
            count = filled.sum(dim=1).clamp(min=1) if self.mask_empty else slots.shape[1]
            pooled = slots.sum(dim=1) / count
        elif self.mask_empty:
            least = torch.finfo(slots.dtype).min
            pooled = slots.masked_fill(~filled, least).amax(dim=1)
            pooled = pooled.masked_fill(~filled.any(dim=1), 0.0)
        else:
            pooled = slots.amax(dim=1)
        return pooled[memory.clip_index]


class BankAttention(BankOperator):
    """Layers in which each person attends to all slots of the memory.

    Args:
        channels: of the persons' features.
        bank_channels: of the memory.
        latent: channels of the layers and of the result.
        layers: how many.
        dropout: share of the values dropped, in training, behind the first projections and behind each layer.
        pre_activate: normalize and rectify what a layer has gathered before its last projection; else the projection
            is normalized, and the sum rectified.
        mask_empty: leave empty slots out of the softmax. In the published networks they take part, as zeros.
        zero_init: layers begin by adding nothing, as the authors' do; MMAction2's begin at random.
    """

    operator: Literal["nonlocal"] = "nonlocal"

    def __init__(
        self,
        *,
        channels: int,
        bank_channels: int,
        latent: int = 512,
        layers: int = 2,
        dropout: float = 0.2,
        pre_activate: bool = True,
        mask_empty: bool = True,
        zero_init: bool = True,
    ) -> None:
        super().__init__()
        self.width = latent
        self.dropout = dropout
        self.pre_activate = pre_activate
        self.mask_empty = mask_empty
        self.short = nn.Linear(channels, latent)
        self.long = nn.Linear(bank_channels, latent)
        self.layers = nn.ModuleList(
            BankAttentionLayer(latent, dropout=dropout, pre_activate=pre_activate) for _ in range(layers)
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                nn.init.kaiming_normal_(parameter, mode="fan_in", nonlinearity="linear")
        if zero_init:
            for name, parameter in self.layers.named_parameters():
                if name.endswith("out.weight" if pre_activate else "norm.weight"):
                    nn.init.zeros_(parameter)

    def forward(self, people: Tensor, memory: Memory) -> Tensor:
        """As of the class above."""
        slots = F.dropout(self.long(memory.features.to(people.dtype)), self.dropout, self.training)  # (B, L, latent)
        filled = memory.filled if self.mask_empty else torch.ones_like(memory.filled)
        found = F.dropout(self.short(people), self.dropout, self.training)
        for layer in self.layers:
            found = layer(found, slots, filled, memory.clip_index)
        return found


class BankAttentionLayer(nn.Module):
    """One layer of attention, with what it gathers added to its input."""

    def __init__(self, latent: int, *, dropout: float, pre_activate: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.pre_activate = pre_activate
        self.theta = nn.Linear(latent, latent)
        self.phi = nn.Linear(latent, latent)
        self.g = nn.Linear(latent, latent)
        self.norm = nn.LayerNorm(latent)
        self.out = nn.Linear(latent, latent)

    def forward(self, people: Tensor, slots: Tensor, filled: Tensor, clip_index: Tensor) -> Tensor:
        """(P, latent) persons, (B, L, latent) slots of which those of (B, L) `filled` count, to (P, latent)."""
        theta = self.theta(people)[:, None]  # (P, 1, latent)
        scores = (theta * self.phi(slots)[clip_index]).sum(dim=2) / people.shape[1] ** 0.5  # (P, L)
        seen = filled[clip_index]
        # A finite number instead of minus infinity: of nothing at all the softmax then still is a number.
        shares = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(dim=1) * seen
        gathered = (shares[..., None] * self.g(slots)[clip_index]).sum(dim=1)
        added = self.out(F.relu(self.norm(gathered))) if self.pre_activate else self.norm(self.out(gathered))
        found = people + F.dropout(added, self.dropout, self.training)
        return found if self.pre_activate else F.relu(found)

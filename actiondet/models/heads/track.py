"""A head that follows each person: RoIAlign crops each person's own box in every frame's map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actiondet.models.heads.pooling import average_cells, joined_maps, pool_over
from actiondet.models.heads.roi import RoIHead, classifier_layers


class TrackHead(RoIHead):
    """RoIAlign along tracks, after Singh et al. 2022 (TAAD, arXiv 2209.02250).

    Boxes are (P, T, 4), one for each frame of the clip. A box of all frames, (P, 4), is taken to stand still; with
    `temporal_pool` "avg" the head then scores as RoIHead does, whose parameters it has.

    Args:
        channels, num_actions, context, classifier: as in RoIHead; each map of the `context` loses its time axis first,
            as a person's features do.
        track_head: "pool" cuts people out of the maps and pools over time; "conv" takes the strongest response of
            each channel in every frame, and lets two convolutions look over time before it pools.
        conv_channels: width of these convolutions.
        spread_frames: a map with fewer frames than the clip shows frames spread evenly from the first to the last
            one, instead of every n-th.
        roi: the other arguments of RoIHead, without `box_margin`.
    """

    follows_tracks = True

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_actions: int,
        context: bool = False,
        classifier: Literal["linear", "mlp"] = "linear",
        track_head: Literal["pool", "conv"] = "pool",
        conv_channels: int = 256,
        spread_frames: bool = False,
        **roi: Any,
    ) -> None:
        super().__init__(channels=channels, num_actions=num_actions, context=context, classifier=classifier, **roi)
        if self.box_margin is not None:
            raise ValueError("box_margin is for static boxes; a head that follows tracks has none")
        self.spread_frames = spread_frames
        self.convolutions: TemporalConvolutions | None = None
        if track_head == "conv":
            width = sum(channels) * (2 if context else 1)
            self.convolutions = TemporalConvolutions(width, conv_channels)
            self.fc = classifier_layers(
                conv_channels + (0 if self.bank is None else self.bank.width), num_actions, classifier
            )

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """Cut the people out of the maps, frame by frame.

        Args:
            features: one map (B, C_i, T_i, H', W') per pathway; their lengths may differ, the last is the longest.
            boxes: (P, T, 4) pixel boxes of the clips' frames, or (P, 4).
            clip_index: (P,) int64, the clip that each box belongs to.

        Returns:
            (P, C, roi_size, roi_size); with "conv" (P, C, T_i of the last).
        """
        boxes = boxes[:, None] if boxes.ndim == 2 else boxes
        pathways = [self._cut(feature, boxes, clip_index) for feature in features]  # (P, T_i, C_i, S, S)
        if self.convolutions is None:
            people = torch.cat([pool_over(each, 1, self.temporal_pool) for each in pathways], dim=1)
        else:
            frames = features[-1].shape[2]
            sequences = [each.amax(dim=(3, 4)).transpose(1, 2) for each in pathways]  # (P, C_i, T_i)
            people = torch.cat([each[:, :, self._frames(frames, each.shape[2])] for each in sequences], dim=1)
        if self.context:
            maps = joined_maps(features, self.temporal_pool)
            surroundings = average_cells(maps.to(people.dtype), self.roi_size)[clip_index]  # (P, C, S, S)
            if self.convolutions is not None:
                surroundings = surroundings.amax(dim=(2, 3))[:, :, None].expand(-1, -1, people.shape[2])
            people = torch.cat([people, surroundings], dim=1)
        return people.to(features[0].dtype)

    def vectors(self, people: Tensor) -> Tensor:
        """What `pool_rows` returned to (P, C); with "conv" C is `conv_channels`."""
        if self.convolutions is None:
            return super().vectors(people)
        if self.dropout_at == "cells":
            people = F.dropout(people, self.dropout, self.training)
        return pool_over(self.convolutions(people), 2, self.temporal_pool)

    def _cut(self, feature: Tensor, boxes: Tensor, clip_index: Tensor) -> Tensor:
        """(B, C, T', H', W') and boxes (P, T, 4) to (P, T', C, S, S): each frame's map in its own box."""
        frames = feature.shape[2]
        maps = feature.transpose(1, 2).flatten(0, 1)  # (B T', C, H', W')
        # Rows are looked up rather than reshaped: torch.export would assume at least one person.
        row = torch.arange(boxes.shape[0] * frames, device=boxes.device)  # (P T')
        person = row // frames
        frame = row - person * frames  # ONNX has no % of a size that is known at run time only
        own = boxes[person, self._frames(frames, boxes.shape[1], device=boxes.device)[frame]]
        people = self.cut(maps, own, clip_index[person] * frames + frame)  # (P T', C, S, S)
        first = torch.arange(boxes.shape[0], device=boxes.device)[:, None] * frames
        return people[first + torch.arange(frames, device=boxes.device)]

    def _frames(self, count: int, length: int, device: torch.device | None = None) -> Tensor:
        """(count,) which of `length` frames each of `count` frames shows, or is shown by."""
        number = torch.arange(count, device=device)
        if self.spread_frames and count < length:
            return number * (length - 1) // max(count - 1, 1)
        return number * length // count


class TemporalConvolutions(nn.Module):
    """A projection, and two convolutions over three frames beside it."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv1d(in_channels, channels, 1)
        self.conv_a = nn.Conv1d(channels, channels, 3, padding=1)
        self.conv_b = nn.Conv1d(channels, channels, 3, padding=1)
        for layer in (self.project, self.conv_a, self.conv_b):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, people: Tensor) -> Tensor:
        """(P, in_channels, T) to (P, channels, T)."""
        x = self.project(people)
        return F.relu(x + self.conv_b(F.relu(self.conv_a(F.relu(x)))))

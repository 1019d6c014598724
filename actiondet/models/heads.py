"""From feature maps to logits: people in boxes (detection) and whole clips (recognition)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

TemporalPool = Literal["avg", "max"]


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


class RoIHead(PersonHead):
    """RoIAlign of the time-pooled maps, the strongest response of each channel, and a linear layer or two.

    Args:
        channels: channels of each pathway's map (`backbone.channels`).
        num_actions: logits per person.
        stride: pixels of the clip per cell of the maps (`backbone.stride`).
        roi_size: cells of a person's map: 8 in MMAction2 and PaddleVideo, 7 in PySlowFast and pytorchvideo.
        aligned: RoIAlign with the half-cell correction (all but Caffe2's and pytorchvideo's weights).
        sampling_ratio: samples per cell and axis; 0 takes one per cell of the map, as all published weights do.
        temporal_pool: how a map loses its time axis before RoIAlign.
        box_margin: shares of their width and height by which boxes grow at test, half on each side; None: none.
        context: put the whole image, averaged to the same size, beside every person (twice the channels).
        classifier: "linear", or "mlp" with a hidden layer as wide as the features.
        dropout: share of the features dropped in training.
        dropout_at: drop "cells" of the person's map (MMAction2, PaddleVideo) or entries of the pooled "vector"
            (PySlowFast, pytorchvideo).
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
    ) -> None:
        super().__init__()
        self.stride = stride
        self.roi_size = roi_size
        self.aligned = aligned
        self.sampling_ratio = sampling_ratio
        self.temporal_pool = temporal_pool
        self.box_margin = box_margin
        self.context = context
        self.dropout = dropout
        self.dropout_at = dropout_at
        width = sum(channels) * (2 if context else 1)
        self.fc = classifier_layers(width, num_actions, classifier)

    def pool_rows(self, features: Sequence[Tensor], boxes: Tensor, clip_index: Tensor) -> Tensor:
        """Cut the people out of the maps.

        Args:
            features: one map (B, C_i, T_i, H', W') per pathway; their lengths may differ.
            boxes: (P, 4) pixel boxes of the clips; none of them is fine.
            clip_index: (P,) int64, the clip that each box belongs to.

        Returns:
            (P, C, roi_size, roi_size). A box without area gives zeros where `aligned` (as in the references).
        """
        if boxes.ndim != 2:
            raise ValueError(f"boxes of shape {tuple(boxes.shape)}; expected (P, 4), this head follows no tracks")
        # Time goes first: pathways then agree in size, and RoIAlign works on one map instead of T.
        maps = torch.cat([pool_time(feature, self.temporal_pool) for feature in features], dim=1)  # (B, C, H', W')
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # half-precision boxes would miss by pixels
        rois = torch.cat([clip_index[:, None].to(maps), boxes.to(maps)], dim=1)  # (P, 5)
        people = roi_align(maps, rois, self.roi_size, 1 / self.stride, self.sampling_ratio, self.aligned)
        if self.context:
            surroundings = average_cells(maps, self.roi_size)  # (B, C, S, S)
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

    def classify(self, people: Tensor) -> Tensor:
        """(P, C, S, S) to (P, num_actions) logits."""
        if self.dropout_at == "cells":
            people = F.dropout(people, self.dropout, self.training)
        people = people.amax(dim=(2, 3))  # (P, C)
        if self.dropout_at == "vector":
            people = F.dropout(people, self.dropout, self.training)
        return self.fc(people)  # type: ignore[no-any-return]


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
        x = torch.cat([pool_time(feature, "avg") for feature in features], dim=1)  # (B, C, H', W')
        x = x.mean(dim=(2, 3), keepdim=True) if self.window is None else F.avg_pool2d(x, self.window, stride=1)
        x = x.flatten(2).transpose(1, 2)  # (B, positions, C)
        logits: Tensor = self.fc(F.dropout(x, self.dropout, self.training))  # (B, positions, num_classes)
        if logits.shape[1] == 1:
            return logits[:, 0]
        if self.average_positions == "logits":
            return logits.mean(dim=1)
        # Logarithms of the mean probabilities are logits, too: their softmax is that mean.
        return logits.log_softmax(dim=2).logsumexp(dim=1) - torch.tensor(logits.shape[1]).log()


def classifier_layers(width: int, num_actions: int, kind: Literal["linear", "mlp"]) -> nn.Module:
    """(P, width) to (P, num_actions) logits, in one layer or two."""
    layers: nn.Module = nn.Linear(width, num_actions)
    if kind == "mlp":
        layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, num_actions))
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers


def pool_time(feature: Tensor, mode: TemporalPool) -> Tensor:
    """(B, C, T, H, W) to (B, C, H, W)."""
    return pool_over(feature, 2, mode)


def pool_over(values: Tensor, axis: int, mode: TemporalPool) -> Tensor:
    """The mean or the largest of `values` along one axis, which goes."""
    return values.mean(dim=axis) if mode == "avg" else values.amax(dim=axis)


def average_cells(maps: Tensor, size: int) -> Tensor:
    """(B, C, H, W) to (B, C, size, size): adaptive average pooling as two small matrix products.

    Written out because an exported adaptive pooling keeps the image size of its example; this one does not.
    """
    rows = _cell_weights(maps.shape[2], size, maps)  # (size, H)
    columns = _cell_weights(maps.shape[3], size, maps)  # (size, W)
    return rows @ maps @ columns.T


def _cell_weights(length: int, size: int, like: Tensor) -> Tensor:
    """(size, length): row i averages the positions floor(i L / S) to ceil((i + 1) L / S)."""
    cell = torch.arange(size, device=like.device)[:, None]
    position = torch.arange(length, device=like.device)[None, :]
    begin, end = cell * length // size, ((cell + 1) * length + size - 1) // size
    return ((position >= begin) & (position < end)).to(like) / (end - begin)

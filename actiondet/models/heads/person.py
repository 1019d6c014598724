"""What a detector asks of its head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from actiondet.models.heads.bank import BankOperator
from actiondet.records import Memory
from evaluation.errors import InputError


class PersonHead(nn.Module):
    """What a detector asks of its head: features of the people first, their logits next.

    Attributes:
        follows_tracks: whether it takes a box of each person for every frame of the clip, instead of one for all.
        bank: what looks into a memory; None for a head that remembers nothing.
    """

    follows_tracks: bool = False
    bank: BankOperator | None

    def __init__(self) -> None:
        super().__init__()
        self.bank = None  # not of the class, which would hide a module of this name

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

    def vectors(self, people: Tensor) -> Tensor:
        """(sum of P_i, C) of what `pool` returned: what a feature bank keeps of each person."""
        raise InputError(f"a {type(self).__name__} makes no vector of a person, which a feature bank needs")

    def classify_vectors(self, people: Tensor, memory: Memory | None = None) -> Tensor:
        """(sum of P_i, num_actions) logits of what `vectors` returned; `memory` is for a head with a feature bank."""
        raise InputError(f"a {type(self).__name__} has no feature bank")


class BoxHead(PersonHead):
    """A head that cuts people out of a map by RoIAlign.

    Args:
        stride: pixels of the clip per cell of the maps (`backbone.stride`).
        roi_size: cells of a person's map: 8 in MMAction2 and PaddleVideo, 7 in PySlowFast, pytorchvideo and ACAR-Net.
        aligned: with the half-cell correction (all but Caffe2's, pytorchvideo's and ACAR-Net's weights).
        sampling_ratio: samples per cell and axis; 0 takes one per cell of the map, as all published weights do.
    """

    def __init__(self, *, stride: int, roi_size: int, aligned: bool, sampling_ratio: int) -> None:
        super().__init__()
        self.stride, self.roi_size = stride, roi_size
        self.aligned, self.sampling_ratio = aligned, sampling_ratio

    def cut(self, maps: Tensor, boxes: Tensor, map_index: Tensor) -> Tensor:
        """(B, C, H', W') maps and (P, 4) boxes, in pixels of the clips, to (P, C, roi_size, roi_size).

        It is in float32 at least. `map_index` (P,) int64 says which map each box is cut from. A box without area gives
        zeros where `aligned` (as in the references).
        """
        if boxes.ndim != 2:
            raise ValueError(f"boxes of shape {tuple(boxes.shape)}; expected (P, 4), this head follows no tracks")
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # half-precision boxes would miss by pixels
        rois = torch.cat([map_index[:, None].to(maps), boxes.to(maps)], dim=1)  # (P, 5)
        return roi_align(maps, rois, self.roi_size, 1 / self.stride, self.sampling_ratio, self.aligned)

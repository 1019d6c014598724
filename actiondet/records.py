"""What flows from data to model (torch). Boxes are *pixel boxes* of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.records import FrameKey


class Memory(NamedTuple):
    """What a feature bank holds around each of B clips: L slots, some of which may be empty.

    A tuple, because a network takes it, and what spreads networks over processes looks into tuples.

    Attributes:
        features: (B, L, C) float16 or float32; zeros where a slot is empty.
        filled: (B, L) bool.
        clip_index: (P,) int64, the clip that each person belongs to.
    """

    features: Tensor
    filled: Tensor
    clip_index: Tensor

    @classmethod
    def of(cls, clips: Sequence[ClipMemory], counts: Sequence[int], device: torch.device | str) -> Memory:
        """Those of several clips, with so many persons each."""
        return cls(
            torch.stack([each.features for each in clips]).to(device),
            torch.stack([each.filled for each in clips]).to(device),
            torch.repeat_interleave(torch.arange(len(clips)), torch.tensor(list(counts))).to(device),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ClipMemory:
    """What a feature bank holds around one clip.

    Attributes:
        features: (L, C) float16; zeros where a slot is empty.
        filled: (L,) bool.
    """

    features: Tensor
    filled: Tensor

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.filled.shape != self.features.shape[:1]:
            raise ValueError(
                f"features of shape {tuple(self.features.shape)}, filled of {tuple(self.filled.shape)}; "
                "expected (L, C) and (L,)"
            )

    def __repr__(self) -> str:
        return f"ClipMemory({int(self.filled.sum())} of {len(self.filled)} slots)"


@dataclass(frozen=True, eq=False, repr=False)
class ClipSample:
    """One clip around one moment and the persons in it.

    Attributes:
        frames: (3, T, H, W) uint8, RGB.
        boxes: (P, 4) float32 pixel boxes of this clip; (P, T, 4) where a head follows tracks.
        labels: (P, C) float32, 1 where the person does the action; None when testing.
        key: video and moment.
        memory: what a feature bank holds around it; None for a network without.
    """

    frames: Tensor
    boxes: Tensor
    labels: Tensor | None
    key: FrameKey
    memory: ClipMemory | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[0] != 3:
            raise ValueError(f"frames have shape {tuple(self.frames.shape)}, expected (3, T, H, W)")
        if self.boxes.shape[-1] != 4 or self.boxes.ndim not in (2, 3):
            raise ValueError(f"boxes have shape {tuple(self.boxes.shape)}, expected (P, 4) or (P, T, 4)")
        if self.labels is not None and len(self.labels) != len(self.boxes):
            raise ValueError(f"{len(self.labels)} rows of labels for {len(self.boxes)} boxes")

    def __repr__(self) -> str:
        return f"ClipSample({self.key.video}@{self.key.moment}, {tuple(self.frames.shape)}, {len(self.boxes)} boxes)"


@dataclass(frozen=True, eq=False, repr=False)
class ClipBatch:
    """Clips of one size, side by side.

    Attributes:
        clips: (B, 3, T, H, W) uint8.
        boxes: B tensors (P_i, 4) of pixel boxes; (P_i, T, 4) where a head follows tracks.
        labels: B tensors (P_i, C), or None when testing.
        keys: B keys.
        memories: what a feature bank holds around each; None for a network without.
    """

    clips: Tensor
    boxes: Sequence[Tensor]
    labels: Sequence[Tensor] | None
    keys: Sequence[FrameKey]
    memories: Sequence[ClipMemory] | None = None

    def __post_init__(self) -> None:
        if self.clips.ndim != 5:
            raise ValueError(f"clips have shape {tuple(self.clips.shape)}, expected (B, 3, T, H, W)")
        if not len(self.clips) == len(self.boxes) == len(self.keys):
            raise ValueError(f"{len(self.clips)} clips, {len(self.boxes)} lists of boxes, {len(self.keys)} keys")

    def __len__(self) -> int:
        return len(self.clips)

    def memory(self, device: torch.device | str) -> Memory | None:
        """What the network is given to remember, on its device."""
        return None if self.memories is None else Memory.of(self.memories, [len(each) for each in self.boxes], device)

    def __repr__(self) -> str:
        return f"ClipBatch({tuple(self.clips.shape)}, {sum(map(len, self.boxes))} boxes)"


@dataclass(frozen=True, eq=False, repr=False)
class VideoSample:
    """Views of one video: clips of different times or crops of one clip.

    Attributes:
        clips: (V, 3, T, H, W) uint8, RGB.
        label: from 0.
        video: number of the video in its data set.
        first_view: number of the first of these views among all of the video's.
    """

    clips: Tensor
    label: int
    video: int
    first_view: int

    def __post_init__(self) -> None:
        if self.clips.ndim != 5 or self.clips.shape[1] != 3:
            raise ValueError(f"clips have shape {tuple(self.clips.shape)}, expected (V, 3, T, H, W)")

    def __repr__(self) -> str:
        return f"VideoSample(video {self.video}, label {self.label}, {tuple(self.clips.shape)})"


@dataclass(frozen=True, eq=False, repr=False)
class VideoBatch:
    """Views of several videos, side by side.

    Attributes:
        clips: (B, 3, T, H, W) uint8.
        labels: (B,) int64, from 0.
        videos: (B,) int64, the video that each view shows.
        views: (B,) int64, which of the video's views it is.
    """

    clips: Tensor
    labels: Tensor
    videos: Tensor
    views: Tensor

    def __post_init__(self) -> None:
        if self.clips.ndim != 5:
            raise ValueError(f"clips have shape {tuple(self.clips.shape)}, expected (B, 3, T, H, W)")
        if not len(self.clips) == len(self.labels) == len(self.videos) == len(self.views):
            raise ValueError(f"{len(self.clips)} clips, {len(self.labels)} labels, {len(self.videos)} videos")

    def __len__(self) -> int:
        return len(self.clips)

    def __repr__(self) -> str:
        return f"VideoBatch({tuple(self.clips.shape)})"

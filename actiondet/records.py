"""What flows from data to model (torch). Boxes are *pixel boxes* of the clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.records import FrameKey

Step = Callable[[Tensor], Tensor]
"""Makes other frames (T, 3, H, W) uint8 of such frames, on whatever device they are; it can be pickled."""


@dataclass(frozen=True, eq=False, repr=False)
class PlannedClip:
    """A clip as decoded, and what is to happen to it on the device of the network.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        size: height and width after all steps, in pixels.
        steps: what happens to the frames, in order.
    """

    frames: Tensor
    size: tuple[int, int]
    steps: tuple[Step, ...] = ()

    def then(self, step: Step, size: tuple[int, int] | None = None) -> PlannedClip:
        """The same with one more step, after which the frames have this size; None: as before."""
        return replace(self, size=size or self.size, steps=(*self.steps, step))

    @property
    def shape(self) -> torch.Size:
        """(3, T, H, W) after all steps."""
        return torch.Size((3, len(self.frames), *self.size))

    @property
    def ndim(self) -> int:
        """4, as of the clip that it becomes."""
        return 4

    def __repr__(self) -> str:
        return f"PlannedClip({tuple(self.frames.shape)} to {self.size}, {len(self.steps)} steps)"


@dataclass(frozen=True, eq=False, repr=False)
class PlannedClips:
    """Clips of one size in the end, which take the place of a tensor until `to` makes it.

    Attributes:
        pixels: (N,) uint8, the frames of all clips one after the other: they travel as one.
        frames: (T, H, W) of each clip as decoded.
        size: height and width after all steps, in pixels.
        steps: of each clip.
    """

    pixels: Tensor
    frames: tuple[tuple[int, int, int], ...]
    size: tuple[int, int]
    steps: tuple[tuple[Step, ...], ...]

    @classmethod
    def of(cls, clips: Sequence[PlannedClip]) -> PlannedClips:
        """Put clips of one size side by side."""
        shapes = tuple((len(clip.frames), clip.frames.shape[1], clip.frames.shape[2]) for clip in clips)
        pixels = torch.cat([clip.frames.reshape(-1) for clip in clips])
        return cls(pixels, shapes, clips[0].size, tuple(clip.steps for clip in clips))

    @classmethod
    def joined(cls, parts: Sequence[PlannedClips]) -> PlannedClips:
        """The clips of all parts, one after the other."""
        pixels = torch.cat([part.pixels for part in parts])
        shapes = tuple(shape for part in parts for shape in part.frames)
        return cls(pixels, shapes, parts[0].size, tuple(steps for part in parts for steps in part.steps))

    def to(self, device: torch.device | str) -> Tensor:
        """Take all steps on `device`: (B, 3, T, H, W) uint8."""
        parts = torch.split(self.pixels.to(device), [3 * math.prod(shape) for shape in self.frames])
        clips = []
        for part, shape, steps in zip(parts, self.frames, self.steps, strict=True):
            video = part.view(*shape, 3).permute(0, 3, 1, 2)
            for step in steps:
                video = step(video)
            clips.append(video.transpose(0, 1))
        return torch.stack(clips)

    def pin_memory(self) -> PlannedClips:
        """The same in page-locked memory."""
        return replace(self, pixels=self.pixels.pin_memory())

    @property
    def shape(self) -> torch.Size:
        """(B, 3, T, H, W) after all steps."""
        return torch.Size((len(self.frames), 3, self.frames[0][0], *self.size))

    @property
    def ndim(self) -> int:
        """5, as of the tensor that they become."""
        return 5

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"PlannedClips({tuple(self.shape)})"


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
        frames: (3, T, H, W) uint8, RGB; or planned to become that.
        boxes: (P, 4) float32 pixel boxes of this clip; (P, T, 4) where a head follows tracks.
        labels: (P, C) float32, 1 where the person does the action; None when testing.
        key: video and moment.
        memory: what a feature bank holds around it; None for a network without.
    """

    frames: Tensor | PlannedClip
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
        clips: (B, 3, T, H, W) uint8; or, in training, planned to become that.
        boxes: B tensors (P_i, 4) of pixel boxes; (P_i, T, 4) where a head follows tracks.
        labels: B tensors (P_i, C), or None when testing.
        keys: B keys.
        memories: what a feature bank holds around each; None for a network without.
    """

    clips: Tensor | PlannedClips
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
        clips: (V, 3, T, H, W) uint8, RGB; or, in training, planned to become that.
        label: from 0.
        video: number of the video in its data set.
        first_view: number of the first of these views among all of the video's.
    """

    clips: Tensor | PlannedClips
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
        clips: (B, 3, T, H, W) uint8; or, in training, planned to become that.
        labels: (B,) int64, from 0.
        videos: (B,) int64, the video that each view shows.
        views: (B,) int64, which of the video's views it is.
    """

    clips: Tensor | PlannedClips
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

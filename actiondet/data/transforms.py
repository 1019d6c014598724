"""Resizing, cropping and mirroring clips together with their boxes (torchvision v2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import crop, horizontal_flip, resize  # type: ignore[attr-defined]
from torchvision.tv_tensors import BoundingBoxes, Video  # type: ignore[attr-defined]

from actiondet.data.colors import shifted_colors
from actiondet.data.rand_augment import augmented
from actiondet.data.resizing import resized_anywhere
from actiondet.records import PlannedClip
from actiondet.video.pixels import planar
from actiondet.video.scaling import scaled_size
from evaluation.boxes import unit_to_pixel
from evaluation.records import FloatArray

Frames = npt.NDArray[np.uint8]
"""(T, H, W, 3) RGB, as readers give them."""


@dataclass(frozen=True, eq=False)
class BoxedClip:
    """A clip and boxes that move together.

    Attributes:
        video: (T, 3, H, W) uint8, a tv_tensors.Video; or planned to become that.
        boxes: (P, 4) float32 pixel boxes, a tv_tensors.BoundingBoxes; of people who are followed all (P T) in turn.
        followed: whether every person has a box for each frame.
    """

    video: Tensor | PlannedClip
    boxes: Tensor
    followed: bool = False

    @classmethod
    def of(cls, frames: Frames, unit_boxes: FloatArray, *, planned: bool = False) -> BoxedClip:
        """Wrap (T, H, W, 3) frames and (P, 4) unit boxes, or (P, T, 4) of people who are followed.

        `planned`: what follows happens to the boxes now, and to the frames on the device of the network.
        """
        height, width = frames.shape[1:3]
        boxes = _pixel_boxes(unit_boxes, height, width)
        # Permuted, not copied: torch resizes uint8 five times faster when the channels lie last.
        tensor = torch.from_numpy(frames)
        video = PlannedClip(tensor, (height, width)) if planned else Video(tensor.permute(0, 3, 1, 2))
        return cls(video, boxes, followed=unit_boxes.ndim == 3)

    @property
    def length(self) -> int:
        """How many frames the clip has."""
        return len(self.video.frames if isinstance(self.video, PlannedClip) else self.video)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.video.shape[-2]), int(self.video.shape[-1])

    def resized(self, height: int, width: int) -> BoxedClip:
        """Bilinear without antialias, which is what the published weights were trained on."""
        return BoxedClip(resized(self.video, height, width), resize(self.boxes, [height, width]), self.followed)

    def cropped(self, top: int, left: int, height: int, width: int) -> BoxedClip:
        """Cut a window out; boxes end at its border."""
        window = (top, left, height, width)
        return BoxedClip(cropped(self.video, *window), crop(self.boxes, *window), self.followed)

    def jittered(self, shares: tuple[float, float], random: np.random.Generator) -> BoxedClip:
        """Move each edge of a box on its own, the same way in all frames of who is followed.

        As in the recipes of VideoMAE's and UMT's detectors: outward by up to these shares of the box's width and
        height, inward by up to half as much; the frame's border is the limit.
        """
        height, width = self.size
        boxes = self.boxes.as_subclass(Tensor).clone()
        persons = len(boxes) // (self.length if self.followed else 1)
        moves = torch.from_numpy(random.uniform(-0.5, 1.0, (persons, 4))).to(boxes)
        if self.followed:
            moves = moves.repeat_interleave(self.length, dim=0)
        sides = (boxes[:, 2:] - boxes[:, :2]) * torch.tensor(shares).to(boxes)
        boxes[:, :2] -= sides * moves[:, :2]
        boxes[:, 2:] += sides * moves[:, 2:]
        boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height, width, height]).to(boxes))
        return replace(self, boxes=BoundingBoxes(boxes, format="XYXY", canvas_size=self.size))

    def mirrored(self) -> BoxedClip:
        """Swap left and right."""
        return BoxedClip(mirrored(self.video), horizontal_flip(self.boxes), self.followed)

    def recolored(self, *, hue: float, saturation: float, value: float) -> BoxedClip:
        """Shift the colors; see `shifted_colors`."""
        if isinstance(self.video, PlannedClip):
            step = partial(shifted_colors, hue=hue, saturation=saturation, value=value)
            return replace(self, video=self.video.then(step))
        colors = shifted_colors(self.video.as_subclass(Tensor), hue=hue, saturation=saturation, value=value)
        return replace(self, video=colors)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The clip as (3, T, H, W) uint8 and the boxes as (P, 4) or (P, T, 4) float32, both contiguous and plain."""
        assert isinstance(self.video, Tensor)
        return as_clip(self.video.as_subclass(Tensor)), self.plain_boxes()

    def plain_boxes(self) -> Tensor:
        """The boxes as (P, 4) or (P, T, 4) float32, contiguous and plain."""
        boxes = self.boxes.as_subclass(Tensor).contiguous()
        return boxes.view(-1, self.length, 4) if self.followed else boxes

    def areas(self) -> Tensor:
        """(P,) area of each person's box in pixels, that of the middle frame; an inverted box has none."""
        boxes = self.boxes.as_subclass(Tensor)
        if self.followed:
            boxes = boxes.view(-1, self.length, 4)[:, self.length // 2]
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
        return sides[:, 0] * sides[:, 1]


def resized(video: Tensor | PlannedClip, height: int, width: int) -> Tensor | PlannedClip:
    """Bilinear without antialias, now or as planned."""
    if isinstance(video, PlannedClip):
        return video.then(partial(resized_anywhere, size=(height, width)), (height, width))
    return resize(video, [height, width], antialias=False)


def cropped(video: Tensor | PlannedClip, top: int, left: int, height: int, width: int) -> Tensor | PlannedClip:
    """Cut a window out, now or as planned."""
    if isinstance(video, PlannedClip):
        return video.then(partial(crop, top=top, left=left, height=height, width=width), (height, width))
    return crop(video, top, left, height, width)


def mirrored(video: Tensor | PlannedClip) -> Tensor | PlannedClip:
    """Swap left and right, now or as planned."""
    return video.then(horizontal_flip) if isinstance(video, PlannedClip) else horizontal_flip(video)


def as_clip(video: Tensor, *, mirrored: bool = False) -> Tensor:
    """(T, 3, H, W) uint8 to a contiguous (3, T, H, W), mirrored left to right if asked."""
    return torch.from_numpy(planar(video.permute(0, 2, 3, 1).numpy(), mirrored=mirrored))


def _pixel_boxes(unit_boxes: FloatArray, height: int, width: int) -> Tensor:
    """(..., 4) unit boxes as (N, 4) tv_tensors.BoundingBoxes in a frame of this size."""
    flat = np.asarray(unit_boxes, dtype=np.float32).reshape(-1, 4)
    boxes: Tensor = BoundingBoxes(unit_to_pixel(flat, width, height), format="XYXY", canvas_size=(height, width))
    return boxes


@dataclass(frozen=True, kw_only=True)
class TrainTransform:
    """Random scale, boxes, crop, mirror image, colors, RandAugment.

    Attributes:
        short_side: smallest and largest short side in pixels, both may be drawn.
        crop: height and width of the window in pixels.
        flip: probability of a mirror image.
        min_visible: boxes of which less than this share of the area stays in the window are dropped; of people who are
            followed, the middle frame's box counts.
        box_jitter: see `BoxedClip.jittered`; None leaves boxes as they are.
        color_jitter: largest shifts of hue (degrees), saturation and value (0 to 1), the same for all frames of a
            clip; None for none.
        rand_augment: operations of RandAugment a clip, and their magnitude (see `augmented`); None for none.
        on_device: frames change on the device of the network; not with `rand_augment`.
    """

    short_side: tuple[int, int]
    crop: tuple[int, int]
    flip: float
    min_visible: float
    box_jitter: tuple[float, float] | None = None
    color_jitter: tuple[float, float, float] | None = None
    rand_augment: tuple[int, int] | None = None
    on_device: bool = False

    def __call__(self, clip: BoxedClip, random: np.random.Generator) -> tuple[BoxedClip, Tensor]:
        """Transform `clip`.

        Returns:
            The clip with all of its boxes, and (P,) bool: the boxes that stay in view.
        """
        short_side = int(random.integers(*self.short_side, endpoint=True))
        clip = clip.resized(*scaled_size(*clip.size, short_side, at_least=self.crop))
        if self.box_jitter is not None:
            clip = clip.jittered(self.box_jitter, random)
        top, left = (
            int(random.integers(0, size - window, endpoint=True))
            for size, window in zip(clip.size, self.crop, strict=True)
        )
        whole = clip.areas()
        clip = clip.cropped(top, left, *self.crop)
        clip = clip.mirrored() if random.random() < self.flip else clip
        if self.color_jitter is not None:
            hue, saturation, value = (float(random.uniform(-most, most)) for most in self.color_jitter)
            clip = clip.recolored(hue=hue, saturation=saturation, value=value)
        if self.rand_augment is not None:
            operations, magnitude = self.rand_augment
            assert isinstance(clip.video, Tensor)
            video, boxes = augmented(clip.video, clip.boxes, operations, magnitude, random)
            clip = replace(clip, video=video, boxes=boxes)
        in_view = clip.areas()
        return clip, (in_view > 0) & (in_view >= self.min_visible * whole)


@dataclass(frozen=True, kw_only=True)
class WholeFrameTransform:
    """The whole frame, its short side scaled to `short_side` pixels."""

    short_side: int

    def __call__(self, clip: BoxedClip) -> BoxedClip:
        """Transform `clip`; every box stays."""
        return clip.resized(*scaled_size(*clip.size, self.short_side))

    def boxes(self, unit_boxes: FloatArray, height: int, width: int) -> Tensor:
        """(P, 4) or (P, T, 4) unit boxes in frames of this size as float32 pixel boxes of the clip."""
        size = list(scaled_size(height, width, self.short_side))
        boxes: Tensor = resize(_pixel_boxes(unit_boxes, height, width), size)
        return boxes.as_subclass(Tensor).reshape(unit_boxes.shape)

"""Resizing, cropping and mirroring the clips of whole videos."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import crop, horizontal_flip, resize  # type: ignore[attr-defined]

from actiondet.data.transforms import Frames, as_clip, cropped, resized
from actiondet.records import PlannedClip
from actiondet.video.scaling import scaled_size

Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""


def random_resized_window(
    height: int,
    width: int,
    random: np.random.Generator,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> Window:
    """Draw a window of a random share of the area and a random shape (Szegedy et al. 2015); ten tries.

    Where no try fits, the window is the largest square in the middle, as in MMAction2.

    Args:
        height, width: of the frame.
        random: where the window comes from.
        area: smallest and largest share of the frame.
        aspect: smallest and largest width over height; drawn evenly on a logarithmic scale.
    """
    for _ in range(10):
        size = height * width * random.uniform(*area)
        shape = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        window_width, window_height = round(math.sqrt(size * shape)), round(math.sqrt(size / shape))
        if 0 < window_height <= height and 0 < window_width <= width:
            return random_window(height, width, random, size=(window_height, window_width))
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def random_window(height: int, width: int, random: np.random.Generator, *, size: tuple[int, int]) -> Window:
    """Draw a window of `size` (height, width) anywhere in the frame, its borders included."""
    top = int(random.integers(0, height - size[0], endpoint=True))
    left = int(random.integers(0, width - size[1], endpoint=True))
    return top, left, *size


def corner_window(height: int, width: int, random: np.random.Generator, *, scale: tuple[float, float]) -> Window:
    """Draw a square of a random share of the short side at one of the corners or in the middle (Wang et al. 2015)."""
    side = max(round(min(height, width) * random.uniform(*scale)), 1)
    places = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side)]
    places.append(((height - side) // 2, (width - side) // 2))
    top, left = places[random.integers(len(places))]
    return top, left, side, side


def square_windows(
    height: int, width: int, *, side: int, crops: Literal[1, 3], rounding: Literal["down", "up"]
) -> list[Window]:
    """The square crops that a frame is tested on: its middle, or both ends of its longer side and the middle.

    Args:
        height, width: of the frame, at least `side`.
        side: of the square.
        crops: 1 or 3. Three are first end, last end, middle (MMAction2's order).
        rounding: of the middle's place where a pixel is left over: down in MMAction2, whose last crop begins at twice
            that place and so one pixel before the end; up in PySlowFast.
    """
    extra = 1 if rounding == "up" else 0
    top, left = (height - side + extra) // 2, (width - side + extra) // 2
    middle = (top, left, side, side)
    if crops == 1:
        return [middle]
    if height > width:
        last = height - side if rounding == "up" else 2 * top
        return [(0, left, side, side), (last, left, side, side), middle]
    last = width - side if rounding == "up" else 2 * left
    return [(top, 0, side, side), (top, last, side, side), middle]


def scaled(frames: Frames, short_side: int) -> Tensor:
    """(T, H, W, 3) frames as (T, 3, H', W') uint8, the short side `short_side`."""
    rows, columns = frames.shape[1:3]
    height, width = scaled_size(rows, columns, short_side)
    # Permuted, not copied: torch resizes uint8 five times faster when the channels lie last.
    video: Tensor = resize(torch.from_numpy(frames).permute(0, 3, 1, 2), [height, width], antialias=False)
    return video


@dataclass(frozen=True, kw_only=True)
class VideoTrainTransform:
    """Random scale, random crop, random mirror image; the same for all frames of a clip unless `per_frame`.

    Attributes:
        short_side: smallest and largest short side in pixels, both may be drawn.
        crop: kind of window, as the settings name it.
        side: of the clip in pixels.
        area, aspect: of a "random_resized" window.
        scale: of a "corner" window.
        flip: probability of a mirror image.
        per_frame: every frame is scaled, cropped and mirrored on its own.
        on_device: frames change on the device of the network; not with `per_frame`.
    """

    short_side: tuple[int, int]
    crop: Literal["random_resized", "random", "corner"]
    side: int
    area: tuple[float, float]
    aspect: tuple[float, float]
    scale: tuple[float, float]
    flip: float
    per_frame: bool = False
    on_device: bool = False

    def __call__(self, frames: Frames, random: np.random.Generator) -> Tensor | PlannedClip:
        """(T, H, W, 3) frames to a clip (3, T, side, side)."""
        if not self.per_frame:
            return self._clip(frames, random)
        clips = [self._clip(frame[None], random) for frame in frames]
        return torch.cat([clip for clip in clips if isinstance(clip, Tensor)], dim=1)

    def _clip(self, frames: Frames, random: np.random.Generator) -> Tensor | PlannedClip:
        rows, columns = frames.shape[1:3]
        tensor = torch.from_numpy(frames)
        video = PlannedClip(tensor, (rows, columns)) if self.on_device else tensor.permute(0, 3, 1, 2)
        short_side = int(random.integers(*self.short_side, endpoint=True))
        least = self.side if self.crop == "random" else 1
        height, width = scaled_size(rows, columns, short_side, at_least=(least, least))
        video = resized(video, height, width)
        window = self._window(height, width, random)
        video = cropped(video, *window)
        if window[2:] != (self.side, self.side):
            video = resized(video, self.side, self.side)
        flip = random.random() < self.flip
        if isinstance(video, PlannedClip):
            return video.then(horizontal_flip) if flip else video
        return as_clip(video, mirrored=flip)

    def _window(self, height: int, width: int, random: np.random.Generator) -> Window:
        if self.crop == "random_resized":
            return random_resized_window(height, width, random, area=self.area, aspect=self.aspect)
        if self.crop == "corner":
            return corner_window(height, width, random, scale=self.scale)
        return random_window(height, width, random, size=(self.side, self.side))


@dataclass(frozen=True, kw_only=True)
class VideoTestTransform:
    """Crops of the frame, its short side scaled to `short_side` pixels.

    Attributes:
        short_side: pixels, at least `side`.
        side, crops, rounding: as in `square_windows`.
    """

    short_side: int
    side: int
    crops: Literal[1, 3]
    rounding: Literal["down", "up"]

    def __call__(self, frames: Frames) -> Tensor:
        """(T, H, W, 3) frames to clips (crops, 3, T, side, side)."""
        return self.crop(scaled(frames, self.short_side))

    def crop(self, video: Tensor) -> Tensor:
        """(T, 3, H, W) frames whose short side is `short_side` to clips (crops, 3, T, side, side)."""
        height, width = video.shape[-2:]
        windows = square_windows(height, width, side=self.side, crops=self.crops, rounding=self.rounding)
        return torch.stack([as_clip(crop(video, *window)) for window in windows])

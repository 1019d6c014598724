"""From a planned scene to pictures, and to the boxes that can be seen in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from data_tools.toy.acting import act
from data_tools.toy.backgrounds import Background
from data_tools.toy.motions import Motion
from data_tools.toy.people import Canvas, Image, draw, joints
from data_tools.toy.scenes import RATE, Actor, Scene
from evaluation.records import FloatArray, IntArray

SEEN = 0.3
"""The share of a person that must be seen for the person to be annotated."""


@dataclass(frozen=True)
class Track:
    """Where one person is seen, over all frames of the video.

    Attributes:
        actor: the person.
        stretch: (F,) which of the actor's stretches goes on; -1 where absent.
        boxes: (F, 4) unit boxes around what is seen; zeros where nothing is.
        seen: (F,) share of the person that is inside the frame and not hidden.
    """

    actor: Actor
    stretch: IntArray
    boxes: FloatArray
    seen: FloatArray


@dataclass(frozen=True)
class Figure:
    """What one frame shows of one person: coverage of the pixels from (top, left) on, and the whole area."""

    top: int
    left: int
    cover: FloatArray
    area: float


class Stage:
    """Renders one scene, frame by frame; `tracks` are complete once all frames have been drawn."""

    def __init__(self, scene: Scene, rng: np.random.Generator, width: int, height: int, *, hold: int = 1) -> None:
        """Set the scene for frames of `width` x `height` pixels, each of which is shown `hold` times."""
        self.width, self.height, self.hold = width, height, hold
        self.frames = scene.seconds * RATE
        self._background = Background(rng, width, height)
        far_first = sorted(scene.actors, key=lambda actor: actor.ground)
        self._motions: list[Motion] = []
        self.tracks: list[Track] = []
        for actor in far_first:
            motion, stretch = act(actor, scene.seconds, rng)
            self._motions.append(motion)
            self.tracks.append(Track(actor, stretch, np.zeros((self.frames, 4)), np.zeros(self.frames)))
        self._joints = [joints(motion) for motion in self._motions]

    def __iter__(self) -> Iterator[Image]:
        """Draw all frames, (H, W, 3) uint8 RGB."""
        for frame in range(0, self.frames, self.hold):
            picture = self._draw(frame)
            for _ in range(min(self.hold, self.frames - frame)):
                yield picture

    def _draw(self, frame: int) -> Image:
        seconds = frame / RATE
        picture = self._background.behind(seconds)
        figures = [
            (track, self._person(track, number, frame, picture))
            for number, track in enumerate(self.tracks)
            if track.stretch[frame] >= 0
        ]
        unhidden = self._background.in_front(seconds, picture)
        for track, figure in reversed(figures):
            if figure is not None:
                self._see(track, frame, figure, unhidden)
        return np.asarray(cv2.convertScaleAbs(picture), np.uint8)  # rounds and clips

    def _person(self, track: Track, number: int, frame: int, picture: FloatArray) -> Figure | None:
        """Draw one person into `picture`."""
        pixels = track.actor.height * self.height
        x = (self._motions[number].x[frame] - self._background.camera(frame / RATE)) * self.height
        y = track.actor.ground * self.height
        place = self._joints[number][frame]
        canvas = Canvas(place, pixels, (x, y))
        draw(track.actor.look, place, float(self._motions[number].yaw[frame]), canvas)
        drawn = canvas.shrunk()
        bottom, right = canvas.top + drawn.shape[0], canvas.left + drawn.shape[1]
        top, left = max(0, canvas.top), max(0, canvas.left)
        bottom, right = min(bottom, self.height), min(right, self.width)
        if top >= bottom or left >= right:
            return None
        self._shadow(picture, x, y, pixels)
        inside = drawn[top - canvas.top : bottom - canvas.top, left - canvas.left : right - canvas.left]
        cover = cv2.extractChannel(inside, 3).astype(np.float32) * np.float32(1 / 255)
        target = picture[top:bottom, left:right]
        cv2.multiply(target, cv2.merge([1 - cover] * 3), dst=target)
        cv2.add(target, cv2.cvtColor(inside, cv2.COLOR_RGBA2RGB), dst=target, dtype=cv2.CV_32F)
        return Figure(top, left, cover, float(drawn[..., 3].sum()) / 255)

    def _shadow(self, picture: FloatArray, x: float, y: float, pixels: float) -> None:
        """Darken the ground under a person."""
        reach = 0.2 * pixels
        rows = slice(max(0, int(y - reach * 0.3)), min(self.height, int(y + reach * 0.3) + 2))
        columns = slice(max(0, int(x - reach)), min(self.width, int(x + reach) + 2))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        down = (np.arange(rows.start, rows.stop)[:, None] - y) / (0.3 * reach)
        along = (np.arange(columns.start, columns.stop)[None] - x) / reach
        picture[rows, columns] *= 1 - 0.38 * np.clip(1.2 - np.hypot(down, along) * 1.2, 0, 1)[..., None]

    def _see(self, track: Track, frame: int, figure: Figure, unhidden: FloatArray) -> None:
        """Note how much of a person is seen and the box around it, and what the person hides of others."""
        height, width = figure.cover.shape
        area = unhidden[figure.top : figure.top + height, figure.left : figure.left + width]
        seen = figure.cover * area
        area *= 1 - figure.cover
        shown = slice(frame, frame + self.hold)
        track.seen[shown] = seen.sum() / figure.area
        clear = seen > 0.5
        rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
        if len(rows):
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
            box += (figure.left, figure.top, figure.left, figure.top)
            track.boxes[shown] = box / (self.width, self.height, self.width, self.height)

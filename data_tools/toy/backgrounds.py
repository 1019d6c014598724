"""Where toy people move: a textured backdrop, ground and sky that all keep moving a little."""

from __future__ import annotations

import cv2
import numpy as np

from data_tools.toy.people import Color
from evaluation.records import FloatArray

# Sky above, sky at the horizon, far shapes, near shapes, ground far, ground near.
PALETTES: tuple[tuple[Color, ...], ...] = (
    ((126, 186, 224), (214, 234, 236), (150, 186, 168), (104, 152, 118), (150, 184, 112), (112, 154, 88)),
    ((246, 190, 140), (252, 226, 186), (206, 142, 128), (146, 98, 114), (186, 138, 116), (142, 100, 96)),
    ((92, 104, 156), (196, 168, 190), (98, 94, 140), (66, 66, 108), (104, 100, 136), (78, 76, 108)),
    ((168, 208, 218), (238, 240, 228), (214, 196, 160), (188, 160, 120), (232, 212, 168), (208, 182, 134)),
    ((184, 196, 206), (226, 230, 232), (158, 166, 176), (118, 128, 142), (162, 162, 160), (126, 128, 132)),
    ((140, 206, 200), (226, 244, 232), (120, 176, 164), (70, 132, 128), (188, 200, 160), (148, 170, 130)),
    ((222, 206, 226), (248, 236, 232), (190, 164, 190), (150, 122, 158), (206, 186, 176), (176, 152, 150)),
)
SHAPES = ("hills", "town", "trees")
GROUNDS = ("grass", "tiles", "boards")
MARGIN = 0.2
"""How much wider than the frame the layers are on either side, in frame heights."""
TURNS = 12.0
"""Seconds after which the wind that moves the clouds turns."""


class Layer:
    """A picture wider than the frame that slides sideways; only its rows [top, bottom) are not empty."""

    def __init__(self, painted: FloatArray, nearness: float, sway: float = 0.0) -> None:
        """Keep what is needed of a painted layer.

        Args:
            painted: (H, W + margins, 4) RGB multiplied by coverage, and coverage in [0, 1].
            nearness: how much of the camera's movement the layer follows.
            sway: how far it swings in the wind, in pixels.
        """
        used = np.flatnonzero(painted[..., 3].max(axis=1) > 0)
        self.top, self.bottom = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        painted = painted[self.top : self.bottom]
        self._color = np.ascontiguousarray(painted[..., :3], np.float32)
        # Contiguous and with three channels: that is what makes blending fast.
        self._clear = np.repeat(1 - painted[..., 3:], 3, axis=2).astype(np.float32)
        self.nearness = nearness
        self.sway = sway

    def over(self, picture: FloatArray, shift: float) -> FloatArray:
        """Draw the layer over the rows of `picture` that it covers.

        Args:
            picture: (H, W, 3) float32, changed in place.
            shift: the column of the layer that the left edge of the frame shows.

        Returns:
            (rows, W, 3) how much of what lies behind still shows, in the rows from `top` to `bottom`.
        """
        width = picture.shape[1]
        color, clear = _slide(self._color, shift, width), _slide(self._clear, shift, width)
        target = picture[self.top : self.bottom]
        cv2.multiply(target, clear, dst=target)
        cv2.add(target, color, dst=target)
        return clear


def _slide(image: FloatArray, shift: float, width: int) -> FloatArray:
    """Return the `width` columns of `image` from `shift` on, between pixels by linear interpolation."""
    whole, part = int(shift // 1), shift % 1
    left, right = image[:, whole : whole + width], image[:, whole + 1 : whole + 1 + width]
    return np.asarray(cv2.addWeighted(left, 1 - part, right, part, 0), np.float32)


class Background:
    """The scene behind and, where there is a post or bush, in front of the people."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        """Paint a random scene for frames of `width` x `height` pixels."""
        self.width, self.height = width, height
        self.margin = int(MARGIN * height)
        palette = PALETTES[int(rng.integers(len(PALETTES)))]
        colors = [np.clip(np.array(color) + rng.normal(0, 7, 3), 0, 255) for color in palette]
        shape = (height, width + 2 * self.margin)
        self.horizon = rng.uniform(0.5, 0.62)
        sky = _gradient(shape, colors[0], colors[1], 0.0, self.horizon)
        self._sky = np.ascontiguousarray(sky[:, :width], np.float32)
        kinds = [SHAPES[int(rng.integers(len(SHAPES)))] for _ in range(2)]
        sway = 0.012 * height if kinds[1] == "trees" else 0.0
        self._clouds = Layer(_clouds(rng, shape, self.horizon), 0.1)
        self._layers = [
            Layer(_shapes(rng, shape, kinds[0], colors[2], self.horizon, 0.22), 0.35),
            Layer(_shapes(rng, shape, kinds[1], colors[3], self.horizon + 0.02, 0.14), 0.6, sway),
            Layer(_ground(rng, shape, colors[4], colors[5], self.horizon), 1.0),
        ]
        self._front = Layer(_post(rng, shape, colors[3]), 1.25) if rng.random() < 0.25 else None
        self._pan = (rng.uniform(0.02, 0.05), rng.uniform(5, 9), rng.uniform(0, 2 * np.pi))
        self._wind = (rng.uniform(0.004, 0.01), rng.uniform(0.25, 0.5), rng.uniform(0, 2 * np.pi))

    def camera(self, seconds: float) -> float:
        """Return how far the camera has moved to the right, in frame heights."""
        reach, period, phase = self._pan
        return float(reach * np.sin(2 * np.pi * seconds / period + phase))

    def behind(self, seconds: float) -> FloatArray:
        """Return the (H, W, 3) float32 picture behind the people, RGB 0..255."""
        drift, tempo, phase = self._wind
        picture = self._sky.copy()
        # The wind turns before the painted clouds end.
        blown = abs((seconds + TURNS) % (2 * TURNS) - TURNS)
        self._clouds.over(picture, self._shift(self._clouds, seconds) + drift * blown * self.height)
        gust = float(np.sin(2 * np.pi * tempo * seconds + phase))
        for layer in self._layers:
            layer.over(picture, self._shift(layer, seconds) + gust * layer.sway)
        # Some light comes and goes with the wind.
        return np.asarray(picture * np.float32(1 + 0.025 * gust))

    def in_front(self, seconds: float, picture: FloatArray) -> FloatArray:
        """Draw what hides the people over `picture`; return (H, W), 1 where nothing does and 0 behind it."""
        unhidden = np.ones((self.height, self.width), np.float32)
        if self._front is not None:
            clear = self._front.over(picture, self._shift(self._front, seconds))
            unhidden[self._front.top : self._front.bottom] = clear[..., 0]
        return unhidden

    def _shift(self, layer: Layer, seconds: float) -> float:
        return self.margin + self.camera(seconds) * self.height * layer.nearness


def noise(rng: np.random.Generator, shape: tuple[int, int], octaves: int, stretch: int = 1) -> FloatArray:
    """Return smooth noise in about [-1, 1]; `stretch` makes its grain longer along x."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = (3 * 2**octave + 1, max(2, 4 * 2**octave // stretch) + 1)
        grain = rng.uniform(-1, 1, cells).astype(np.float32)
        total += cv2.resize(grain, shape[::-1], interpolation=cv2.INTER_CUBIC) * 0.62**octave
    return np.asarray(total / 1.6)


def _gradient(shape: tuple[int, int], upper: FloatArray, lower: FloatArray, start: float, stop: float) -> FloatArray:
    part = np.clip((np.arange(shape[0]) / shape[0] - start) / (stop - start), 0, 1)[:, None, None]
    return np.array(np.broadcast_to(upper * (1 - part) + lower * part, (*shape, 3)))


def _layer(color: FloatArray, cover: FloatArray) -> FloatArray:
    cover = np.clip(cover, 0, 1)[..., None]
    return np.concatenate([np.clip(color, 0, 255) * cover, cover], axis=-1).astype(np.float32)


def _clouds(rng: np.random.Generator, shape: tuple[int, int], horizon: float) -> FloatArray:
    puff = noise(rng, shape, 5, stretch=2)
    fade = np.clip(1 - np.arange(shape[0]) / shape[0] / horizon, 0, 1)[:, None] ** 0.5
    return _layer(np.full((*shape, 3), 252.0), np.clip(puff * 1.6 - 0.15, 0, 0.85) * fade)


def _shapes(
    rng: np.random.Generator, shape: tuple[int, int], kind: str, color: FloatArray, base: float, rise: float
) -> FloatArray:
    """Paint hills, houses or trees that stand on `base` and reach up by about `rise` frame heights."""
    height, width = shape
    x = np.arange(width) / height
    y = (np.arange(height) / height)[:, None]
    texture = 1 + 0.12 * noise(rng, shape, 6)[..., None]
    if kind == "hills":
        top = base - rise * (0.55 + 0.3 * np.sin(x * rng.uniform(2, 5) + rng.uniform(0, 6)) + 0.12 * np.sin(9 * x))
        return _layer(color * texture, (y - top) * height * 0.7)
    if kind == "trees":
        crowns = noise(rng, (height, width), 6)
        top = base - rise * (0.75 + 0.5 * np.abs(np.sin(x * rng.uniform(4, 8) + rng.uniform(0, 6))))
        leaves = (y - top) * height * 0.25 + crowns * 2.5
        return _layer(color * (1 + 0.28 * crowns[..., None]) * texture, leaves)
    tops, windows, at = np.empty(width), np.ones(shape), 0
    while at < width:
        wide = int(rng.uniform(0.14, 0.3) * height)
        tops[at : at + wide] = base - rise * rng.uniform(0.7, 1.9)
        step = max(3, int(rng.uniform(0.035, 0.055) * height))
        pane = (np.arange(height)[:, None] % step > step // 2) & (
            np.arange(min(wide, width - at))[None] % step > step // 2
        )
        windows[:, at : at + wide] = 1 + rng.choice([-0.22, 0.2]) * pane
        windows[:, at : at + wide] *= rng.uniform(0.9, 1.1)
        at += wide
    return _layer(color * windows[..., None] * texture, (y - tops) * height)


def _ground(
    rng: np.random.Generator, shape: tuple[int, int], far: FloatArray, near: FloatArray, horizon: float
) -> FloatArray:
    """Paint grass, tiles or boards in perspective."""
    height, width = shape
    kind = GROUNDS[int(rng.integers(len(GROUNDS)))]
    color = _gradient(shape, far, near, horizon, 1.0)
    y = (np.arange(height) / height)[:, None]
    depth = 1 / np.maximum(y - horizon + 0.08, 0.01)
    across = (np.arange(width)[None] - width / 2) / height * depth
    if kind == "tiles":
        checks = ((across * 1.1).astype(int) + (across < 0) + (depth * 1.7).astype(int)) % 2
        color *= (1 + 0.10 * (checks - 0.5))[..., None]
    elif kind == "boards":
        color *= (1 + 0.12 * (((depth * 2.6) % 1) - 0.5) + 0.0 * across)[..., None]
    color *= 1 + (0.16 if kind == "grass" else 0.09) * noise(rng, shape, 6, stretch=3)[..., None]
    return _layer(color, np.broadcast_to((y - horizon) * height, shape))


def _post(rng: np.random.Generator, shape: tuple[int, int], color: FloatArray) -> FloatArray:
    """Paint a lamp post or a bush that stands between the camera and the people."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width] / height
    center = width / height * rng.uniform(0.25, 0.75)
    if rng.random() < 0.5:
        half = rng.uniform(0.018, 0.035)
        shade = 0.55 + 0.35 * np.clip((x - center) / half, -1, 1)
        return _layer(np.array([78.0, 80, 92]) * shade[..., None], (half - np.abs(x - center)) * height)
    leaf = noise(rng, shape, 6)
    bush = 0.16 - np.hypot((x - center) / 1.1, (y - 1.02)) + 0.05 * leaf
    return _layer(color * (0.62 + 0.3 * leaf[..., None]), bush * height * 0.5)

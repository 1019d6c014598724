"""What a toy person looks like: build, clothes, and the drawing of one pose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from data_tools.toy.motions import DEEPEST, Motion
from evaluation.records import FloatArray, IntArray

Image = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
Place = tuple[float, float]
"""x and y upward, in heights, from the point between the feet."""

SKINS: tuple[Color, ...] = ((255, 219, 190), (236, 188, 150), (202, 145, 105), (150, 100, 70), (104, 70, 52))
HAIRS: tuple[Color, ...] = ((44, 34, 32), (92, 58, 36), (160, 104, 52), (216, 172, 98), (150, 62, 40), (196, 196, 200))
SHIRTS: tuple[Color, ...] = (
    (226, 88, 74), (242, 165, 65), (248, 211, 94), (106, 176, 112), (60, 150, 160),
    (82, 120, 200), (140, 104, 186), (222, 120, 164), (240, 236, 226), (70, 84, 104),
)  # fmt: skip
TROUSERS: tuple[Color, ...] = ((52, 62, 92), (84, 74, 70), (44, 48, 54), (118, 96, 74), (92, 110, 134), (148, 74, 74))
TEXTURE = 128
PATTERNS = ("stripes", "checks", "dots", "emblem", "diagonal")

# Joints, in the order of `joints`: head, neck, hips, then left and right of shoulder, elbow, hand, hip, knee, foot.
HEAD, NECK, HIPS = 0, 1, 2
SHOULDER, ELBOW, HAND, HIP, KNEE, FOOT = 3, 5, 7, 9, 11, 13


@dataclass(frozen=True)
class Look:
    """Build and clothes of one person.

    Attributes:
        girth: thickness of limbs and trunk relative to the mean.
        shirt: (TEXTURE, TEXTURE, 4) RGBA, once around the trunk; the middle column is the middle of the chest.
        long_sleeves: whether the shirt covers the forearms.
        skirt: whether the legs show below a skirt.
        long_hair: whether the hair reaches the shoulders.
    """

    girth: float
    skin: Color
    hair: Color
    shirt: Image
    sleeve: Color
    trousers: Color
    shoes: Color
    long_sleeves: bool
    skirt: bool
    long_hair: bool


def random_look(rng: np.random.Generator) -> Look:
    """Dress a person."""
    base, other, back = (SHIRTS[i] for i in rng.choice(len(SHIRTS), 3, replace=False))

    def pick(colors: tuple[Color, ...]) -> Color:
        return colors[int(rng.integers(len(colors)))]

    return Look(
        girth=float(rng.uniform(0.88, 1.18)),
        skin=pick(SKINS),
        hair=pick(HAIRS),
        shirt=_texture(PATTERNS[int(rng.integers(len(PATTERNS)))], base, other, back, int(rng.integers(2, 4))),
        sleeve=base,
        trousers=pick(TROUSERS),
        shoes=pick(((240, 240, 240), (40, 36, 40), (190, 60, 56))),
        long_sleeves=bool(rng.random() < 0.5),
        skirt=bool(rng.random() < 0.25),
        long_hair=bool(rng.random() < 0.4),
    )


def _texture(pattern: str, base: Color, other: Color, back: Color, count: int) -> Image:
    y, x = np.mgrid[0:TEXTURE, 0:TEXTURE] / TEXTURE
    if pattern == "stripes":
        mask = (y * (count + 2)) % 1 < 0.45
    elif pattern == "checks":
        mask = ((x * 2 * count).astype(int) + (y * (count + 2)).astype(int)) % 2 == 0
    elif pattern == "dots":
        mask = ((x * 2 * count) % 1 - 0.5) ** 2 + ((y * (count + 2)) % 1 - 0.5) ** 2 < 0.09
    elif pattern == "diagonal":
        mask = ((x * 2 + y * 2) * count / 2) % 1 < 0.4
    else:
        mask = ((x - 0.5) / 0.16) ** 2 + ((y - 0.42) / 0.22) ** 2 < 1
    texture = np.where(mask[..., None], np.array([*other, 255]), np.array([*base, 255]))
    # The back is plain and of another color, so that a turn shows from far away.
    texture[np.abs(x - 0.5) > 0.25] = (*back, 255)
    return texture.astype(np.uint8)


def joints(motion: Motion) -> FloatArray:
    """Return (F, 15, 2): where the joints are, from the point between the feet, in heights, y upward."""
    frames = len(motion.x)
    side = np.array([-1.0, 1.0])
    across = np.cos(motion.yaw)[:, None] * side  # (F, 2): how much of a sideways offset is seen
    sink = DEEPEST * motion.squat
    place = np.zeros((frames, 15, 2))
    place[:, HIPS, 1] = 0.47 - sink
    place[:, NECK, 1] = 0.80 - sink * 1.05
    place[:, HEAD, 1] = 0.905 - sink * 1.08
    place[:, SHOULDER : SHOULDER + 2, 0] = 0.125 * across
    place[:, SHOULDER : SHOULDER + 2, 1] = place[:, NECK, 1:2] - 0.035
    place[:, HIP : HIP + 2, 0] = 0.06 * across
    place[:, HIP : HIP + 2, 1] = place[:, HIPS, 1:2]
    place[:, FOOT : FOOT + 2, 0] = 0.075 * across + motion.feet[:, :, 0]
    place[:, FOOT : FOOT + 2, 1] = 0.03 + motion.feet[:, :, 1]
    place[:, KNEE : KNEE + 2] = _knees(place[:, HIP : HIP + 2], place[:, FOOT : FOOT + 2], across)
    for start, end, length, part in ((SHOULDER, ELBOW, 0.155, 0), (ELBOW, HAND, 0.155, 1)):
        raised, swing = motion.arms[:, :, part], motion.arms[:, :, 2]
        along = np.sin(raised) * across + np.sin(swing) * np.maximum(np.cos(raised), 0)
        up = -np.cos(raised) * np.cos(swing)
        place[:, end : end + 2] = place[:, start : start + 2] + length * np.stack([along, up], axis=-1)
    place[:, :, 1] += motion.lift[:, None]
    return place


def _knees(hip: FloatArray, foot: FloatArray, across: FloatArray) -> FloatArray:
    """Bend each leg outward, as seen from the front, so that thigh and shin keep their length."""
    reach = foot - hip
    distance = np.linalg.norm(reach, axis=-1)
    bend = np.sqrt(np.maximum(0.224**2 - (distance / 2) ** 2, 0.0))
    outward = np.where(np.abs(across) < 0.35, np.sign(across + 1e-9) * 0.35, across)
    normal = np.stack([-reach[..., 1], reach[..., 0]], axis=-1) / np.maximum(distance, 1e-6)[..., None]
    return np.asarray((hip + foot) / 2 + normal * (bend * outward)[..., None])


class Canvas:
    """An RGBA image just large enough for one pose, drawn too large and without smoothing.

    Shrinking it by area then gives smooth edges, with colors already multiplied by their coverage.

    Attributes:
        left: x of the left edge in the picture, in pixels.
        top: y of the upper edge in the picture, in pixels.
    """

    ZOOM = 2
    ROOM = 0.12
    """What limbs, hair and shoes need around the joints, in heights."""

    def __init__(self, place: FloatArray, pixels: float, feet: tuple[float, float]) -> None:
        """Make room for a pose.

        Args:
            place: (15, 2) joints.
            pixels: height of the person in pixels of the picture.
            feet: where the point between the feet lies in the picture, in pixels.
        """
        low, high = place.min(axis=0) - self.ROOM, place.max(axis=0) + self.ROOM
        self.left, right = int(feet[0] + low[0] * pixels) - 1, int(feet[0] + high[0] * pixels) + 2
        self.top, bottom = int(feet[1] - high[1] * pixels) - 1, int(feet[1] - low[1] * pixels) + 2
        self.unit = pixels * self.ZOOM
        self.image: Image = np.zeros(((bottom - self.top) * self.ZOOM, (right - self.left) * self.ZOOM, 4), np.uint8)
        self._origin = (feet[0] - self.left) * self.ZOOM * 16, (feet[1] - self.top) * self.ZOOM * 16
        self._scale = 16 * self.unit

    def point(self, place: Place) -> tuple[int, int]:
        """Return where a joint lies, in sixteenths of a canvas pixel."""
        return int(self._origin[0] + place[0] * self._scale), int(self._origin[1] - place[1] * self._scale)

    def limb(self, start: Place, end: Place, width: float, color: Color) -> None:
        """Draw a thick line with round ends and a dark rim; `width` in heights."""
        ends = self.point(start), self.point(end)
        for grow, paint in ((0.018, _dark(color)), (0.0, color)):
            thick = max(1, int((width + grow) * self.unit + 0.5))
            cv2.line(self.image, *ends, (*paint, 255), thick, shift=4)

    def blob(self, center: Place, radii: tuple[float, float], color: Color, rim: bool = True) -> None:
        """Draw a filled ellipse; `radii` in heights."""
        middle = self.point(center)
        for grow, paint in ((0.009, _dark(color)), (0.0, color))[0 if rim else 1 :]:
            axes = max(16, int((radii[0] + grow) * self._scale)), max(16, int((radii[1] + grow) * self._scale))
            cv2.ellipse(self.image, middle, axes, 0, 0, 360, (*paint, 255), -1, shift=4)

    def shrunk(self) -> Image:
        """Return the canvas at the size of the video."""
        height, width = self.image.shape[0] // self.ZOOM, self.image.shape[1] // self.ZOOM
        return np.asarray(cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@cache
def _dark(color: Color) -> Color:
    red, green, blue = (int(0.55 * value) for value in color)
    return red, green, blue


def draw(look: Look, place: FloatArray, yaw: float, canvas: Canvas) -> None:
    """Draw one person.

    Args:
        look: clothes and build.
        place: (15, 2) joints as `joints` gives them.
        yaw: turn of the body.
        canvas: where to draw.
    """
    # Plain numbers: this is done for every person of every frame, and single numbers of numpy are slow.
    at: list[Place] = [(x, y) for x, y in place.tolist()]
    # The arm and leg that the turn has moved away from us are drawn first.
    far = 0 if np.sin(yaw) > 0 else 1
    if look.long_hair and np.cos(yaw) > 0:
        _long_hair(look, at[HEAD], yaw, canvas)
    _arm(look, at, far, canvas)
    for leg in (far, 1 - far):
        shin = look.skin if look.skirt else look.trousers
        canvas.limb(at[HIP + leg], at[KNEE + leg], 0.085 * look.girth, look.trousers)
        canvas.limb(at[KNEE + leg], at[FOOT + leg], 0.068 * look.girth, shin)
        canvas.blob(_moved(at[FOOT + leg], 0, -0.005), (0.05, 0.028), look.shoes)
    _trunk(look, at, yaw, canvas)
    _head(look, at, yaw, canvas)
    _arm(look, at, 1 - far, canvas)


def _moved(place: Place, right: float, up: float) -> Place:
    return place[0] + right, place[1] + up


def _arm(look: Look, at: list[Place], arm: int, canvas: Canvas) -> None:
    lower = look.sleeve if look.long_sleeves else look.skin
    canvas.limb(at[ELBOW + arm], at[HAND + arm], 0.075 * look.girth, lower)
    canvas.limb(at[SHOULDER + arm], at[ELBOW + arm], 0.085 * look.girth, look.sleeve)
    canvas.blob(at[HAND + arm], (0.055, 0.055), look.skin)


def _trunk(look: Look, at: list[Place], yaw: float, canvas: Canvas) -> None:
    """Draw skirt and shirt; the shirt's texture slides around the trunk as the person turns."""
    turn = abs(float(np.cos(yaw)))
    wide, narrow = 0.075 + 0.06 * turn, 0.07 + 0.03 * turn
    (x, hips), neck = at[HIPS], at[NECK][1]
    if look.skirt:
        hem = 0.12 + 0.05 * turn
        skirt = _outline(canvas, x, hips + 0.06, hips - 0.19, narrow, hem)
        paint = look.trousers
        cv2.polylines(canvas.image, [skirt], True, (*_dark(paint), 255), max(1, int(0.03 * canvas.unit)), shift=4)
        cv2.fillConvexPoly(canvas.image, skirt, (*paint, 255), shift=4)
    shirt = _outline(canvas, x, neck - 0.02, hips - 0.02, wide * look.girth, narrow * look.girth)
    rim = max(1, int(0.05 * canvas.unit))
    cv2.polylines(canvas.image, [shirt], True, (*_dark(look.sleeve), 255), rim, shift=4)
    grow = int(0.03 * canvas.unit)
    (left, top), (right, bottom) = shirt.min(axis=0) // 16 - grow, shirt.max(axis=0) // 16 + grow
    mask = np.zeros((bottom - top, right - left), np.uint8)
    local = shirt - np.array([left, top], np.int32) * 16
    cv2.fillConvexPoly(mask, local, 1, shift=4)
    cv2.polylines(mask, [local], True, 1, max(1, int(0.032 * canvas.unit)), shift=4)
    # An upright cylinder: the column seen at x shows the texture at angle asin(x) + yaw.
    angle = np.arcsin(np.linspace(-0.99, 0.99, right - left)) - yaw
    columns = (angle / (2 * np.pi) * TEXTURE + TEXTURE / 2).astype(np.int64) % TEXTURE
    rows = np.arange(bottom - top) * TEXTURE // (bottom - top)
    cv2.copyTo(look.shirt[rows][:, columns], mask, canvas.image[top:bottom, left:right])


def _outline(canvas: Canvas, x: float, top: float, bottom: float, above: float, below: float) -> IntArray:
    """Return the (4, 2) corners of a trapezium, `above` and `below` being half its widths."""
    corners = ((x - above, top), (x + above, top), (x + below, bottom), (x - below, bottom))
    return np.array([canvas.point(corner) for corner in corners], np.int32)


def _head(look: Look, at: list[Place], yaw: float, canvas: Canvas) -> None:
    """Draw hair, and the face where it can be seen."""
    head, facing, aside = at[HEAD], float(np.cos(yaw)), float(np.sin(yaw))
    canvas.limb(_moved(at[NECK], 0, -0.02), head, 0.06, look.skin)
    if look.long_hair and facing <= 0:
        _long_hair(look, head, yaw, canvas)
    canvas.blob(_moved(head, 0, 0.008), (0.084, 0.09), look.hair)
    if facing > -0.35:
        face = _moved(head, 0.03 * aside, -0.014)
        canvas.blob(face, (0.07 * min(1.0, 0.55 + 0.5 * facing), 0.07), look.skin, rim=False)
        if facing > 0.1:
            for eye in (-1, 1):
                spot = _moved(face, eye * 0.026 * facing + 0.02 * aside, 0.002)
                canvas.blob(spot, (0.010, 0.013), (40, 34, 40), rim=False)


def _long_hair(look: Look, head: Place, yaw: float, canvas: Canvas) -> None:
    canvas.blob(_moved(head, -0.03 * float(np.sin(yaw)), -0.045), (0.085, 0.1), look.hair)

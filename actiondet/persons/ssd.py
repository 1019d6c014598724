"""The person detector that travels with the project: Google's SSD MobileNet V2, trained on Open Images V4.

Small (10 MB) and fast, and far better than OpenCV's HOG. It is not a detector for AVA: it looks at 300 x 300 pixels and
misses small, seated and half hidden people. Origin and license are beside the file, in `ssd_mobilenet_v2_oidv4`.

Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016; the anchors are those of TensorFlow's SSD networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from actiondet.persons.base import Frame, found_persons
from actiondet.persons.labels import find_label
from actiondet.persons.onnx_runner import OnnxRunner, load_runner
from actiondet.persons.suppression import suppress
from evaluation.errors import InputError
from evaluation.records import FloatArray, FrameKey, PersonBoxes

MODEL = Path(__file__).with_name("ssd_mobilenet_v2_oidv4") / "ssd_mobilenet_v2_oidv4.onnx"
SHA256 = "7d0f2d3193366e3ecf3fdb513c61c84b1c4e4bdc014ee7d39480de5391518a42"
CLASSES = (
    *("background", "Bicycle", "Boot", "Laptop", "Person", "Chair", "Cattle", "Desk", "Cat", "Computer mouse"),
    *("Computer monitor", "Box", "Mug", "Coffee cup", "Stationary bicycle", "Table", "Bottle", "High heels"),
    *("Vehicle", "Footwear", "Dog", "Book", "Camera", "Car"),
)
"""Names of the columns of the scores."""
_SIDE = 300  # pixels
_GRIDS = (19, 10, 5, 3, 2, 1)
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECTS = (1.0, 2.0, 1 / 2, 3.0, 0.3333)  # width to height
_CENTER_UNIT, _SIZE_UNIT = 10.0, 5.0  # the network's offsets are so many times too large
_MAX_OVERLAP = 0.5


class SsdPersonDetector:
    """Finds persons in the whole picture, stretched to 300 x 300 pixels."""

    def __init__(
        self, *, label: int | str = "person", threshold: float = 0.4, runner: OnnxRunner | None = None
    ) -> None:
        """Load the network.

        Args:
            label: name or id of the class that is looked for.
            threshold: persons with a lower score are dropped.
            runner: of the network; None takes the faster of those that are installed.

        Raises:
            InputError: no such class, the file of the installation is damaged, or nothing is installed that runs it.
        """
        self._label = find_label(label, dict(enumerate(CLASSES)), of="the detector ssd")
        # One thread: nine milliseconds of one are less than starting many takes.
        self._run = load_runner(_content(), threads=1) if runner is None else runner
        self._anchors = anchors()
        self._threshold = threshold

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame; see PersonDetector."""
        return [self._detect_one(frame, key) for frame, key in zip(frames, keys, strict=True)]

    def _detect_one(self, frame: Frame, key: FrameKey) -> PersonBoxes:
        height, width = frame.shape[:2]
        answer = self._run(_input(frame))
        scores = 1 / (1 + np.exp(-answer["scores"][0, :, self._label].astype(np.float64)))
        likely = np.flatnonzero(scores >= self._threshold)
        boxes = decode(answer["boxes"][0, likely], self._anchors[likely])
        kept = suppress(boxes, scores[likely], max_overlap=_MAX_OVERLAP)
        pixel_boxes = boxes[kept] * np.array([width, height, width, height])
        return found_persons(key, pixel_boxes, scores[likely][kept], frame=frame, threshold=self._threshold)


def _content() -> bytes:
    content = MODEL.read_bytes() if MODEL.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(
            f"{MODEL}: the file of the person detector ssd is missing or damaged ({len(content):,} bytes, expected "
            "9,959,906); install actiondet again"
        )
    return content


def _input(frame: Frame) -> FloatArray:
    """(1, 3, 300, 300) float32 in [-1, 1]: area interpolation of the sides that shrink, linear of those that grow."""
    height, width = frame.shape[:2]
    smaller = cv2.resize(frame, (min(width, _SIDE), min(height, _SIDE)), interpolation=cv2.INTER_AREA)
    picture = cv2.resize(smaller, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    scaled = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    return np.ascontiguousarray(scaled[None], dtype=np.float32)


def anchors() -> FloatArray:
    """(1917, 4) center x, center y, width and height of the network's anchors, in fractions of the picture.

    Grid after grid, each row by row, all anchors of a cell together.
    """
    of_grids = []
    for place, cells in enumerate(_GRIDS):
        centers = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(centers, centers, indexing="ij")
        sizes = _sizes(place)
        middle = np.stack([x, y], axis=-1).reshape(-1, 1, 2).repeat(len(sizes), axis=1)
        of_grids.append(np.concatenate([middle, np.broadcast_to(sizes, middle.shape)], axis=2).reshape(-1, 4))
    return np.concatenate(of_grids)


def _sizes(place: int) -> FloatArray:
    """(A, 2) widths and heights of the anchors of a cell of grid `place`."""
    scale = _SCALES[place]
    if place == 0:  # the finest grid has three, one of them smaller
        return np.array([(0.1, 0.1), *((scale * a**0.5, scale / a**0.5) for a in (2.0, 0.5))])
    between = (scale * _SCALES[place + 1]) ** 0.5
    return np.array([*((scale * a**0.5, scale / a**0.5) for a in _ASPECTS), (between, between)])


def decode(offsets: FloatArray, of_anchors: FloatArray) -> FloatArray:
    """(N, 4) unit boxes of (N, 4) offsets (y, x, height, width) from anchors (N, 4)."""
    offsets = offsets.astype(np.float64)[:, [1, 0, 3, 2]]
    middle = of_anchors[:, :2] + offsets[:, :2] / _CENTER_UNIT * of_anchors[:, 2:]
    half = np.exp(offsets[:, 2:] / _SIZE_UNIT) * of_anchors[:, 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=1)

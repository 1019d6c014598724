"""What exported detectors answer: the three conventions of the field, read into boxes, scores and labels.

boxes: pixel boxes (N, 4), labels and scores (N,), after suppression, as torchvision writes them; or, as MMDeploy does,
(1, N, 5) boxes that end in their score, and labels (1, N).
detr: logits (1, Q, C) and unit boxes (1, Q, 4) of center x, center y, width, height (Carion et al., End-to-End Object
Detection with Transformers, ECCV 2020).
yolox: (1, N, 5 + C), a row for each cell of the grids of stride 8, 16, 32 (and 64): offset of the center in cells,
logarithm of width and height in cells, objectness, C class scores (Ge et al., YOLOX, arXiv 2107.08430).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from actiondet.persons.onnx_runner import Described
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray

Outputs = Literal["boxes", "detr", "yolox"]
Arrays = Mapping[str, npt.NDArray[Any]]
STRIDES = ((8, 16, 32), (8, 16, 32, 64))


class Objects(NamedTuple):
    """Objects that a network found: (N, 4) pixel boxes of its input, (N,) scores, (N,) labels."""

    boxes: FloatArray
    scores: FloatArray
    labels: IntArray


class BoxRoles(NamedTuple):
    """Which output is what, by name; scores is None where they are the last column of the boxes."""

    boxes: str
    scores: str | None
    labels: str


def box_roles(outputs: Sequence[Described]) -> BoxRoles | None:
    """Distinguish the outputs of the convention "boxes"; None if they do not follow it."""
    labels = [each for each in outputs if each.kind.startswith(("int", "uint"))]
    labels = labels or [each for each in outputs if "label" in each.name.lower() or "class" in each.name.lower()]
    others = [each for each in outputs if each not in labels]
    if len(labels) != 1:
        return None
    rank = len(labels[0].shape) + 1
    tables = [each for each in others if len(each.shape) == rank and each.shape[-1] in (4, 5, None)]
    scores = [each for each in others if len(each.shape) == rank - 1]
    if len(tables) != 1 or len(tables) + len(scores) != len(others):
        return None
    if len(scores) == 1 and tables[0].shape[-1] != 5:
        return BoxRoles(tables[0].name, scores[0].name, labels[0].name)
    if not scores and tables[0].shape[-1] != 4:
        return BoxRoles(tables[0].name, None, labels[0].name)
    return None


def detr_roles(outputs: Sequence[Described]) -> tuple[str, str] | None:
    """The names of logits and boxes; None where the outputs are not DETR's."""
    tables = [each for each in outputs if len(each.shape) == 3 and each.kind.startswith("float")]
    if len(tables) != 2 or len(outputs) != 2:
        return None
    boxes = [each for each in tables if each.shape[-1] == 4]
    if len(boxes) == 2:
        boxes = [each for each in boxes if "box" in each.name.lower()]
    if len(boxes) != 1:
        return None
    (logits,) = [each for each in tables if each is not boxes[0]]
    return logits.name, boxes[0].name


def grid_cells(size: tuple[int, int], strides: Sequence[int]) -> int:
    """How many cells YOLOX' grids have at an input of `size` (height, width)."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def read_boxes(answer: Arrays, roles: BoxRoles) -> Objects:
    """Read the convention "boxes"."""
    boxes = answer[roles.boxes].reshape(-1, answer[roles.boxes].shape[-1]).astype(np.float64)
    scores = boxes[:, 4] if roles.scores is None else answer[roles.scores].reshape(-1).astype(np.float64)
    return Objects(boxes[:, :4], scores, answer[roles.labels].reshape(-1).astype(np.int64))


def read_detr(answer: Arrays, roles: tuple[str, str], *, size: tuple[int, int], softmax: bool) -> Objects:
    """Read DETR's convention; each query is the class with the largest score.

    Args:
        answer: of the network.
        roles: names of logits and boxes.
        size: of the network's input, height and width.
        softmax: over the classes and "nothing", which is the last column; else each class has a sigmoid of its own.
    """
    logits, boxes = (answer[name][0].astype(np.float64) for name in roles)
    if softmax:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    else:
        scores = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    labels = scores.argmax(axis=1)
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.concatenate([middle - half, middle + half], axis=1) * np.tile(size[::-1], 2)
    return Objects(corners, scores.max(axis=1), labels.astype(np.int64))


def read_yolox(answer: npt.NDArray[Any], *, size: tuple[int, int]) -> Objects:
    """Read YOLOX' grid; each cell is the class with the largest score.

    Args:
        answer: (1, N, 5 + C).
        size: of the network's input, height and width.

    Raises:
        InputError: another number of cells than that of its grids.
    """
    rows = answer[0].astype(np.float64)
    strides = next((each for each in STRIDES if grid_cells(size, each) == len(rows)), None)
    if strides is None:
        raise InputError(
            f"{len(rows)} rows are not YOLOX' grids of an input of {size[0]}x{size[1]} (height x width), expected "
            f"{grid_cells(size, STRIDES[0])} rows; choose another persons.outputs"
        )
    corners, units = [], []
    for stride in strides:
        y, x = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride), indexing="ij")
        corners.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        units.append(np.full((x.size, 1), stride))
    unit = np.concatenate(units)
    middle = (rows[:, :2] + np.concatenate(corners)) * unit
    half = np.exp(rows[:, 2:4]) * unit / 2
    labels = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[:, 5:].max(axis=1)
    return Objects(np.concatenate([middle - half, middle + half], axis=1), scores, labels.astype(np.int64))

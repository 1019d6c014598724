"""Where labels go: near their person, off the faces of the others, and off each other, where there is room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# Of a box: the part in which a face is looked for, as fractions of width and height.
_FACE = np.array([0.2, 0.0, 0.8, 0.3])
# What covering costs, for each share of the label or face that is covered.
_LABEL, _OTHERS_FACE, _OWN_FACE, _OTHERS_BODY = 8.0, 6.0, 3.0, 0.5
# A later candidate is taken only where it covers less than an earlier one by so much.
_HABIT = 0.02


def place_labels(sizes: Numbers, owners: npt.NDArray[np.int64], boxes: Numbers, frame: tuple[int, int]) -> Numbers:
    """Choose the place of each label, in order.

    Candidates are above the box, below it, beside it, and in its lower and upper edge.

    Args:
        sizes: (L, 2) width and height of each label in pixels.
        owners: (L,) the box of each.
        boxes: (P, 4) pixel boxes of all persons, with labels or without.
        frame: width and height of the picture; labels stay in it where they fit.

    Returns:
        (L, 4) pixel boxes of the labels.
    """
    low, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    faces = np.concatenate([low + extent * _FACE[:2], low + extent * _FACE[2:]], axis=1)
    placed = np.zeros((0, 4))
    for size, owner in zip(sizes, owners.tolist(), strict=True):
        candidates = _candidates(size, boxes[owner], frame)
        others = np.arange(len(boxes)) != owner
        cost = _LABEL * _covered(candidates, placed).max(axis=1, initial=0)
        cost += _OTHERS_FACE * _covered(candidates, faces[others]).sum(axis=1)
        cost += _OWN_FACE * _covered(candidates, faces[[owner]]).sum(axis=1)
        cost += _OTHERS_BODY * _covered(candidates, boxes[others]).sum(axis=1)
        cost += _HABIT * np.arange(len(candidates))
        placed = np.concatenate([placed, candidates[[int(cost.argmin())]]])
    return placed


def _candidates(size: Numbers, box: Numbers, frame: tuple[int, int]) -> Numbers:
    """(7, 4) boxes of a label of `size` around and in its person's `box`, moved into the frame, best first."""
    (width, height), (left, top, right, bottom) = size, box
    corners = np.array(
        [
            (left, top - height),
            (right - width, top - height),
            (left, bottom),
            (right, top),
            (left - width, top),
            (left, bottom - height),
            (left, top),
        ]
    )
    room = np.maximum(np.array(frame) - size, 0)
    corners = np.clip(corners, 0, room)
    return np.concatenate([corners, corners + size], axis=1)


def _covered(labels: Numbers, things: Numbers) -> Numbers:
    """(L, T) how much of each thing each label covers, as a share of the smaller of the two."""
    low = np.maximum(labels[:, None, :2], things[None, :, :2])
    high = np.minimum(labels[:, None, 2:], things[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (labels, things)]
    smaller = np.minimum(areas[0][:, None], areas[1][None])
    result: Numbers = shared / np.maximum(smaller, 1e-9)
    return result

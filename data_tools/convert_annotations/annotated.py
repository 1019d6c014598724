"""What annotators say of a video, whatever tool they used: boxes on frames, a label and attributes for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.boxes import leaves_frame
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray
from evaluation.video_names import composed

AttributeValue = bool | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Remark:
    """What is said of one box.

    Attributes:
        label: class of the box: "person", or an action.
        attributes: (name, value) pairs: a checkbox is a bool, a choice a str, several choices a tuple.
    """

    label: str
    attributes: tuple[tuple[str, AttributeValue], ...] = ()


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """The annotations of one video: N boxes.

    Attributes:
        name: of the video file, without folder and suffix, in composed Unicode.
        source: the annotation file, for messages.
        size: (width, height) in pixels of the pictures that were annotated; None where nobody wrote it down.
        annotated: rising numbers (from 0) of the frames that were looked at, with and without boxes.
        frames: (N,) the frame of each box, rising.
        tracks: (N,) which boxes are one person; -1 where that is not known.
        boxes: (N, 4) unit boxes.
        remarks: N of them.
    """

    name: str
    source: str
    size: tuple[int, int] | None
    annotated: IntArray
    frames: IntArray
    tracks: IntArray
    boxes: FloatArray
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class RawBox:
    """One box as an annotation file has it; `box` is (x1, y1, x2, y2), in pixels or as fractions of the frame."""

    frame: int
    track: int
    box: tuple[float, float, float, float]
    remark: Remark


def annotated_video(
    name: str, source: str, size: tuple[int, int] | None, annotated: IntArray, found: Sequence[RawBox], *, clip: bool
) -> AnnotatedVideo:
    """Put the boxes of a video in order and check them.

    Args:
        name: of the video.
        source: the annotation file.
        size: (width, height): boxes are in these pixels; None: they are unit boxes.
        annotated: frames that were looked at.
        found: the boxes, in any order.
        clip: cut boxes at the border of the frame, and drop those beyond it, instead of refusing them.

    Raises:
        InputError: a box that is inside out, empty, or leaves the frame.
    """
    ordered = sorted(found, key=lambda box: (box.frame, box.track))
    boxes = np.array([box.box for box in ordered], dtype=np.float64).reshape(-1, 4)
    if size is not None:
        if len(boxes) and np.abs(boxes).max() <= 1:
            raise InputError(f"{source}: the boxes of video '{name}' look like fractions of the frame; expected pixels")
        boxes = boxes / np.array([*size, *size], dtype=np.float64)
    _check(boxes, ordered, name, source, size, clip)
    boxes = np.clip(boxes, 0, 1)
    kept = np.flatnonzero((boxes[:, :2] < boxes[:, 2:]).all(axis=1))
    said: dict[Remark, Remark] = {}  # millions of boxes say the same few things
    return AnnotatedVideo(
        name=composed(name),
        source=source,
        size=size,
        annotated=np.unique(annotated).astype(np.int64),
        frames=np.array([ordered[i].frame for i in kept], dtype=np.int64),
        tracks=np.array([ordered[i].track for i in kept], dtype=np.int64),
        boxes=boxes[kept],
        remarks=tuple(said.setdefault(ordered[i].remark, ordered[i].remark) for i in kept),
    )


def _check(
    boxes: FloatArray, found: Sequence[RawBox], name: str, source: str, size: tuple[int, int] | None, clip: bool
) -> None:
    numbers = np.isfinite(boxes).all(axis=1)
    flat = (boxes[:, :2] >= boxes[:, 2:]).any(axis=1)
    outside = leaves_frame(boxes)
    gone = (np.clip(boxes[:, :2], 0, 1) >= np.clip(boxes[:, 2:], 0, 1)).any(axis=1)
    frame = "the frame" if size is None else f"the frame of {size[0]}x{size[1]} pixels"
    for wrong, what, remedy in (
        (~numbers, "is not made of numbers", "expected four finite coordinates"),
        (numbers & flat, "is inside out or has no area", "expected x1 < x2 and y1 < y2; draw it again"),
        (
            np.zeros_like(flat) if clip else outside | gone,
            f"leaves {frame}",
            "draw it again, or let --clip cut such boxes at the border",
        ),
    ):
        if wrong.any():
            box = found[int(wrong.argmax())]
            track = f", track {box.track}" if box.track >= 0 else ""
            corners = ", ".join(f"{value:g}" for value in box.box)
            raise InputError(
                f"{source}: in video '{name}', frame {box.frame}{track}, the box ({corners}) {what} "
                f"({int(wrong.sum())} such boxes); {remedy}"
            )

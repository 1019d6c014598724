"""Persons by a detector of the user's own, exported as ONNX; it runs in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from actiondet.persons.base import Frame, found_persons
from actiondet.persons.labels import find_label
from actiondet.persons.onnx_input import TYPES, Channels, Fit, Preparation
from actiondet.persons.onnx_outputs import (
    Arrays,
    Objects,
    Outputs,
    box_roles,
    detr_roles,
    read_boxes,
    read_detr,
    read_yolox,
)
from actiondet.persons.onnx_proposal import class_names, propose
from actiondet.persons.onnx_runner import Described, OnnxRuntimeRunner
from actiondet.persons.suppression import suppress
from evaluation.errors import InputError
from evaluation.records import FrameKey, PersonBoxes

Triple = tuple[float, float, float]
Reader = Callable[[Arrays, tuple[int, int]], Objects]
"""From the network's answer and the size of its input (height, width) to objects."""


class OwnPersonDetector:
    """An exported network, what it is given, and how it is read."""

    def __init__(
        self,
        run: OnnxRuntimeRunner,
        *,
        source: str,
        prepare: Preparation,
        read: Reader,
        label: int,
        max_overlap: float | None,
        threshold: float = 0.5,
    ) -> None:
        """Put the parts together.

        Args:
            run: the network.
            source: its file, for messages.
            prepare: makes its input of a frame.
            read: reads its answer.
            label: id of the class that is looked for.
            max_overlap: boxes that overlap a better one by more are dropped; None where the network does so itself.
            threshold: persons with a lower score are dropped.
        """
        self._run, self._source, self._prepare, self._read = run, source, prepare, read
        self._label, self._max_overlap, self._threshold = label, max_overlap, threshold

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame; see PersonDetector.

        Raises:
            InputError: the network fails on a frame, or answers otherwise than its convention says.
        """
        return [self._detect_one(frame, key) for frame, key in zip(frames, keys, strict=True)]

    def _detect_one(self, frame: Frame, key: FrameKey) -> PersonBoxes:
        images, scale = self._prepare(frame)
        size = (images.shape[-2], images.shape[-1])
        try:
            answer = self._run(images)
        except Exception as fault:  # onnxruntime's own classes, derived from nothing in particular
            raise InputError(
                f"{self._source}: the network fails on an input of {size[0]}x{size[1]} (height x width; "
                f"{str(fault).splitlines()[0]}); check persons.fit and persons.size"
            ) from None
        try:
            found = self._read(answer, size)
        except (IndexError, ValueError, InputError) as fault:
            raise InputError(f"{self._source}: its answer is not of the convention persons.outputs ({fault})") from None
        wanted = np.flatnonzero((found.labels == self._label) & (found.scores >= self._threshold))
        boxes, scores = found.boxes[wanted] / scale, found.scores[wanted]
        if self._max_overlap is not None:
            kept = suppress(boxes, scores, max_overlap=self._max_overlap)
            boxes, scores = boxes[kept], scores[kept]
        return found_persons(key, boxes, scores, frame=frame, threshold=self._threshold)


def load_own_detector(
    model: str,
    *,
    label: int | str,
    outputs: Outputs | None,
    scores: Literal["softmax", "sigmoid"] | None,
    fit: Fit | None,
    size: tuple[int, int] | None,
    channels: Channels | None,
    mean: Triple | None,
    std: Triple | None,
    max_overlap: float = 0.45,
    threshold: float = 0.5,
    device: str = "cpu",
) -> OwnPersonDetector:
    """Load an exported detector; the settings are those of `persons: {name: onnx}`.

    Raises:
        InputError: ONNX Runtime or the file is missing, the file is another kind of network, or a setting is missing;
            what the file looks like is then proposed.
    """
    run = _open(model, gpu=device.startswith(("cuda", "tensorrt")))
    picture, names = _picture(model, run.inputs), class_names(run.metadata)
    proposed = propose(picture, run.outputs, chosen=outputs, fit=fit, label=label)
    if not proposed:
        raise InputError(
            f"{model}: its outputs {_shown(run.outputs)} are of none of the conventions boxes, detr and yolox; if they "
            "are after all, say which by persons.outputs"
        )
    given: dict[str, object] = {
        "outputs": outputs,
        "scores": scores,
        "fit": fit,
        "size": size,
        "channels": channels,
        "mean": mean,
    }
    given |= {"std": std, "label": label if isinstance(label, int) or names else None}
    missing = [key for key in proposed if given[key] is None]
    if missing or outputs is None or fit is None or channels is None or mean is None or std is None:
        raise InputError(
            f"{model}: persons.{', persons.'.join(missing)} must be given; its input {_shown([picture])} and outputs "
            f"{_shown(run.outputs)} look like {' '.join(f'{key}={proposed[key]}' for key in missing)}, which only you "
            "can confirm"
        )
    prepare = Preparation(
        fit, _size(model, picture, size, fit), channels, mean, std, picture.kind, batched=len(picture.shape) == 4
    )
    return OwnPersonDetector(
        run,
        source=model,
        prepare=prepare,
        read=_reader(model, run.outputs, outputs, softmax=scores == "softmax"),
        label=label if isinstance(label, int) and not names else find_label(label, names, of=model),
        max_overlap=max_overlap if outputs == "yolox" else None,
        threshold=threshold,
    )


def _open(model: str, *, gpu: bool) -> OnnxRuntimeRunner:
    if not Path(model).is_file():
        raise InputError(f"persons.model {model}: no such file, expected an exported detector (.onnx)")
    try:
        return OnnxRuntimeRunner(model, gpu=gpu)
    except ImportError:
        raise InputError(
            f"persons.model {model}: ONNX Runtime is not installed, which runs detectors of one's own; "
            "`pip install onnxruntime`, or choose persons that need none (ssd)"
        ) from None
    except Exception as fault:  # onnxruntime's own classes, derived from nothing in particular
        raise InputError(f"persons.model {model}: ONNX Runtime cannot read it ({str(fault).splitlines()[0]})") from None


def _picture(model: str, inputs: Sequence[Described]) -> Described:
    """The one input, if it is a picture."""
    if len(inputs) != 1:
        raise InputError(
            f"{model}: takes {_shown(inputs)}; expected one input, the picture: export it without the others"
        )
    picture = inputs[0]
    if len(picture.shape) not in (3, 4) or picture.shape[-3] not in (3, None) or picture.kind not in TYPES:
        raise InputError(
            f"{model}: takes {_shown(inputs)}; expected a picture (1, 3, H, W) or (3, H, W) of {', '.join(TYPES)}"
        )
    return picture


def _size(model: str, picture: Described, size: tuple[int, int] | None, fit: Fit) -> tuple[int, int] | None:
    """What frames are brought to: the file's size, or where it leaves that open, the setting's."""
    height, width = picture.shape[-2:]
    if fit == "none":
        if size is not None or height is not None or width is not None:
            raise InputError(
                f"{model}: persons.fit none leaves frames as they are, but the size {size or (height, width)} is asked "
                "for; choose stretch or letterbox"
            )
        return None
    if size is None:
        assert height is not None  # or the size would have been asked for
        assert width is not None
        return height, width
    if height not in (None, size[0]) or width not in (None, size[1]):
        raise InputError(f"{model}: persons.size {list(size)} (height, width), but its input is {_shown([picture])}")
    return size


def _reader(model: str, described: Sequence[Described], outputs: Outputs, *, softmax: bool) -> Reader:
    """What reads the outputs of the convention."""
    if outputs == "boxes" and (boxes := box_roles(described)):
        return lambda answer, size: read_boxes(answer, boxes)
    if outputs == "detr" and (tables := detr_roles(described)):
        return lambda answer, size: read_detr(answer, tables, size=size, softmax=softmax)
    if outputs == "yolox" and len(described) == 1:
        return lambda answer, size: read_yolox(answer[described[0].name], size=size)
    expected = {
        "boxes": "boxes (N, 4), labels and scores (N,)",
        "detr": "logits (1, Q, C) and boxes (1, Q, 4)",
        "yolox": "one output (1, N, 5 + C)",
    }
    raise InputError(f"{model}: persons.outputs {outputs} means {expected[outputs]}, found {_shown(described)}")


def _shown(described: Sequence[Described]) -> str:
    """Names and shapes."""
    return ", ".join(
        f"{each.name} ({', '.join('?' if side is None else str(side) for side in each.shape)})" for each in described
    )

"""What the file of an exported detector looks like: proposed to the user, never taken in silence."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence

from actiondet.persons.onnx_input import Fit
from actiondet.persons.onnx_outputs import STRIDES, Outputs, box_roles, detr_roles, grid_cells
from actiondet.persons.onnx_runner import Described

_COCO, _COCO_WITH_GAPS = 80, 91  # classes; the second count has a background and unused ids


def propose(
    picture: Described, outputs: Sequence[Described], *, chosen: Outputs | None, fit: Fit | None, label: int | str
) -> dict[str, str]:
    """Settings by name, as a command line writes them; empty where the outputs are of no known convention.

    Args:
        picture: the input.
        outputs: of the network.
        chosen: the convention, if the user has said it.
        fit: how frames get the network's size, if the user has said it.
        label: the class that is looked for.
    """
    kind = chosen or _convention(picture, outputs)
    if kind is None:
        return {}
    said: dict[str, str] = {"outputs": kind}
    open_size = None in picture.shape[-2:]
    if kind == "boxes":
        said |= {"fit": "none" if open_size else "letterbox", "channels": "RGB"}
        said |= {"mean": "[0,0,0]", "std": "[255,255,255]"}
        count = None
    elif kind == "detr":
        count = max((each.shape[-1] or 0 for each in outputs if each.shape), default=0)
        softmax = count not in (_COCO, _COCO_WITH_GAPS)
        said |= {"scores": "softmax" if softmax else "sigmoid", "fit": "stretch", "channels": "RGB"}
        said |= {"mean": "[123.675,116.28,103.53]", "std": "[58.395,57.12,57.375]"}  # ImageNet's
        count -= softmax
    else:
        said |= {"fit": "letterbox", "channels": "BGR", "mean": "[0,0,0]", "std": "[1,1,1]"}
        count = (outputs[0].shape[-1] or 5) - 5 if outputs and outputs[0].shape else None
    if picture.kind == "uint8":
        said |= {"mean": "[0,0,0]", "std": "[1,1,1]"}
    if open_size and (fit or said["fit"]) != "none":
        said["size"] = "[640,640]" if kind == "yolox" else "[800,1066]"
    said["label"] = str(label) if isinstance(label, int) else _coco_id(label, count)
    return said


def _convention(picture: Described, outputs: Sequence[Described]) -> Outputs | None:
    if box_roles(outputs):
        return "boxes"
    if detr_roles(outputs):
        return "detr"
    if len(outputs) != 1 or len(outputs[0].shape) != 3:
        return None
    rows, columns = outputs[0].shape[1:]
    height, width = picture.shape[-2:]
    if height is not None and width is not None and rows is not None:
        fits = any(grid_cells((height, width), strides) == rows for strides in STRIDES)
        return "yolox" if fits and (columns is None or columns > 5) else None
    return "yolox" if columns is None or columns > 6 else None


def _coco_id(label: str, count: int | None) -> str:
    """The id of a class of COCO in a network of `count` classes, which nobody has named; "ID" if it has no other."""
    if count == 1:
        return "0"
    try:
        from torchvision.models.detection import FasterRCNN_ResNet50_FPN_V2_Weights as Weights
    except ImportError:  # where exported networks alone are used
        return "ID"
    with_gaps: list[str] = Weights.DEFAULT.meta["categories"]
    names = [name for name in with_gaps[1:] if name != "N/A"] if count == _COCO else with_gaps
    known = count in (_COCO, _COCO_WITH_GAPS, None)
    return str(names.index(label)) if known and label in names else "ID"


def class_names(metadata: Mapping[str, str]) -> dict[int, str]:
    """The names of the classes that a file's metadata hold under "names", as a list or by id; empty where none are."""
    text = metadata.get("names", "")
    try:
        names = ast.literal_eval(text)  # reads values alone; Ultralytics writes a dict of Python's
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            names = json.loads(text)
        except ValueError:
            return {}
    pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, (list, tuple)) else ())
    return {int(number): str(name) for number, name in pairs if str(number).isdecimal()}

"""Persons by a detector of torchvision (Faster R-CNN and its relatives, trained on COCO)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn
from torchvision.models import detection, get_model, get_model_weights, list_models  # type: ignore[attr-defined]

from actiondet.downloads import download
from actiondet.persons.base import Frame, found_persons
from evaluation.errors import InputError
from evaluation.records import FrameKey, PersonBoxes

_FRAMES_AT_ONCE = 4
# Their first weights were trained with batch norms that add nothing to the variance; torchvision loads them so.
_WITHOUT_EPSILON = (
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)


class TorchvisionPersonDetector:
    """Any network with torchvision's contract: a list of (3, H, W) RGB in [0, 1] in, boxes, labels, scores out."""

    def __init__(
        self, model: nn.Module, *, label: int = 1, threshold: float = 0.5, device: torch.device | str = "cpu"
    ) -> None:
        """Take `model` into use: it is moved to `device` and set to evaluation.

        Args:
            model: the network.
            label: id of the class that is looked for; 1 is a person.
            threshold: persons with a lower score are dropped.
            device: where it runs.
        """
        self._model = model.eval().to(device)
        for part in (model, getattr(model, "roi_heads", None)):  # torchvision drops scores below its own threshold
            if (own := getattr(part, "score_thresh", None)) is not None:
                part.score_thresh = min(own, threshold)  # type: ignore[union-attr]
        self._label = label
        self._threshold = threshold
        self._device = device

    @torch.inference_mode()
    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame; see PersonDetector."""
        persons: list[PersonBoxes] = []
        for start in range(0, len(frames), _FRAMES_AT_ONCE):
            some = frames[start : start + _FRAMES_AT_ONCE]
            images = [torch.from_numpy(frame.copy()).to(self._device).permute(2, 0, 1) / 255 for frame in some]
            answers = self._model(images)
            for frame, key, answer in zip(some, keys[start : start + _FRAMES_AT_ONCE], answers, strict=True):
                person = answer["labels"] == self._label
                boxes, scores = answer["boxes"][person].cpu().numpy(), answer["scores"][person].cpu().numpy()
                persons.append(found_persons(key, boxes, scores, frame=frame, threshold=self._threshold))
        return persons


def class_names(name: str) -> dict[int, str]:
    """The classes of torchvision's detector `name`, by id; a file of weights that fits has the same ones."""
    return dict(enumerate(next(iter(get_model_weights(name))).meta["categories"]))


def load_torchvision_model(name: str, weights: str) -> nn.Module:
    """Build torchvision's detector `name`.

    Args:
        name: as torchvision.models.detection calls it, e.g. fasterrcnn_resnet50_fpn_v2.
        weights: the name of weights that torchvision publishes ("DEFAULT", "COCO_V1"), which are downloaded once into
            $ACTIONDET_CACHE, or a file holding a state dict.

    Raises:
        InputError: no such detector or weights, no network to download them, or a file that does not fit.
    """
    known = list_models(module=detection)
    if name not in known:
        raise InputError(f"torchvision has no detector '{name}'; expected one of {', '.join(known)}")
    published = get_model_weights(name).__members__
    file = _download(published[weights].url) if weights in published else Path(weights)
    if not file.is_file():
        raise InputError(
            f"weights of {name}: '{weights}' is neither a file nor one of torchvision's: {', '.join(published)}"
        )
    model = get_model(name, weights=None, weights_backbone=None)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds on files that are not checkpoints, and advises to run what they hold
        raise InputError(f"{file}: not a state dict of torchvision's {name}, expected tensors alone") from None
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"{file}: not a state dict of torchvision's {name} ({reason})") from None
    # By the file's name, so that a file that was fetched by hand gives the same boxes.
    if name in _WITHOUT_EPSILON and file.name == _file_name(published["COCO_V1"].url):
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = 0.0
    return model


def _download(url: str) -> Path:
    try:
        return download(url)
    except InputError as fault:
        raise InputError(f"{fault}, or give the file as persons.weights; persons.name=ssd needs no download") from None


def _file_name(url: str) -> str:
    return Path(urlsplit(url).path).name

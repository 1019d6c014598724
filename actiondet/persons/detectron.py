"""Persons by detectron2, where it is installed: any yaml of its model zoo, or a config and weights of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from actiondet.persons.base import Frame, found_persons
from actiondet.persons.labels import find_label
from evaluation.errors import InputError
from evaluation.files import load_pickle
from evaluation.records import FrameKey, PersonBoxes

if TYPE_CHECKING:
    from detectron2.config import CfgNode

_FRAMES_AT_ONCE = 4
INSTALLATION = "https://detectron2.readthedocs.io/en/latest/tutorials/install.html"


class DetectronPersonDetector:
    """Any network with detectron2's contract."""

    def __init__(
        self,
        model: nn.Module,
        *,
        resize: Callable[[Frame], Frame],
        channels: Literal["BGR", "RGB"] = "BGR",
        label: int = 0,
        threshold: float = 0.5,
    ) -> None:
        """Take `model` into use and set it to evaluation.

        Args:
            model: built by detectron2's build_model, on its device.
            resize: (H, W, 3) uint8 to the size that the network expects.
            channels: the order of colors that it expects.
            label: id of the class that is looked for; 0 is a person.
            threshold: persons with a lower score are dropped.
        """
        self._model = model.eval()
        self._resize = resize
        self._channels = channels
        self._label = label
        self._threshold = threshold

    @torch.inference_mode()
    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each frame; see PersonDetector."""
        persons: list[PersonBoxes] = []
        for start in range(0, len(frames), _FRAMES_AT_ONCE):
            some = frames[start : start + _FRAMES_AT_ONCE]
            answers = self._model([self._input(frame) for frame in some])
            for frame, key, answer in zip(some, keys[start : start + _FRAMES_AT_ONCE], answers, strict=True):
                found = answer["instances"].to("cpu")
                found = found[found.pred_classes == self._label]
                boxes, scores = found.pred_boxes.tensor.numpy(), found.scores.numpy()
                persons.append(found_persons(key, boxes, scores, frame=frame, threshold=self._threshold))
        return persons

    def _input(self, frame: Frame) -> dict[str, Any]:
        """The dict that detectron2's networks take; answers come in pixels of (height, width)."""
        picture = frame[:, :, ::-1] if self._channels == "BGR" else frame
        resized = self._resize(picture).astype(np.float32).transpose(2, 0, 1)
        return {"image": torch.from_numpy(np.ascontiguousarray(resized)), "height": len(frame), "width": frame.shape[1]}


def load_detectron(
    config: str,
    weights: str | None,
    *,
    label: int | str = "person",
    threshold: float = 0.5,
    device: torch.device | str = "cpu",
) -> DetectronPersonDetector:
    """Build a detector of detectron2.

    Args:
        config: name in detectron2's model zoo, with or without folder and suffix
            (COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml), or a yaml file of one's own.
        weights: file or URL; None takes the model zoo's for `config`, downloaded once.
        label: name or id of the class that is looked for.
        threshold: persons with a lower score are dropped.
        device: where it runs.

    Raises:
        InputError: detectron2 is not installed, no such config or weights, no network to download them, or
            weights of another network.
    """
    settings = _read_config(config, threshold, device)
    wanted = choose_class(label, _class_names(settings), of=f"the detectron2 config {config}")
    from detectron2.modeling import build_model

    model = build_model(settings)
    file = _local_file(weights or _zoo_weights(config))
    load_weights(model, file)
    return DetectronPersonDetector(
        model, resize=resize_as(settings), channels=settings.INPUT.FORMAT, label=wanted, threshold=threshold
    )


def _class_names(settings: CfgNode) -> dict[int, str]:
    """The classes of a detectron2 config by id; "" where its data set is not registered here or has others."""
    from detectron2.data import MetadataCatalog

    retina = settings.MODEL.META_ARCHITECTURE == "RetinaNet"
    count = settings.MODEL.RETINANET.NUM_CLASSES if retina else settings.MODEL.ROI_HEADS.NUM_CLASSES
    known: list[str] = []
    if settings.DATASETS.TRAIN:
        known = list(MetadataCatalog.get(settings.DATASETS.TRAIN[0]).get("thing_classes", None) or [])
    return dict(enumerate(known if len(known) == count else [""] * count))


def choose_class(label: int | str, names: Mapping[int, str], *, of: str) -> int:
    """The id of a class of detectron2.

    Args:
        label: id or name.
        names: of all classes, by id; "" where detectron2 does not know them.
        of: the detector, for the message.

    Raises:
        InputError: no such class.
    """
    if isinstance(label, str) and not any(names.values()):
        if label == "person":  # the first class of COCO, and the only one of a detector fine-tuned on persons
            return 0
        raise InputError(
            f"persons.label '{label}': the names of the {len(names)} classes of {of} are not known here, expected an "
            "id, counted from 0"
        )
    return find_label(label, names, of=of)


def resize_as(settings: CfgNode) -> Callable[[Frame], Frame]:
    """The resizing that a detectron2 config asks for in testing."""
    from detectron2.data.transforms import ResizeShortestEdge

    side = settings.INPUT.MIN_SIZE_TEST
    rule = ResizeShortestEdge([side, side], settings.INPUT.MAX_SIZE_TEST)

    def resize(frame: Frame) -> Frame:
        resized: Frame = rule.get_transform(frame).apply_image(frame)
        return resized

    return resize


def load_weights(model: nn.Module, file: Path) -> None:
    """Load a detectron2 checkpoint: .pth of a training run or .pkl of the model zoo; no code in it is run.

    Raises:
        InputError: not a checkpoint, or one of another network (detectron2 itself would only log that).
    """
    if file.suffix == ".pkl":
        content = load_pickle(file)
    else:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except (
            Exception
        ):  # torch raises many kinds on files that are not checkpoints, and advises to run what they hold
            raise InputError(
                f"{file}: not a checkpoint of detectron2, expected tensors alone, as it saves them"
            ) from None
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise InputError(f"{file}: not a checkpoint of detectron2, expected a mapping with a 'model'")
    tensors = {
        str(name): torch.as_tensor(value) for name, value in state.items() if isinstance(value, (Tensor, np.ndarray))
    }
    own = model.state_dict()
    wrong = [name for name, value in tensors.items() if name in own and own[name].shape != value.shape]
    wrong += [name for name, _ in model.named_parameters() if name not in tensors]
    if wrong:
        raise InputError(
            f"{file}: weights of another network than the detectron2 config describes, {len(wrong)} arrays are "
            f"missing or have another shape, first {wrong[0]}; check MODEL.ROI_HEADS.NUM_CLASSES"
        )
    model.load_state_dict(tensors, strict=False)


def _read_config(config: str, threshold: float, device: torch.device | str) -> CfgNode:
    file = _config_file(config)
    from detectron2.config import get_cfg

    settings = get_cfg()
    try:
        settings.merge_from_file(str(file), allow_unsafe=False)
    except Exception as fault:  # yaml, yacs and detectron2 raise many kinds
        raise InputError(f"{file}: not a config of detectron2 ({str(fault).splitlines()[0]})") from None
    settings.MODEL.DEVICE = str(device)
    settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = threshold
    settings.MODEL.RETINANET.SCORE_THRESH_TEST = threshold
    return settings


def _package() -> Path:
    """The folder of detectron2."""
    try:
        import detectron2
    except ImportError:
        raise InputError(
            f"detectron2 is not installed; see {INSTALLATION} or choose other persons (ssd, torchvision, stored)"
        ) from None
    return Path(detectron2.__file__).parent


def _config_file(config: str) -> Path:
    # Not through detectron2.model_zoo: importing it needs pkg_resources, which new setuptools no longer have.
    zoo = _package() / "model_zoo" / "configs"
    own = Path(config)
    if own.is_file():
        return own
    inside = [
        zoo / f"{config.removesuffix('.yaml')}.yaml",
        *sorted(zoo.glob(f"**/{own.name.removesuffix('.yaml')}.yaml")),
    ]
    for file in inside:
        if file.is_file():
            return file
    raise InputError(f"detectron2 config '{config}' is neither a file nor in the model zoo at {zoo}")


def _zoo_weights(config: str) -> str:
    """The address of the model zoo's weights for `config`, as detectron2 spells it."""
    package = _package()
    file = _config_file(config)
    zoo = package / "model_zoo"
    if not file.is_relative_to(zoo):
        raise InputError(f"the detectron2 config {config} is your own, so give the detector's weights, too")
    name = file.relative_to(zoo / "configs").with_suffix("").as_posix()
    entry = re.search(rf'"{re.escape(name)}":\s*"([^"]+)"', (zoo / "model_zoo.py").read_text(encoding="utf-8"))
    if entry is None:
        raise InputError(f"detectron2's model zoo has no weights for {name}; give the detector's weights")
    return f"https://dl.fbaipublicfiles.com/detectron2/{name}/{entry[1]}"


def _local_file(weights: str) -> Path:
    """`weights` itself, or where its download lies."""
    if "://" not in weights:
        if not Path(weights).is_file():
            raise InputError(f"detectron2 weights {weights}: no such file")
        return Path(weights)
    from detectron2.utils.file_io import PathManager

    try:
        return Path(PathManager.get_local_path(weights))
    except Exception as fault:  # iopath raises whatever urllib, ssl or the disk raise
        raise InputError(
            f"the weights of detectron2 could not be downloaded ({fault}); fetch {weights} on another machine and "
            "give the file as the detector's weights, or choose persons that need no download (ssd)"
        ) from None

"""Use an exported network: onnxruntime and numpy, no torch."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actiondet.config import RecognitionConfig, parse_config
from actiondet.config.networks import SlowFastConfig
from actiondet.video import ReaderName, open_video
from actiondet.video.sampling import spread_frames
from actiondet.video.views import ViewSampling
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.messages import LOG
from evaluation.records import FloatArray

FORMAT = "actiondet export 1"
PROVIDERS: dict[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    "openvino": ("OpenVINOExecutionProvider", "CPUExecutionProvider"),
}
"""onnxruntime's names of what a device is run by; each leaves to the next one what it cannot do."""
_PACKAGES = {"cpu": "onnxruntime", "openvino": "onnxruntime-openvino"}


class DeviceError(InputError):
    """onnxruntime has the device's provider, but cannot start it on this machine."""


class OnnxNetwork:
    """A file of tools/export.py.

    A recognizer is called with frames (B, T, H, W, 3) uint8 RGB and returns (B, C) scores. A detector takes boxes
    (P, 4) float32, unit boxes, and the clip (P,) int64 of each box as well, and returns (P, C) scores; one whose
    head follows tracks takes boxes (P, T, 4), one for each frame. A detector with a feature bank also takes what it
    remembers of each clip: (B, L, C) float32, and which of the L slots are filled, (B, L) bool. A recognizer exported
    with `--inputs pathways` takes slow and fast frames apart: (B, T / alpha, H, W, 3), (B, T, H, W, 3).

    Args:
        path: the file.
        device: where onnxruntime runs it: cpu, cuda, tensorrt, openvino, or the name of any other provider that this
            onnxruntime has, such as CoreMLExecutionProvider; auto is a GPU where CUDA can use one, else the CPU.

    Attributes:
        path: the file.
        config: what it was trained as.
        inputs: names of what it is called with.
        follows_tracks: whether it takes a box of each person for every frame.
        providers: what runs it, in onnxruntime's names without "ExecutionProvider".
        ids, names: the actions.
        columns: the column of each of them in the scores; a detector of all of AVA's actions has id c + 1 in column c.

    Raises:
        InputError: no such file, one of another kind, or an onnxruntime that is missing or lacks the device.

    Example:
        >>> network = actiondet.OnnxNetwork("network.onnx")
        >>> frames = np.zeros((1, network.config.clip.frames, 64, 64, 3), np.uint8)
        >>> network(frames).shape == (1, len(network.names))
        True
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str = "cpu") -> None:
        self.path = os.fspath(path)
        self._session = _open_anywhere(self.path) if device == "auto" else _open(self.path, device)
        said = _metadata(self._session, self.path)
        inputs = self._session.get_inputs()
        self.inputs: tuple[str, ...] = tuple(each.name for each in inputs)
        self.follows_tracks = any(each.name == "boxes" and len(each.shape) == 3 for each in inputs)
        self.providers = tuple(each.removesuffix("ExecutionProvider") for each in self._session.get_providers())
        self.config = parse_config(said["config"], source=f"{self.path} (config)")
        self.ids: tuple[int, ...] = tuple(json.loads(said["ids"]))
        self.names: tuple[str, ...] = tuple(json.loads(said["names"]))
        actions = ActionList(self.ids, self.names, (None,) * len(self.ids))
        self.columns: tuple[int, ...] = tuple(json.loads(said.get("columns", str(actions.columns.tolist()))))

    def __call__(self, *inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scores; see the class."""
        scores: npt.NDArray[np.float32] = self._session.run(None, dict(zip(self.inputs, inputs, strict=True)))[0]
        return scores


class OnnxRecognizer:
    """Names what a video shows, as `VideoRecognizer` does with torch.

    Args:
        network: a recognizer.
        clips: how many of each video; of each the center crop is looked at.
        reader: what decodes the videos, as in `open_video`.

    Raises:
        InputError: the file holds a detector.

    Example:
        >>> recognizer = actiondet.OnnxRecognizer(actiondet.OnnxNetwork("network.onnx"))
        >>> scores = recognizer("street.mp4")
        >>> len(scores) == len(recognizer.classes)
        True
    """

    def __init__(self, network: OnnxNetwork, *, clips: int = 1, reader: ReaderName = "auto") -> None:
        if not isinstance(network.config, RecognitionConfig):
            raise InputError("the exported network is a detector, which needs boxes; expected a recognizer")
        self.classes = network.names
        self._network, self._config, self._clips = network, network.config, clips
        self._reader: ReaderName = reader

    def __call__(self, path: str | os.PathLike[str]) -> FloatArray:
        """(C,) scores of a video; InputError where it cannot be read."""
        clip = self._config.clip
        sampling = ViewSampling(frames=clip.frames, stride=clip.stride, rule=clip.sampling, target_fps=clip.target_fps)
        with open_video(path, self._reader) as reader:
            views = sampling.views(len(reader.index), rate=float(reader.index.rate), clips=self._clips)
            scores = np.stack([self._scores(reader.read(chosen)) for chosen in views]).astype(np.float64)
        if self._config.test.average != "logits":
            return scores.mean(axis=0)  # type: ignore[no-any-return]
        # Logits are the scores' logarithms but for a number that the softmax does not see.
        mean = np.exp(np.log(np.maximum(scores, 1e-30)).mean(axis=0))
        return mean / mean.sum()  # type: ignore[no-any-return]

    def _scores(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(C,) of one clip (T, H, W, 3)."""
        backbone = self._config.model.backbone
        if len(self._network.inputs) == 1 or not isinstance(backbone, SlowFastConfig):
            return self._network(frames[None])[0]  # type: ignore[no-any-return]
        count = len(frames) // backbone.alpha
        spread = backbone.slow_frames == "spread"
        slow = frames[spread_frames(len(frames), count)] if spread else frames[:: backbone.alpha]
        return self._network(slow[None], frames[None])[0]  # type: ignore[no-any-return]


def _metadata(session: Any, path: str) -> dict[str, str]:
    """What the file says of itself.

    Raises:
        InputError: it does not say what its scores stand for, or how clips are made.
    """
    said: dict[str, str] = session.get_modelmeta().custom_metadata_map
    missing = [name for name in ("format", "config", "ids", "names") if name not in said]
    if missing or said["format"] != FORMAT:
        lacking = f"lacks {', '.join(missing)}" if missing else f"has format '{said['format']}'"
        raise InputError(
            f"{path}: its metadata {lacking}; expected what `actiondet export` writes: format '{FORMAT}', config (the "
            "whole configuration in YAML, with clip, mean and std), ids and names (JSON lists, of the columns of the "
            "scores). Export the network again, or put these entries into the file's metadata_props"
        )
    return said


def _open_anywhere(path: str) -> Any:
    """The file's session on a GPU that CUDA can use, else on the CPU; where the GPU fails, why is said."""
    if importlib.util.find_spec("onnxruntime") is not None:
        available = importlib.import_module("onnxruntime").get_available_providers()
        if PROVIDERS["cuda"][0] in available:
            try:
                return _open(path, "cuda")
            except DeviceError as fault:
                LOG.warning(f"{fault}; the network runs on the CPU instead")
    return _open(path, "cpu")


def _open(path: str, device: str) -> Any:
    """The file's session on `device`, and nowhere else."""
    provider, *others = PROVIDERS.get(device, (device, "CPUExecutionProvider"))
    runtime = _onnxruntime(device, provider)
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        session = runtime.InferenceSession(path, providers=list(dict.fromkeys([provider, *others])))
    except Exception as fault:  # its own classes, derived from nothing in particular
        raise InputError(f"{path}: onnxruntime cannot read it ({str(fault).splitlines()[0]})") from None
    if provider not in session.get_providers():  # it falls back without failing
        raise DeviceError(
            f"onnxruntime cannot run on '{device}' here; expected a device with its driver and the libraries that "
            f"onnxruntime's {provider} needs"
        )
    return session


def _onnxruntime(device: str, provider: str) -> Any:
    package = _PACKAGES.get(device, "onnxruntime-gpu")
    if importlib.util.find_spec("onnxruntime") is None:
        raise InputError(f"onnxruntime is not installed; pip install {package}")
    onnxruntime = importlib.import_module("onnxruntime")
    available = onnxruntime.get_available_providers()
    if provider in available:
        return onnxruntime
    if device in PROVIDERS:
        raise InputError(f"this onnxruntime cannot run on '{device}' (no {provider}); pip install {package}")
    raise InputError(
        f"this onnxruntime has no provider '{device}'; expected {', '.join(PROVIDERS)}, or one of its own: "
        f"{', '.join(available)}"
    )

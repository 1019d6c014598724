"""Run the ONNX file of a person detector: in ONNX Runtime where it is installed, else in OpenCV's dnn."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError


class OnnxRunner(Protocol):
    """A network: pictures in, its outputs by name."""

    def __call__(self, images: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Look at (N, 3, H, W) float32 pictures."""
        ...


class Described(NamedTuple):
    """An input or output of a network; sides that the file leaves open are None."""

    name: str
    kind: str
    """Of its numbers: float, float16, uint8, int64, ..."""
    shape: tuple[int | None, ...]


class OnnxRuntimeRunner:
    """ONNX Runtime.

    Args:
        model: the content of a file, or its path, which weights in a file beside it need.
        threads: that work on a picture; 0 leaves it to ONNX Runtime.
        gpu: use a GPU where this ONNX Runtime can.

    Attributes:
        inputs, outputs: what the file says of them.
        metadata: what else the file says.

    Raises:
        ImportError: ONNX Runtime is not installed.
    """

    def __init__(self, model: bytes | str, *, threads: int = 0, gpu: bool = False) -> None:
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        there = runtime.get_available_providers()
        providers = [each for each in ("CUDAExecutionProvider",) if gpu and each in there] + ["CPUExecutionProvider"]
        options.log_severity_level = 3  # errors; it also warns of what is merely not as fast as it could be
        self._session = runtime.InferenceSession(model, options, providers=providers)
        self.inputs = [_describe(each) for each in self._session.get_inputs()]
        self.outputs = [_describe(each) for each in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, images: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Look at pictures of the type and shape that `inputs` says."""
        found = self._session.run(None, {self.inputs[0].name: images})
        return {each.name: array for each, array in zip(self.outputs, found, strict=True)}


def _describe(given: Any) -> Described:
    kind = str(given.type).removeprefix("tensor(").removesuffix(")")
    shape = (side if isinstance(side, int) and side > 0 else None for side in given.shape or ())
    return Described(given.name, kind, tuple(shape))


class OpenCvRunner:
    """OpenCV's dnn, of OpenCV 4 or 5.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(content, dtype=np.uint8))
        self._outputs: Sequence[str] = self._network.getUnconnectedOutLayersNames()

    def __call__(self, images: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Look at (N, 3, H, W) float32 pictures."""
        self._network.setInput(images)
        # The arrays belong to the network, which writes over them next time.
        return {
            name: np.array(found)
            for name, found in zip(self._outputs, self._network.forward(self._outputs), strict=True)
        }


def load_runner(content: bytes, *, threads: int = 0) -> OnnxRunner:
    """Take the faster of the two that are installed: ONNX Runtime needs a third of OpenCV's time.

    Args:
        content: of the file.
        threads: of ONNX Runtime; 0 leaves it to that. OpenCV's are set for all of it, by cv2.setNumThreads.

    Raises:
        InputError: neither is installed.
    """
    try:
        return OnnxRuntimeRunner(content, threads=threads)
    except ImportError:
        if hasattr(cv2, "dnn"):
            return OpenCvRunner(content)
    raise InputError(
        f"this OpenCV {cv2.__version__} has no dnn module, and ONNX Runtime is not installed; install one of "
        "opencv-python-headless and onnxruntime"
    )

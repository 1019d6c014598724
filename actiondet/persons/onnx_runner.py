"""Run the ONNX file of a person detector: in ONNX Runtime where it is installed, else in OpenCV's dnn."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError
from evaluation.records import FloatArray


class OnnxRunner(Protocol):
    """A network: pictures in, its outputs by name."""

    def __call__(self, images: FloatArray) -> Mapping[str, npt.NDArray[Any]]:
        """Look at (N, 3, H, W) float32 pictures."""
        ...


class OnnxRuntimeRunner:
    """ONNX Runtime on the CPU.

    Args:
        content: of the file.
        threads: that work on a picture; 0 leaves it to ONNX Runtime.

    Raises:
        ImportError: ONNX Runtime is not installed.
    """

    def __init__(self, content: bytes, *, threads: int = 0) -> None:
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; it also warns of what is merely not as fast as it could be
        self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (self._input,) = [each.name for each in self._session.get_inputs()]
        self._outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, images: FloatArray) -> Mapping[str, npt.NDArray[Any]]:
        """Look at (N, 3, H, W) float32 pictures."""
        return dict(zip(self._outputs, self._session.run(None, {self._input: images}), strict=True))


class OpenCvRunner:
    """OpenCV's dnn, of OpenCV 4 or 5.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(content, dtype=np.uint8))
        self._outputs: Sequence[str] = self._network.getUnconnectedOutLayersNames()

    def __call__(self, images: FloatArray) -> Mapping[str, npt.NDArray[Any]]:
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

"""Find who does what, where and when in video.

The public names are loaded on first use, so that `import actiondet` and `--help` stay fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.public_names import loaded_on_use

if TYPE_CHECKING:
    from actiondet.config import load_config as load_config
    from actiondet.config import load_recognition_config as load_recognition_config
    from actiondet.config.data_sets import FrameFolderConfig as FrameFolderConfig
    from actiondet.drawing import DrawingStyle as DrawingStyle
    from actiondet.drawing import draw_video as draw_video
    from actiondet.engine.detection.testing import run_test as run_test
    from actiondet.engine.devices import launch as launch
    from actiondet.engine.export import export_network as export_network
    from actiondet.engine.loading import load_trained as load_trained
    from actiondet.engine.recognition.recognize import load_recognizer as load_recognizer
    from actiondet.engine.recognition.testing import run_recognition_test as run_recognition_test
    from actiondet.engine.train import train as train
    from actiondet.exported import OnnxNetwork as OnnxNetwork
    from actiondet.exported import OnnxRecognizer as OnnxRecognizer
    from actiondet.models.build import build_detector as build_detector
    from actiondet.models.build import build_recognizer as build_recognizer
    from actiondet.models.inference import optimize_for_inference as optimize_for_inference
    from actiondet.models.weights import load_weights as load_weights
    from actiondet.pipeline import VideoPipeline as VideoPipeline
    from actiondet.results import VideoResult as VideoResult
    from actiondet.tubes.linking import link as link
    from actiondet.video import VideoWriter as VideoWriter
    from actiondet.video import index_video as index_video
    from actiondet.video import open_video as open_video
    from actiondet.video import stream_frames as stream_frames

__version__ = "0.1.0"

__all__, __getattr__, __dir__ = loaded_on_use(__name__)

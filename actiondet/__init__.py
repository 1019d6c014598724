"""Find who does what, where and when in video.

The public names are loaded on first use, so that `import actiondet` and `--help` stay fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actiondet.config import load_config as load_config
    from actiondet.config import load_recognition_config as load_recognition_config
    from actiondet.drawing import DrawingStyle as DrawingStyle
    from actiondet.models.build import build_detector as build_detector
    from actiondet.models.build import build_recognizer as build_recognizer
    from actiondet.models.inference import optimize_for_inference as optimize_for_inference
    from actiondet.models.weights import load_weights as load_weights
    from actiondet.pipeline import VideoPipeline as VideoPipeline
    from actiondet.tubes.linking import link as link

__version__ = "0.1.0"

_HOME = {
    "DrawingStyle": "actiondet.drawing",
    "VideoPipeline": "actiondet.pipeline",
    "build_detector": "actiondet.models.build",
    "build_recognizer": "actiondet.models.build",
    "link": "actiondet.tubes.linking",
    "load_config": "actiondet.config",
    "load_recognition_config": "actiondet.config",
    "load_weights": "actiondet.models.weights",
    "optimize_for_inference": "actiondet.models.inference",
}

__all__ = [
    "DrawingStyle",
    "VideoPipeline",
    "build_detector",
    "build_recognizer",
    "link",
    "load_config",
    "load_recognition_config",
    "load_weights",
    "optimize_for_inference",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the room it lives in (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'actiondet' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

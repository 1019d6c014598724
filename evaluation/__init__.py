"""Exact evaluation of action detection: AVA frame-mAP, MultiSports frame- and video-mAP. Without torch.

The public names are loaded on first use, so that `import evaluation` and `--help` stay fast.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.errors import InputError as InputError
    from evaluation.explain import explain as explain
    from evaluation.formats.act_tubes import read_act_tubes as read_act_tubes
    from evaluation.formats.act_tubes import read_corrected_ucf24 as read_corrected_ucf24
    from evaluation.formats.action_list import ActionList as ActionList
    from evaluation.formats.action_list import read_action_list as read_action_list
    from evaluation.formats.action_list import write_action_list as write_action_list
    from evaluation.formats.ava import read_ava_csv as read_ava_csv
    from evaluation.formats.ava import read_ava_results as read_ava_results
    from evaluation.formats.ava import read_excluded as read_excluded
    from evaluation.formats.ava import write_ava_csv as write_ava_csv
    from evaluation.formats.ava import write_ava_results as write_ava_results
    from evaluation.formats.ava import write_excluded as write_excluded
    from evaluation.formats.multisports import read_frame_detections as read_frame_detections
    from evaluation.formats.multisports import read_multisports as read_multisports
    from evaluation.formats.multisports import read_video_detections as read_video_detections
    from evaluation.formats.multisports import write_frame_detections as write_frame_detections
    from evaluation.formats.multisports import write_multisports as write_multisports
    from evaluation.formats.multisports import write_video_detections as write_video_detections
    from evaluation.formats.person_boxes import read_proposals as read_proposals
    from evaluation.formats.person_boxes import write_proposals as write_proposals
    from evaluation.frame_map import FrameMapResult as FrameMapResult
    from evaluation.frame_map import frame_map as frame_map
    from evaluation.label_lists import LABEL_LISTS as LABEL_LISTS
    from evaluation.label_lists import label_list as label_list
    from evaluation.lost_ap import LostAp as LostAp
    from evaluation.lost_ap import frame_errors as frame_errors
    from evaluation.lost_ap import video_errors as video_errors
    from evaluation.persons import person_ap as person_ap
    from evaluation.recognition import average_views as average_views
    from evaluation.recognition import recognition_accuracy as recognition_accuracy
    from evaluation.records import ActionDetections as ActionDetections
    from evaluation.records import DetectionRows as DetectionRows
    from evaluation.records import FrameKey as FrameKey
    from evaluation.records import PersonBoxes as PersonBoxes
    from evaluation.records import TruthRows as TruthRows
    from evaluation.records import Tube as Tube
    from evaluation.threshold_map import ThresholdMapResult as ThresholdMapResult
    from evaluation.tube_set import TubeSet as TubeSet
    from evaluation.tube_truth import FrameDetections as FrameDetections
    from evaluation.tube_truth import TubeTruth as TubeTruth
    from evaluation.video_map import tube_frame_map as tube_frame_map
    from evaluation.video_map import video_map as video_map

_NAMES_OF = {
    "errors": ("InputError",),
    "explain": ("explain",),
    "formats.act_tubes": ("read_act_tubes", "read_corrected_ucf24"),
    "formats.action_list": ("ActionList", "read_action_list", "write_action_list"),
    "formats.ava": (
        *("read_ava_csv", "read_ava_results", "read_excluded"),
        *("write_ava_csv", "write_ava_results", "write_excluded"),
    ),
    "formats.multisports": (
        *("read_frame_detections", "read_multisports", "read_video_detections"),
        *("write_frame_detections", "write_multisports", "write_video_detections"),
    ),
    "formats.person_boxes": ("read_proposals", "write_proposals"),
    "frame_map": ("FrameMapResult", "frame_map"),
    "label_lists": ("LABEL_LISTS", "label_list"),
    "lost_ap": ("LostAp", "frame_errors", "video_errors"),
    "persons": ("person_ap",),
    "recognition": ("average_views", "recognition_accuracy"),
    "records": ("ActionDetections", "DetectionRows", "FrameKey", "PersonBoxes", "TruthRows", "Tube"),
    "threshold_map": ("ThresholdMapResult",),
    "tube_set": ("TubeSet",),
    "tube_truth": ("FrameDetections", "TubeTruth"),
    "video_map": ("tube_frame_map", "video_map"),
}
_HOME = {name: f"evaluation.{module}" for module, names in _NAMES_OF.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'evaluation' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)


class _Package(ModuleType):
    """This package, in which `frame_map` is the function, even after the module of that name was imported."""

    def __setattr__(self, name: str, value: object) -> None:
        # Python binds every imported submodule here; frame_map, video_map and explain hold a function of
        # their own name, and that is what users call.
        if isinstance(value, ModuleType) and _HOME.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

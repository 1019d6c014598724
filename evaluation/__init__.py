"""Exact evaluation of action detection: AVA frame-mAP, MultiSports frame- and video-mAP. Without torch.

The public names are loaded on first use, so that `import evaluation` and `--help` stay fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.ava_errors import action_errors as action_errors
    from evaluation.ava_errors import find_errors as find_errors
    from evaluation.error_analysis import frame_errors as frame_errors
    from evaluation.error_analysis import video_errors as video_errors
    from evaluation.error_breakdown import ErrorBreakdown as ErrorBreakdown
    from evaluation.errors import InputError as InputError
    from evaluation.explanation import explain as explain
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
    from evaluation.found_boxes import BoxRecall as BoxRecall
    from evaluation.found_boxes import box_recall as box_recall
    from evaluation.frame_ap import FrameMapResult as FrameMapResult
    from evaluation.frame_ap import frame_map as frame_map
    from evaluation.label_lists import LABEL_LISTS as LABEL_LISTS
    from evaluation.label_lists import label_list as label_list
    from evaluation.persons import person_ap as person_ap
    from evaluation.recognition import average_views as average_views
    from evaluation.recognition import recognition_accuracy as recognition_accuracy
    from evaluation.records import ActionDetections as ActionDetections
    from evaluation.records import DetectionRows as DetectionRows
    from evaluation.records import FrameKey as FrameKey
    from evaluation.records import PersonBoxes as PersonBoxes
    from evaluation.records import TruthRows as TruthRows
    from evaluation.records import Tube as Tube
    from evaluation.significance import Bootstrap as Bootstrap
    from evaluation.significance import Comparison as Comparison
    from evaluation.significance import bootstrap as bootstrap
    from evaluation.significance import compare_results as compare_results
    from evaluation.strata import Strata as Strata
    from evaluation.strata import frame_map_by as frame_map_by
    from evaluation.strata import video_map_by_length as video_map_by_length
    from evaluation.streaming import FrameAP as FrameAP
    from evaluation.tube_ap import ThresholdMapResult as ThresholdMapResult
    from evaluation.tube_dataset import FrameDetections as FrameDetections
    from evaluation.tube_dataset import TubeTruth as TubeTruth
    from evaluation.tube_scoring import tube_frame_map as tube_frame_map
    from evaluation.tube_scoring import video_map as video_map
    from evaluation.tube_set import TubeSet as TubeSet

_NAMES_OF = {
    "ava_errors": ("action_errors", "find_errors"),
    "found_boxes": ("BoxRecall", "box_recall"),
    "errors": ("InputError",),
    "explanation": ("explain",),
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
    "frame_ap": ("FrameMapResult", "frame_map"),
    "label_lists": ("LABEL_LISTS", "label_list"),
    "error_analysis": ("frame_errors", "video_errors"),
    "error_breakdown": ("ErrorBreakdown",),
    "persons": ("person_ap",),
    "recognition": ("average_views", "recognition_accuracy"),
    "records": ("ActionDetections", "DetectionRows", "FrameKey", "PersonBoxes", "TruthRows", "Tube"),
    "significance": ("Bootstrap", "Comparison", "bootstrap", "compare_results"),
    "strata": ("Strata", "frame_map_by", "video_map_by_length"),
    "streaming": ("FrameAP",),
    "tube_ap": ("ThresholdMapResult",),
    "tube_set": ("TubeSet",),
    "tube_dataset": ("FrameDetections", "TubeTruth"),
    "tube_scoring": ("tube_frame_map", "video_map"),
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

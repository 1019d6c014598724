"""Exact evaluation of action detection: AVA frame-mAP, MultiSports frame- and video-mAP. Without torch.

The public names are loaded on first use, so that `import evaluation` and `--help` stay fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.public_names import loaded_on_use

if TYPE_CHECKING:
    from evaluation.ap_result import IOU_RANGES as IOU_RANGES
    from evaluation.ap_result import ApResult as ApResult
    from evaluation.ava_errors import action_errors as action_errors
    from evaluation.ava_errors import find_errors as find_errors
    from evaluation.average_precision import PrecisionRecall as PrecisionRecall
    from evaluation.calibration import Calibration as Calibration
    from evaluation.calibration import calibrate as calibrate
    from evaluation.confusion import Confusion as Confusion
    from evaluation.confusion import confusion_of as confusion_of
    from evaluation.error_analysis import frame_errors as frame_errors
    from evaluation.error_analysis import video_errors as video_errors
    from evaluation.error_breakdown import ErrorBreakdown as ErrorBreakdown
    from evaluation.errors import InputError as InputError
    from evaluation.explanation import ExplainedStep as ExplainedStep
    from evaluation.explanation import explain as explain
    from evaluation.explanation import explanation_text as explanation_text
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
    from evaluation.formats.ava_kinetics import read_kinetics_boxes as read_kinetics_boxes
    from evaluation.formats.frame_tables import read_frame_persons as read_frame_persons
    from evaluation.formats.frame_tables import read_tube_csv as read_tube_csv
    from evaluation.formats.multisports import read_frame_detections as read_frame_detections
    from evaluation.formats.multisports import read_multisports as read_multisports
    from evaluation.formats.multisports import read_video_detections as read_video_detections
    from evaluation.formats.multisports import write_frame_detections as write_frame_detections
    from evaluation.formats.multisports import write_multisports as write_multisports
    from evaluation.formats.multisports import write_video_detections as write_video_detections
    from evaluation.formats.person_boxes import read_proposals as read_proposals
    from evaluation.formats.person_boxes import write_proposals as write_proposals
    from evaluation.formats.video_list import VideoList as VideoList
    from evaluation.formats.video_list import read_class_names as read_class_names
    from evaluation.formats.video_list import read_video_list as read_video_list
    from evaluation.formats.video_scores import VideoScores as VideoScores
    from evaluation.formats.video_scores import read_video_scores as read_video_scores
    from evaluation.formats.video_scores import write_video_scores as write_video_scores
    from evaluation.found_boxes import BoxRecall as BoxRecall
    from evaluation.found_boxes import box_recall as box_recall
    from evaluation.frame_ap import FrameMapResult as FrameMapResult
    from evaluation.frame_ap import frame_map as frame_map
    from evaluation.label_lists import LABEL_LISTS as LABEL_LISTS
    from evaluation.label_lists import label_list as label_list
    from evaluation.name_column import NameColumn as NameColumn
    from evaluation.persons import PersonApResult as PersonApResult
    from evaluation.persons import person_ap as person_ap
    from evaluation.protocols import PROTOCOLS as PROTOCOLS
    from evaluation.protocols import Protocol as Protocol
    from evaluation.recognition import RecognitionResult as RecognitionResult
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

__all__, __getattr__, __dir__ = loaded_on_use(__name__)

"""What the columns of a network's scores stand for, by the files of its data set or their published lists."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.recognition import Ucf101Config
from actiondet.config.schema import AvaConfig, MultiSportsConfig
from actiondet.datasets.multisports import read_tube_truth
from actiondet.datasets.video_lists import list_videos
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList, read_action_list
from evaluation.formats.video_list import read_class_names
from evaluation.label_lists import label_list

AVA_ACTIONS, MULTISPORTS_ACTIONS = 80, 66
_AVA_LISTS = {"ava_action_list_v2.1.pbtxt", "ava_action_list_v2.2.pbtxt"}


def named_actions(config: DetectionConfig | RecognitionConfig) -> ActionList:
    """The actions, or classes, that the data set's files name, or its published list; else numbers."""
    return _detected_actions(config) if isinstance(config, DetectionConfig) else _recognized_classes(config)


def _detected_actions(config: DetectionConfig) -> ActionList:
    data, count = config.data, config.model.num_actions
    multisports = isinstance(data, MultiSportsConfig)
    if isinstance(data, AvaConfig):
        if Path(data.actions).is_file():
            return read_action_list(data.actions)
        if Path(data.actions).name in _AVA_LISTS and count == AVA_ACTIONS:
            return label_list("ava")
    if isinstance(data, MultiSportsConfig):
        if Path(data.val.truth).is_file():
            return ActionList.numbered(read_tube_truth(data, "val", num_actions=count).labels)
        if config.published.weights is not None and count == MULTISPORTS_ACTIONS:
            return label_list("multisports")
    first = 0 if multisports else 1
    return ActionList.numbered((f"action {label}" for label in range(first, first + count)), first=first)


def _recognized_classes(config: RecognitionConfig) -> ActionList:
    count, path = config.model.num_classes, getattr(config.data, "classes", None)
    names = None
    with suppress(InputError, OSError):  # most who use published weights have not got the data set
        names = read_class_names(path) if isinstance(path, str) else list_videos(config.data, "val").classes
    if names is not None and len(names) == count:
        return ActionList.numbered(names)
    known = Path(path).parent.name if isinstance(path, str) else ""
    if isinstance(config.data, Ucf101Config):
        known = "ucf101"
    if known in ("kinetics400", "kinetics600", "kinetics700", "ucf101") and len(label_list(known)) == count:
        return label_list(known)
    return ActionList.numbered(map(str, range(count)))

"""What the columns of a network's scores stand for, by the files of its data set or their published lists."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.data_sets import AvaConfig, MultiSportsConfig, PersonDataConfig
from actiondet.config.recognition import Ucf101Config
from actiondet.datasets.classes import ChosenActions, choose_actions
from actiondet.datasets.multisports import read_tube_truth
from actiondet.datasets.video_lists import list_videos
from actiondet.models.weights import HeadColumns
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
    chosen = chosen_actions(config)
    if chosen is not None:
        return chosen.actions
    count, first = config.model.num_actions, 0 if isinstance(config.data, MultiSportsConfig) else 1
    return ActionList.numbered((f"action {label}" for label in range(first, first + count)), first=first)


def chosen_actions(config: DetectionConfig) -> ChosenActions | None:
    """The actions of the network, as a choice from those of the data set; None where nothing names these.

    Raises:
        InputError: `data.classes` or `data.merge_classes` name actions that are not there.
    """
    data = config.data
    listed = _listed_actions(config)
    if listed is None or not isinstance(data, PersonDataConfig):
        return None
    source = data.actions if isinstance(data, AvaConfig) else "the data set"
    return choose_actions(listed, data.classes, data.merge_classes, source=source)


def _listed_actions(config: DetectionConfig) -> ActionList | None:
    """Every action of the data set, by its files or its published list."""
    data, count = config.data, config.model.num_actions
    chooses = isinstance(data, PersonDataConfig) and (data.classes is not None or bool(data.merge_classes))
    if isinstance(data, AvaConfig):
        if Path(data.actions).is_file():
            return read_action_list(data.actions)
        if Path(data.actions).name in _AVA_LISTS and (chooses or count == AVA_ACTIONS):
            return label_list("ava")
    if isinstance(data, MultiSportsConfig):
        if Path(data.val.truth).is_file():
            return ActionList.numbered(read_tube_truth(data, "val", num_actions=count).labels)
        if config.published.weights is not None and (chooses or count == MULTISPORTS_ACTIONS):
            return label_list("multisports")
    return None


def head_columns(config: DetectionConfig | RecognitionConfig, theirs: ActionList | None) -> HeadColumns | None:
    """Which columns of a file's head are those of `config`, where it chooses among the actions of its data set.

    Args:
        config: of the network.
        theirs: the actions of the file's head; None for one of another toolkit, whose columns follow the ids of the
            data set.

    Returns:
        None where nothing is chosen, or the file's head is not one that these actions are chosen from.
    """
    chosen = chosen_actions(config) if isinstance(config, DetectionConfig) else None
    if chosen is None or chosen.is_whole:
        return None
    listed = chosen.listed if theirs is None else theirs
    if listed.names == chosen.actions.names:
        return None
    column = dict(zip(listed.names, listed.columns.tolist(), strict=True))
    members = []
    for name, labels in zip(chosen.actions.names, chosen.members, strict=True):
        parts = [name] if name in column else [chosen.listed.name_of(label) for label in labels]
        if any(part not in column for part in parts):
            return None
        members.append(tuple(column[part] for part in parts))
    return HeadColumns(listed.width, tuple(members))


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

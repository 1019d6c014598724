"""Everything that a training run would read, read and compared without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.config import DetectionConfig
from actiondet.config.data_sets import AvaConfig, AvaKineticsConfig, MultiSportsConfig, SplitConfig
from actiondet.datasets.classes import ChosenActions, choose_actions
from actiondet.datasets.key_frames import start_us
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.key_frames import (
    check_excluded,
    check_leaks,
    check_times,
    read_excluded_moments,
)
from data_tools.check_dataset.lengths import check_lengths
from data_tools.check_dataset.motion import check_motion
from data_tools.check_dataset.movement import check_movement
from data_tools.check_dataset.names import check_names
from data_tools.check_dataset.person_ids import check_person_ids
from data_tools.check_dataset.proposals import check_against_truth, check_persons, read_persons
from data_tools.check_dataset.rows import read_rows
from data_tools.check_dataset.settings import check_settings, check_span
from data_tools.check_dataset.truth import check_heads, check_labels, check_rows, count_classes
from data_tools.check_dataset.tubes import check_tubes
from data_tools.check_dataset.videos import look_at_videos, readable
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList, read_action_list
from evaluation.formats.ava_kinetics import kinetics_clip
from evaluation.records import IntArray


def check_detection(
    config: DetectionConfig, *, processes: int, look: int | None = None
) -> tuple[Report, dict[str, pd.DataFrame], dict[str, Path]]:
    """Check a data set of persons and what they do.

    Args:
        config: the run that would read it.
        processes: videos that are looked at side by side.
        look: decode at most so many videos, spread evenly; None decodes all.

    Returns:
        What was found; the sound rows of each split; where the videos lie.

    Raises:
        InputError: the data set is of a kind that cannot be checked.
    """
    data = config.data
    if isinstance(data, MultiSportsConfig):
        return check_tubes(config, data, processes=processes, look=look)
    if not isinstance(data, AvaConfig):
        raise InputError(f"data.name: the checker knows ava, ava_kinetics and multisports, not '{data.name}'")
    report = Report()
    actions = _read_list(data.actions, report)
    chosen = None if actions is None else _choose(data, actions, report)
    evaluated = None if chosen is None else _check_lists(config, data, chosen, report)
    check_settings(config, () if chosen is None else chosen.actions.names, report)
    splits = {"train": data.train, "val": data.val}
    if _same_file(data.train.truth, data.val.truth):
        report.error("leak-same-file", "data.val.truth", "train and val read the same truth", "split by video")
    tables: dict[str, pd.DataFrame] = {}
    for split, files in splits.items():
        table = read_rows(files.truth, report)
        if table is None:
            continue
        tables[split] = table
        _check_split(split, files, table, config, data, chosen, report)
        if _follows_tracks(config):
            check_person_ids(files.truth, table, report)
    if actions is not None:
        check_movement(
            tables,
            {split: files.truth for split, files in splits.items()},
            dict(zip(actions.ids, actions.names, strict=True)),
            report,
        )
    if chosen is not None and evaluated is not None and tables:
        of_chosen = {split: table.assign(label=_chosen_labels(table, chosen)) for split, table in tables.items()}
        count_classes(of_chosen, chosen.actions, evaluated, report, repeat_threshold=config.train.repeat_threshold)
    paths = _check_videos(config, data, tables, report, processes, look)
    return report, tables, paths


def _same_file(first: str, second: str) -> bool:
    return Path(first).resolve() == Path(second).resolve()


def _read_list(path: str, report: Report) -> ActionList | None:
    try:
        return read_action_list(path)
    except (InputError, OSError) as fault:
        report.error("action-list", path, str(fault), "expected item { name: ... id: ... } blocks (.pbtxt)")
        return None


def _choose(data: AvaConfig, actions: ActionList, report: Report) -> ChosenActions | None:
    """The actions that are trained, as the settings choose them."""
    try:
        return choose_actions(actions, data.classes, data.merge_classes, source=data.actions)
    except InputError as fault:
        report.error("classes", data.actions, str(fault), "correct data.classes or data.merge_classes")
        return None


def _chosen_labels(table: pd.DataFrame, chosen: ChosenActions) -> IntArray:
    """The labels of a part as those of the chosen actions; -1 where nobody does any of them."""
    labels = table["label"].to_numpy(dtype=np.int64)
    listed = np.isin(labels, chosen.listed.ids)
    found = np.full(len(labels), -1, dtype=np.int64)
    found[listed] = chosen.labels(labels[listed])
    return found


def _check_lists(config: DetectionConfig, data: AvaConfig, chosen: ChosenActions, report: Report) -> ActionList | None:
    """Hold the lists against the model and each other; return the scored actions."""
    actions, width = chosen.listed, chosen.actions.width
    if width != config.model.num_actions:
        left = f"the largest id of {data.actions} is {width}"
        if not chosen.is_whole:
            left = f"data.classes and data.merge_classes leave {width} actions"
        report.error(
            "num-actions",
            "model.num_actions",
            f"is {config.model.num_actions}, but {left}",
            f"set model.num_actions={width}",
        )
    check_names(data.actions, dict(zip(actions.ids, actions.names, strict=True)), report)
    if data.evaluated_actions is None:
        return chosen.actions
    evaluated = _read_list(data.evaluated_actions, report)
    if evaluated is None:
        return None
    strange = sorted(set(evaluated.ids) - set(actions.ids))
    if strange:
        report.error(
            "evaluated-not-trained",
            data.evaluated_actions,
            f"ids {some(strange)} are not in {data.actions}",
            "every scored id must be in data.actions",
        )
    other = [i for i in evaluated.ids if i in actions.ids and evaluated.name_of(i) != actions.name_of(i)]
    if other:
        i = other[0]
        report.error(
            "action-names-differ",
            data.evaluated_actions,
            f"id {i} is '{evaluated.name_of(i)}' here and '{actions.name_of(i)}' in {data.actions} ({len(other)} ids)",
            "both lists must number the actions alike",
        )
    return evaluated if chosen.is_whole else chosen.of(evaluated)


def _check_split(
    split: str,
    files: SplitConfig,
    table: pd.DataFrame,
    config: DetectionConfig,
    data: AvaConfig,
    chosen: ChosenActions | None,
    report: Report,
) -> None:
    if chosen is not None:
        check_labels(files.truth, table, chosen.listed, data.actions, report)
    check_rows(files.truth, table, report)
    learned = table if chosen is None else table.assign(label=_chosen_labels(table, chosen))
    check_heads(files.truth, learned, config.model.multi_label, report)
    excluded = read_excluded_moments(files.excluded, report)
    check_excluded(files.excluded, files.truth, table, excluded, report)
    boxed = table[table["label"] >= 0]
    report.facts.append((split, "videos", str(table["video"].nunique())))
    report.facts.append((split, "key frames", str(len(table.drop_duplicates(["video", "moment"])))))
    report.facts.append((split, "rows (box, action)", str(len(boxed))))
    if files.proposals is None:
        return
    found = read_persons(files.proposals, report)
    if found is not None:
        check_persons(files.proposals, found, data.person_threshold, report)
        if isinstance(data, AvaKineticsConfig):  # published boxes name Kinetics clips by their bare id
            named = {key.video for key in found}
            table = table.assign(video=[_bare_name(name, named) for name in table["video"]])
        check_against_truth(
            split,
            files.proposals,
            table,
            found,
            excluded,
            data.person_threshold,
            report,
            match_iou=data.match_iou,
            tracks=_follows_tracks(config),
        )


def _follows_tracks(config: DetectionConfig) -> bool:
    """Whether the head looks at every person along a track; a head of one's own need not say."""
    return getattr(config.model.head, "roi", "static") == "track"


def _bare_name(video: str, known: set[str]) -> str:
    parts = kinetics_clip(video)
    return parts[0] if parts is not None and video not in known else video


def _check_videos(
    config: DetectionConfig,
    data: AvaConfig,
    tables: dict[str, pd.DataFrame],
    report: Report,
    processes: int,
    look: int | None,
) -> dict[str, Path]:
    videos = {split: set(table["video"]) for split, table in tables.items()}
    names = sorted(set().union(*videos.values()))
    clip = config.clip
    looked = look_at_videos(
        data, names, report, clip_fps=clip.clip_fps, stride=clip.stride, processes=processes, look=look
    )
    if looked is None:
        return {}
    starts = {name: start_us(data, name) for name in names}
    truths = {"train": data.train.truth, "val": data.val.truth}
    annotations = []
    for split, table in tables.items():
        check_times(truths[split], table, {name: start / 1e6 for name, start in starts.items()}, looked, report)
        instants = table["moment"].to_numpy() - table["video"].map(starts).to_numpy(dtype=np.int64)
        annotations.append((truths[split], table.assign(instant=instants)))
    evidence = check_motion(annotations, readable(looked), data.pictures, processes, report)
    for split, table in tables.items():
        ours = {name: looked[name] for name in table["video"].unique() if name in looked}
        check_lengths(truths[split], table, ours, evidence, report)
    check_leaks(videos, truths, looked, report)
    check_span(config, looked, report)
    return readable(looked)

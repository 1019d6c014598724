"""Everything that a run on MultiSports, or another set of tubes, would read, read and compared without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.config import DetectionConfig
from actiondet.config.data_sets import MultiSportsConfig
from actiondet.datasets.multisports import chosen_labels, chosen_tubes
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.key_frames import check_leaks
from data_tools.check_dataset.motion import check_motion
from data_tools.check_dataset.movement import check_movement
from data_tools.check_dataset.names import check_names
from data_tools.check_dataset.proposals import check_against_truth, check_persons, read_or_report
from data_tools.check_dataset.rows import BOX
from data_tools.check_dataset.settings import check_settings, check_span
from data_tools.check_dataset.sports import check_sports
from data_tools.check_dataset.truth import check_copies, check_heads, check_repeats, place_of
from data_tools.check_dataset.tube_videos import check_tube_videos
from data_tools.check_dataset.videos import look_at_videos, readable
from evaluation.boxes import leaves_frame
from evaluation.errors import InputError, some
from evaluation.formats.frame_tables import read_frame_persons, read_tube_csv
from evaluation.formats.multisports import read_multisports
from evaluation.tube_dataset import TubeTruth

# A CSV does not say how many labels there are; more than this no set has.
_MANY = 10_000


def check_tubes(
    config: DetectionConfig, data: MultiSportsConfig, *, processes: int, look: int | None
) -> tuple[Report, dict[str, pd.DataFrame], dict[str, Path]]:
    """Check a data set of tubes.

    Args:
        data: its data set.
        config, processes, look: as of `check_detection`.

    Returns:
        What was found; the sound boxes of each split; where the videos lie.
    """
    report = Report()
    truths: dict[str, TubeTruth] = {}
    splits = {"train": data.train, "val": data.val}
    for split, files in splits.items():
        truth = _read_truth(split, files.truth, config.model.num_actions, data, report)
        if truth is not None:
            truths[split] = truth
    names = next((truth.labels for truth in truths.values()), ())
    check_settings(config, names, report)
    check_names(next((splits[split].truth for split in truths), ""), dict(enumerate(names)), report)
    tables = {}
    for split, truth in truths.items():
        table = _boxes(splits[split].truth, truth, report)
        check_heads(splits[split].truth, table, config.model.multi_label, report)
        tables[split] = table
        _check_proposals(split, data, truth, table, report)
        report.facts.append((split, "videos", str(len(truth.test_videos))))
        report.facts.append((split, "annotated frames", str(len(table.drop_duplicates(["video", "moment"])))))
        report.facts.append((split, "tubes", str(len(truth.of_videos(truth.test_videos)))))
    check_movement(
        tables,
        {split: f"{files.truth} ({split})" for split, files in splits.items()},
        dict(enumerate(names)),
        report,
    )
    check_sports(truths, {split: files.truth for split, files in splits.items()}, report)
    _count_classes(truths, report)
    return report, tables, _check_files(config, data, truths, tables, report, processes, look)


def _read_truth(split: str, path: str, num_actions: int, data: MultiSportsConfig, report: Report) -> TubeTruth | None:
    """The truth whose test videos are those of `split`, of the chosen actions alone."""
    if not Path(path).is_file():
        report.error("file-missing", path, "the file does not exist", "give multisports_GT.pkl or a CSV of its layout")
        return None
    csv = Path(path).suffix == ".csv"
    try:
        truth = read_tube_csv(path, labels=_MANY) if csv else read_multisports(path)
    except (InputError, OSError) as fault:
        report.error("truth-unreadable", path, str(fault), "correct the file; training would stop here")
        return None
    if data.classes is not None or data.merge_classes:
        if csv:
            truth = replace(truth, labels=truth.labels[: int(truth.tubes.labels.max(initial=0)) + 1])
        return _of_split(split, _chosen(path, truth, num_actions, data, report))
    if csv:
        _check_csv_labels(path, truth, num_actions, report)
        return replace(truth, labels=truth.labels[:num_actions])
    if len(truth.labels) != num_actions:
        report.error(
            "num-actions",
            "model.num_actions",
            f"is {num_actions}, but {path} has {len(truth.labels)} labels",
            f"set model.num_actions={len(truth.labels)}",
        )
    return _of_split(split, truth)


def _of_split(split: str, truth: TubeTruth) -> TubeTruth:
    """The truth whose test videos are those of `split`; a CSV holds one split and names no others."""
    return truth if split == "val" else replace(truth, test_videos=truth.train_videos)


def _chosen(path: str, truth: TubeTruth, num_actions: int, data: MultiSportsConfig, report: Report) -> TubeTruth:
    """The tubes of the actions that the settings choose; all where the choice is faulty."""
    try:
        chosen = chosen_labels(data, truth, path)
    except InputError as fault:
        report.error("classes", path, str(fault), "correct data.classes or data.merge_classes")
        return truth
    width = chosen.actions.width
    if width != num_actions:
        left = f"is {num_actions}, but data.classes and data.merge_classes leave {width} actions"
        report.error("num-actions", "model.num_actions", left, f"set model.num_actions={width}")
    return chosen_tubes(truth, chosen)


def _check_csv_labels(path: str, truth: TubeTruth, num_actions: int, report: Report) -> None:
    labels = truth.tubes.labels
    if labels.max(initial=0) < num_actions:
        return
    if labels.min() == 1 and labels.max() == num_actions:
        what = f"labels are 1 to {num_actions}: they count from 1"
        report.error("ids-off-by-one", path, what, "subtract 1 in column 7 (labels of tube sets count from 0)")
    else:
        report.error(
            "id-not-in-list",
            path,
            f"has label {labels.max()}, but model.num_actions is {num_actions}",
            f"expected 0 to {num_actions - 1}; correct column 7 or set model.num_actions",
        )


def _boxes(path: str, truth: TubeTruth, report: Report) -> pd.DataFrame:
    """The sound boxes of the split: columns video, moment (frame from 1), x1 ... y2, label, person (tube)."""
    rows = truth.rows(truth.test_videos)
    table: pd.DataFrame = pd.DataFrame({"video": np.asarray(rows.video), "moment": rows.moment, "label": rows.labels})
    table[BOX] = rows.boxes
    table["person"] = rows.persons
    if len(table) == 0:
        report.error("no-persons", path, "no video of this split has a box", "is this the truth of the right split?")
        return table
    x1, y1, x2, y2 = (table[name] for name in BOX)
    inverted = (x1 > x2) | (y1 > y2)
    flat = ((x1 == x2) | (y1 == y2)) & ~inverted
    outside = leaves_frame(rows.boxes)
    for code, wrong, what, remedy in (
        ("box-inverted", inverted, "is inside out", "expected x1 <= x2 and y1 <= y2 (corner and size?)"),
        ("box-without-area", flat, "has no area", "draw it again; nothing can ever match it"),
        (
            "box-outside",
            outside & ~inverted,
            "leaves the frame",
            "is the video's resolution (height, width) right?",
        ),
    ):
        if wrong.any():
            row = table[wrong].iloc[0]
            box = ", ".join(f"{row[name]:.3f}" for name in BOX)
            report.error(code, place_of(path, row), f"unit box ({box}) {what} ({int(wrong.sum())} boxes)", remedy)
    check_repeats(path, table, report)
    check_copies(path, table, report)
    sound: pd.DataFrame = table[~(inverted | flat)].reset_index(drop=True)
    return sound


def _check_proposals(
    split: str, data: MultiSportsConfig, truth: TubeTruth, table: pd.DataFrame, report: Report
) -> None:
    files = data.train if split == "train" else data.val
    if files.proposals is None:
        return
    persons = read_or_report(
        files.proposals,
        lambda path: read_frame_persons(path, truth.test_videos),
        "a pickle of keys video,frame",
        report,
    )
    if persons is None:
        return
    if persons.unknown_videos:
        report.warn(
            "proposals-without-truth",
            files.proposals,
            f"has boxes of videos that are not in {split}: {some(persons.unknown_videos)}",
            "are these the boxes of this split?",
        )
    if persons.no_frames:
        report.warn(
            "proposals-before-frame-1",
            files.proposals,
            f"has boxes of frames before 1: {some([key.video for key in persons.no_frames])}",
            "frames count from 1; add 1 to all of them if these count from 0",
        )
    if not any(len(found) for found in persons.found.values()):
        report.error("proposals-empty", files.proposals, "the file holds no box", "make it by tools/detect_persons.py")
        return
    check_persons(files.proposals, persons.found, data.person_threshold, report, per_unit=1)
    check_against_truth(
        split,
        files.proposals,
        table,
        persons.found,
        (),
        data.person_threshold,
        report,
        match_iou=data.match_iou,
        per_unit=1,
    )


def _count_classes(truths: dict[str, TubeTruth], report: Report) -> None:
    """Count the tubes of every action."""
    if not truths:
        return
    first = next(iter(truths.values()))
    frame = pd.DataFrame({"id": range(len(first.labels)), "name": first.labels})
    for split, truth in truths.items():
        counts = np.bincount(truth.of_videos(truth.test_videos).labels, minlength=len(first.labels))
        frame[split] = counts[: len(first.labels)]
    frame["evaluated"] = ~frame["id"].isin(list(first.unscored))
    report.classes = frame
    for split in truths:
        none = frame[(frame[split] == 0) & frame["evaluated"]]
        if len(none):
            meaning = "cannot be learned" if split == "train" else "has AP 0 or is left out of the mAP"
            report.warn(
                f"class-without-{split}",
                f"data.{split}.truth",
                f"no tube of {some([f'{label} {name}' for label, name in zip(none['id'], none['name'], strict=True)])}",
                f"an action without an example here {meaning}",
            )


def _check_files(
    config: DetectionConfig,
    data: MultiSportsConfig,
    truths: dict[str, TubeTruth],
    tables: dict[str, pd.DataFrame],
    report: Report,
    processes: int,
    look: int | None,
) -> dict[str, Path]:
    paths_of = {"train": data.train.truth, "val": data.val.truth}
    videos = {split: truth.test_videos for split, truth in truths.items()}
    names = sorted(set().union(*videos.values()))
    clip = config.clip
    looked = look_at_videos(
        data, names, report, clip_fps=clip.clip_fps, stride=clip.stride, processes=processes, look=look
    )
    if looked is None:
        return {}
    paths = readable(looked)
    annotations = []
    for split, truth in truths.items():
        check_tube_videos(paths_of[split], truth, tables[split], looked, report)
        rates = tables[split]["video"].map({name: looked[name].rate for name in paths})
        instants = ((tables[split]["moment"] - 1) * 1e6 / rates).fillna(0).round().to_numpy(dtype=np.int64)
        annotations.append((paths_of[split], tables[split].assign(instant=instants)))
    check_motion(annotations, paths, None, processes, report)
    check_leaks(videos, paths_of, looked, report)
    check_span(config, looked, report)
    return paths

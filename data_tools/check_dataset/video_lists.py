"""Lists of labeled videos against their classes, their folders and each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from actiondet.config.recognition import VideoDataConfig
from actiondet.datasets.splits import SplitName
from actiondet.datasets.video_lists import VideoListing, bare_names, list_videos
from data_tools.check_dataset.findings import Report
from evaluation.command_line import describe
from evaluation.errors import InputError, some

SPLITS: tuple[SplitName, ...] = ("train", "val")

# Several clips are cut out of one recording: v_Archery_g08_c01 is clip 1 of recording 8.
_RECORDING = re.compile(r"(v_\w+_g\d+)_c\d+$")


def read_splits(data: VideoDataConfig, report: Report) -> tuple[dict[str, pd.DataFrame], Sequence[str] | None, str]:
    """Read the lists of both splits as training does.

    Returns:
        Of each readable split a table: video (without suffix), label, frames (NaN where the list says nothing), line,
        source; the names of the labels, None where nothing names them; the file or folder that names them.
    """
    listings: dict[str, VideoListing] = {}
    faults: dict[str, None] = {}
    for split in SPLITS:
        try:
            listings[split] = list_videos(data, split)
        except (InputError, OSError) as fault:
            faults[describe(fault)] = None  # a fault of both, such as in the names of the classes, is reported once
    for said in faults:
        report.error("list-unreadable", "data", said, "correct it; training would stop here")
    tables = {split: _table(data, listing) for split, listing in listings.items()}
    named = next((listing for listing in listings.values() if listing.classes is not None), None)
    return tables, None if named is None else named.classes, "" if named is None else named.classes_source


def _table(data: VideoDataConfig, listing: VideoListing) -> pd.DataFrame:
    bare = bare_names(data, listing.names)
    table: pd.DataFrame = pd.DataFrame(
        {
            "video": [bare[name] for name in listing.names],
            "label": listing.labels,
            "frames": np.nan if listing.frames is None else listing.frames.astype(np.float64),
            "line": listing.lines,
            "source": listing.source,
        }
    )
    return table


def check_numbers(
    tables: dict[str, pd.DataFrame], classes: Sequence[str] | None, source: str, num_classes: int, report: Report
) -> None:
    """Hold the labels against the network and the names; labels that count from 1 are recognized."""
    if classes is not None and len(classes) != num_classes:
        report.error(
            "num-classes",
            "model.num_classes",
            f"is {num_classes}, but {source} names {len(classes)} classes",
            f"set model.num_classes={len(classes)}",
        )
        num_classes = len(classes)
    every = pd.concat(tables.values()) if tables else pd.DataFrame(columns=["label"])
    wrong = every[every["label"] >= num_classes]
    if len(wrong) == 0:
        return
    row = wrong.iloc[0]
    where = f"{row['source']}, line {row['line']}"
    if every["label"].min() == 1 and every["label"].max() == num_classes:
        what = f"labels are 1 to {num_classes}: they count from 1"
        report.error("labels-off-by-one", where, what, "subtract 1 (labels count from 0)")
        return
    report.error(
        "label-out-of-range",
        where,
        f"label {row['label']} ({len(wrong)} lines), but there are {num_classes} classes",
        f"expected 0 to {num_classes - 1}; correct the list or set model.num_classes",
    )


def check_entries(split: str, table: pd.DataFrame, report: Report) -> None:
    """Find videos that are listed twice."""
    again = table[table.duplicated("video", keep=False)]
    if len(again) == 0:
        return
    labels = again.groupby("video", sort=False)["label"].nunique()
    torn = labels[labels > 1]
    if len(torn):
        row = again[again["video"] == torn.index[0]].iloc[1]
        report.error(
            "video-two-labels",
            f"{row['source']}, line {row['line']}",
            f"'{row['video']}' has two labels ({len(torn)} such videos); a video shows one action here",
            "keep one line; several actions at once are learned by tools/train_det.py",
        )
        return
    row = again.iloc[1]
    report.warn(
        "video-listed-twice",
        f"{row['source']}, line {row['line']}",
        f"'{row['video']}' is listed twice in {split} ({again['video'].nunique()} such videos)",
        "delete the copies",
    )


def check_recordings(tables: dict[str, pd.DataFrame], report: Report) -> None:
    """Clips of one recording (UCF101's groups) must not be in both splits."""
    if set(tables) != {"train", "val"}:
        return
    groups = {
        split: {found[1] for name in table["video"] if (found := _RECORDING.search(name.rpartition("/")[2]))}
        for split, table in tables.items()
    }
    both = sorted(groups["train"] & groups["val"])
    if both:
        report.error(
            "leak-recording",
            str(tables["val"]["source"].iloc[0]),
            f"clips of the same recordings are in train and val: {some(both)}",
            "keep the clips of a recording together, as the official lists do",
        )


def check_folders(tables: dict[str, pd.DataFrame], classes: Sequence[str] | None, report: Report) -> None:
    """Where videos lie in a folder for each class, its name gives the label."""
    if not tables:
        return
    every = pd.concat(tables.values())
    every = every.assign(folder=[_plain(name.rpartition("/")[0].rpartition("/")[2]) for name in every["video"]])
    if classes is not None:
        plain = [_plain(name) for name in classes]
        # Names of signs alone, or that differ in signs alone, say nothing.
        label_of = {name: label for label, name in enumerate(plain) if name and plain.count(name) == 1}
        known = every[every["folder"].isin(list(label_of))]
        if len(known) < 0.5 * len(every) or len(known) == 0:
            return
        shift = known["label"] - known["folder"].map(label_of)
        wrong = known[shift != 0]
        if len(wrong) == 0:
            return
        row = wrong.iloc[0]
        what = f"label {row['label']} of '{row['video']}' is not that of its folder, {label_of[row['folder']]}"
        same = shift.nunique() == 1
        report.error(
            "labels-off-by-one" if same and abs(int(shift.iloc[0])) == 1 else "label-not-of-folder",
            f"{row['source']}, line {row['line']}",
            f"{what} ({len(wrong)} of {len(known)} lines{f', all by {int(shift.iloc[0]):+d}' if same else ''})",
            "correct the labels, or the order of the class names",
        )
        return
    labels = every.groupby(["source", "folder"])["label"].agg(["nunique", "first"]).reset_index()
    if labels["folder"].nunique() < 2 or (labels["nunique"] > 1).mean() > 0.2 or len(tables) < 2:
        return
    both = labels.pivot(index="folder", columns="source", values="first").dropna()
    differing = both[both.nunique(axis=1) > 1]
    if len(differing):
        report.error(
            "labels-differ-between-parts",
            str(tables["val"]["source"].iloc[0]),
            f"folder '{differing.index[0]}' has another label in train than in val ({len(differing)} folders)",
            "number both splits alike",
        )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def count_labels(
    tables: dict[str, pd.DataFrame], classes: Sequence[str] | None, num_classes: int, report: Report
) -> None:
    """Count the videos of every class, and name the classes that cannot be learned or scored."""
    names = list(classes) if classes is not None else list(map(str, range(num_classes)))
    frame = pd.DataFrame({"id": range(len(names)), "name": names})
    for split, table in tables.items():
        frame[split] = frame["id"].map(table["label"].value_counts()).fillna(0).astype(int)
    frame["evaluated"] = True
    report.classes = frame
    for split in tables:
        none = frame[frame[split] == 0]
        if len(none):
            without = "cannot be learned" if split == "train" else "is not tested"
            report.warn(
                f"class-without-{split}",
                str(tables[split]["source"].iloc[0]),
                f"no video of {some([f'{row.id} {row[1]}' for row in none[['id', 'name']].itertuples(index=False)])}",
                f"a class without a video here {without}",
            )

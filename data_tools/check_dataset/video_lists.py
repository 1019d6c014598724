"""Lists of labelled videos against their classes, their folders and each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actiondet.config.recognition import Ucf101Config, VideoDataConfig, VideoListConfig
from actiondet.video.names import is_video, without_suffix
from data_tools.check_dataset.findings import Report, some
from evaluation.errors import InputError
from evaluation.formats.video_list import VideoList, read_class_names, read_ucf101_split, read_video_list

# Several clips are cut out of one recording: v_Archery_g08_c01 is clip 1 of recording 8.
_RECORDING = re.compile(r"(v_\w+_g\d+)_c\d+$")


def read_parts(data: VideoDataConfig, report: Report) -> tuple[dict[str, pd.DataFrame], Sequence[str] | None, str]:
    """Read the lists of both parts.

    Returns:
        Of each readable part a table: video (without suffix), label, frames (NaN where the list says nothing), line,
        source; the names of the labels, None where nothing names them; the file or folder that names them.

    Raises:
        InputError: the data set is of a kind that cannot be checked.
    """
    if isinstance(data, VideoListConfig):
        classes = _classes(data.classes, report) if data.classes is not None else None
        tables = {part: _table(path, None, report) for part, path in (("train", data.train), ("val", data.val))}
        source = data.classes or data.train
    elif isinstance(data, Ucf101Config) and data.splits is not None:
        folder = Path(data.splits)
        source = str(folder / "classInd.txt")
        classes = _classes(source, report)
        files = {"train": f"trainlist{data.split:02d}.txt", "val": f"testlist{data.split:02d}.txt"}
        tables = {part: _table(str(folder / file), classes or (), report) for part, file in files.items()}
    elif isinstance(data, Ucf101Config):
        classes, tables = _folders(Path(data.videos), report)
        source = data.videos
    else:
        raise InputError(f"data.name: the checker knows video_list and ucf101, not '{data.name}'")
    return {part: table for part, table in tables.items() if table is not None}, classes, source


def _classes(path: str, report: Report) -> Sequence[str] | None:
    try:
        return read_class_names(path)
    except (InputError, OSError) as fault:
        report.error("class-names", path, str(fault), "expected one name a line, label 0 first")
        return None


def _table(path: str, ucf101_classes: Sequence[str] | None, report: Report) -> pd.DataFrame | None:
    """One list as a table; `ucf101_classes` reads the layout of UCF101's split files."""
    if not Path(path).is_file():
        report.error("file-missing", path, "there is no such file", "give the list of the videos")
        return None
    try:
        videos = read_video_list(path) if ucf101_classes is None else read_ucf101_split(path, ucf101_classes)
    except (InputError, OSError) as fault:
        report.error("list-unreadable", path, str(fault), "mend this line; training would stop here")
        return None
    return _as_table(videos)


def _as_table(videos: VideoList) -> pd.DataFrame:
    table: pd.DataFrame = pd.DataFrame(
        {
            "video": [without_suffix(name) for name in videos.names],
            "label": videos.labels,
            "frames": np.full(len(videos), np.nan) if videos.frames is None else videos.frames.astype(np.float64),
            "line": videos.lines,
            "source": videos.path,
        }
    )
    return table


def _folders(videos: Path, report: Report) -> tuple[Sequence[str], dict[str, pd.DataFrame | None]]:
    """UCF101/{training,validation}/<Class>/<video>.avi."""
    folders = {"train": videos / "training", "val": videos / "validation"}
    classes = sorted({child.name for folder in folders.values() if folder.is_dir() for child in folder.iterdir()})
    tables: dict[str, pd.DataFrame | None] = {}
    for part, folder in folders.items():
        names = [
            (f"{folder.name}/{name}/{path.stem}", label)
            for label, name in enumerate(classes)
            if (folder / name).is_dir()
            for path in sorted((folder / name).iterdir())
            if is_video(path)
        ]
        tables[part] = None
        if not names:
            report.error(
                "list-unreadable", str(folder), "holds no videos", "expected <Class>/<video>.avi, or give data.splits"
            )
            continue
        lines = np.arange(1, len(names) + 1)
        video, label = [name for name, _ in names], np.array([label for _, label in names])
        tables[part] = pd.DataFrame(
            {"video": video, "label": label, "frames": np.nan, "line": lines, "source": str(folder)}
        )
    return classes, tables


def check_numbers(
    tables: dict[str, pd.DataFrame], classes: Sequence[str] | None, source: str, num_classes: int, report: Report
) -> None:
    """Hold the labels against the network and the names; labels that count from 1 are recognised."""
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
        f"expected 0 to {num_classes - 1}; mend the list or set model.num_classes",
    )


def check_entries(part: str, table: pd.DataFrame, report: Report) -> None:
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
            "keep one line; several actions at once are learnt by tools/train_det.py",
        )
        return
    row = again.iloc[1]
    report.warn(
        "video-listed-twice",
        f"{row['source']}, line {row['line']}",
        f"'{row['video']}' stands twice in {part} ({again['video'].nunique()} such videos)",
        "delete the copies",
    )


def check_recordings(tables: dict[str, pd.DataFrame], report: Report) -> None:
    """Clips of one recording (UCF101's groups) must not be in both parts."""
    if set(tables) != {"train", "val"}:
        return
    groups = {
        part: {found[1] for name in table["video"] if (found := _RECORDING.search(name.rpartition("/")[2]))}
        for part, table in tables.items()
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
    """Where videos lie in a folder for each class, its name tells the label."""
    every = pd.concat(tables.values()) if tables else pd.DataFrame(columns=["video", "label"])
    every = every.assign(folder=[_plain(name.rpartition("/")[0].rpartition("/")[2]) for name in every["video"]])
    if classes is not None:
        label_of = {_plain(name): label for label, name in enumerate(classes)}
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
            "mend the labels, or the order of the class names",
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
            "number both parts alike",
        )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def count_labels(
    tables: dict[str, pd.DataFrame], classes: Sequence[str] | None, num_classes: int, report: Report
) -> None:
    """Count the videos of every class, and name the classes that cannot be learnt or scored."""
    names = list(classes) if classes is not None else list(map(str, range(num_classes)))
    frame = pd.DataFrame({"id": range(len(names)), "name": names})
    for part, table in tables.items():
        frame[part] = frame["id"].map(table["label"].value_counts()).fillna(0).astype(int)
    frame["evaluated"] = True
    report.classes = frame
    for part in tables:
        none = frame[frame[part] == 0]
        if len(none):
            without = "cannot be learnt" if part == "train" else "is not tested"
            report.warn(
                f"class-without-{part}",
                str(tables[part]["source"].iloc[0]),
                f"no video of {some([f'{row.id} {row[1]}' for row in none[['id', 'name']].itertuples(index=False)])}",
                f"a class without a video here {without}",
            )

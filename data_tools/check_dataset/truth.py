"""What the truth says: ids against the action list, repeated rows, what is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.rows import BOX
from evaluation.boxes import paired_iou
from evaluation.errors import some
from evaluation.formats.action_list import ActionList
from evaluation.matching import group_pairs

# Shares of the frame; and the IoU above which two boxes of a moment hardly show two persons.
_TINY = 0.004
_SAME_PERSON = 0.95


def check_labels(path: str, table: pd.DataFrame, actions: ActionList, list_path: str, report: Report) -> None:
    """Hold the ids against the list; a whole file that is off by one is recognized."""
    labels = table.loc[table["label"] >= 0, "label"]
    ids, used = set(actions.ids), set(labels.unique().tolist())
    strange = sorted(used - ids)
    if not strange:
        return
    line = int(table.loc[table["label"].isin(strange), "line"].iloc[0])
    where = f"{path}, line {line}"
    for shift in (1, -1):
        if {label + shift for label in used} <= ids:
            base = "count from 0" if 0 in used else f"are all {-shift:+d} off"
            report.error(
                "ids-off-by-one",
                where,
                f"ids {some(strange)} are not in {list_path}; with {shift:+d} every id is: the labels {base}",
                f"add {shift:+d} to column 7 (ids are those of the list, which begin at 1)",
            )
            return
    if 0 in used:
        report.error("id-zero", where, "id 0 is not an action; ids begin at 1", "are these ids counted from 0? add 1")
        strange = [label for label in strange if label]
    if strange:
        count = int(labels.isin(strange).sum())
        report.error(
            "id-not-in-list",
            where,
            f"ids {some(strange)} ({count} rows) are not in {list_path}",
            "add them to data.actions, or correct column 7",
        )


def check_rows(path: str, table: pd.DataFrame, report: Report) -> None:
    """Find repeated rows, ambiguous persons and boxes that never change."""
    boxed = table[table["label"] >= 0]
    if len(boxed) == 0:
        report.error("no-persons", path, "no row holds a box", "expected rows video,time,x1,y1,x2,y2,action")
        return
    check_repeats(path, boxed, report)
    named = boxed[boxed["person"] >= 0].drop_duplicates(["video", "moment", "person", *BOX])
    spread = named.groupby(["video", "moment", "person"])[BOX]
    apart = ((spread.transform("max") - spread.transform("min")) > 0.01).any(axis=1)
    if apart.any():
        row = named[apart].iloc[0]
        report.warn(
            "person-id-repeated",
            f"{path}, line {row['line']}",
            f"person {row['person']} is in two places at one key frame ({int(apart.sum())} boxes)",
            "give every person of a key frame its own id (column 8), or leave the column out",
        )
    places = boxed.drop_duplicates(["video", "moment", *BOX])
    _check_sizes(path, places, report)
    check_copies(path, boxed, report)
    commonest = places.groupby(BOX).size().sort_values(ascending=False)
    if len(places) >= 8 and commonest.iloc[0] > 0.5 * len(places):
        report.warn(
            "box-constant",
            path,
            f"{commonest.iloc[0]} of {len(places)} boxes are the same: {commonest.index[0]}",
            "are these boxes of persons? actions of the whole picture are learned by tools/train_rec.py",
        )


def place_of(path: str, row: pd.Series[Any]) -> str:
    """Where a row is: its line in AVA's form, its frame in a set of tubes."""
    return f"{path}, line {row['line']}" if "line" in row else f"{path}, '{row['video']}', frame {row['moment']}"


def check_repeats(path: str, boxed: pd.DataFrame, report: Report) -> None:
    """Find rows that occur twice."""
    again = boxed.duplicated(["video", "moment", *BOX, "label"])
    if again.any():
        report.error(
            "duplicate-row",
            place_of(path, boxed[again].iloc[0]),
            f"{int(again.sum())} rows occur twice (same key frame, box and action); each counts as a person to find",
            "delete the copies",
        )


def check_copies(path: str, boxed: pd.DataFrame, report: Report) -> None:
    """Two videos cannot show the very same boxes at the very same moments."""
    columns = ["moment", *BOX, "label"]
    prints = boxed[["video"]].assign(of_row=pd.util.hash_pandas_object(boxed[columns], index=False))
    prints["of_box"] = pd.util.hash_pandas_object(boxed[BOX], index=False)
    videos = prints.groupby("video", sort=False).agg(sum=("of_row", "sum"), boxes=("of_box", "nunique"))
    videos = videos[videos["boxes"] >= 3]  # a box of the whole frame may be in every video
    again = videos["sum"].duplicated(keep=False)
    if again.any():
        twins = [str(name) for name in videos.index[videos["sum"] == videos.loc[again, "sum"].iloc[0]]]
        report.error(
            "truth-copied",
            path,
            f"{some(twins)} have the very same boxes at the same key frames ({int(again.sum())} such videos)",
            "one of them has the annotations of another video: give it its own, or leave it out",
        )


def _check_sizes(path: str, places: pd.DataFrame, report: Report) -> None:
    """Find boxes too small to hold a person, and persons who are drawn twice."""
    sides = np.minimum(places["x2"] - places["x1"], places["y2"] - places["y1"])
    tiny = (sides < _TINY) & (sides > 0)
    if tiny.any():
        row = places[tiny].iloc[0]
        report.warn(
            "box-tiny",
            f"{path}, line {row['line']}",
            f"the box is {row['x2'] - row['x1']:.4f} x {row['y2'] - row['y1']:.4f} of the frame ({tiny.sum()} boxes)",
            "was it drawn by accident?",
        )
    boxes = places[BOX].to_numpy(dtype=np.float64)
    moment = places.groupby(["video", "moment"], sort=False).ngroup().to_numpy()
    left, right = group_pairs(moment, moment)  # every box beside every one of its moment
    apart = left < right
    left, right = left[apart], right[apart]
    twice = np.nan_to_num(paired_iou(boxes[left], boxes[right])) > _SAME_PERSON
    if twice.any():
        first, second = (places["line"].iloc[int(rows[twice][0])] for rows in (left, right))
        report.warn(
            "person-drawn-twice",
            f"{path}, line {first}",
            f"has nearly the box of line {second} ({int(twice.sum())} pairs): rows of one person must have one box",
            "give both rows the same numbers, or they train and score as two persons",
        )


def check_heads(path: str, table: pd.DataFrame, multi_label: bool, report: Report) -> None:
    """Several actions of one person need a head that can say so."""
    boxed = table[table["label"] >= 0].drop_duplicates(["video", "moment", *BOX, "label"])
    several = boxed.duplicated(["video", "moment", *BOX])
    if not multi_label and several.any():
        report.error(
            "head-single-label",
            place_of(path, boxed[several].iloc[0]),
            f"{int(several.sum())} persons do several things at once, but model.multi_label is false",
            "set model.multi_label=true",
        )


def count_classes(
    tables: dict[str, pd.DataFrame],
    actions: ActionList,
    evaluated: ActionList,
    report: Report,
    *,
    repeat_threshold: float | None = None,
) -> None:
    """Count the examples of every action and name those that cannot be learned or scored.

    Args:
        tables: the sound rows of each split.
        actions: those that the truth may hold.
        evaluated: those that are scored.
        report: takes what is found.
        repeat_threshold: of repeat-factor sampling; the examples that an epoch then shows are counted, too.
    """
    frame = pd.DataFrame({"id": actions.ids, "name": actions.names})
    for split, table in tables.items():
        frame[split] = frame["id"].map(table["label"].value_counts()).fillna(0).astype(int)
        if split == "train" and repeat_threshold is not None:
            shown = frame["id"].map(_count_repeated(table[table["label"] >= 0], repeat_threshold))
            frame["train, repeated"] = shown.fillna(0).round().astype(int)
    frame["evaluated"] = frame["id"].isin(evaluated.ids)
    report.classes = frame
    scored = frame[frame["evaluated"]]
    consequences = {"train": "cannot be learned: AP 0 wherever it is scored", "val": "is left out of the mAP"}
    for split in tables:
        none = scored[scored[split] == 0]
        if len(none) == len(scored):
            report.error(
                f"no-{split}-examples",
                "data.evaluated_actions",
                f"no scored action has an example in {split}",
                "score actions that the truth holds (is the right action list given?)",
            )
        elif len(none):
            names = some([f"{row.id} {row.name_}" for row in none.rename(columns={"name": "name_"}).itertuples()])
            report.warn(
                f"class-without-{split}",
                f"data.{split}.truth",
                f"no example of {names}",
                f"an action without an example here {consequences[split]}",
            )
    if set(tables) == {"train", "val"}:
        _check_shift(frame, report)


def _count_repeated(table: pd.DataFrame, threshold: float) -> pd.Series[float]:
    """Examples of each label in an epoch of repeat-factor sampling: a moment has its rarest label's factor (LVIS)."""
    moment = table.groupby(["video", "moment"]).ngroup()
    share = moment.groupby(table["label"]).nunique() / moment.nunique()
    factor = table["label"].map(np.sqrt(threshold / share).clip(lower=1.0))
    return factor.groupby(moment).transform("max").groupby(table["label"]).sum()


def _check_shift(frame: pd.DataFrame, report: Report) -> None:
    """Compare how often actions occur in both splits: one split whose ids are shifted fits the other only shifted."""
    size = int(frame["id"].max()) + 2
    counts = {split: np.bincount(frame["id"], weights=frame[split], minlength=size) for split in ("train", "val")}
    if min(counts["train"].sum(), counts["val"].sum()) < 200 or len(frame) < 5:
        return

    def likeness(shift: int) -> float:
        return float(np.corrcoef(np.log1p(counts["train"]), np.log1p(np.roll(counts["val"], shift)))[0, 1])

    best = max((0, 1, -1), key=likeness)
    if best and likeness(best) > likeness(0) + 0.3:
        report.warn(
            "ids-differ-between-parts",
            "data.val.truth",
            f"actions are as frequent as in train only if {best:+d} is added to the ids of val",
            "are both splits numbered alike?",
        )

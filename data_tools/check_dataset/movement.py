"""How people move while they do what their label says: to the side that it names, and alike in both splits."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.names import words_of

_SIDE = re.compile(r"\b(left|right)(?:wards?)?\b")
# "turn left" and "wave left hand" do not say where a person goes.
_GOES = re.compile(r"\b(walk|run|go|move|jog|march|drive|ride|cycle|skate|ski|crawl|step|slide|shuffle|fly)(s|ing)?\b")
# Fewer runs of a person and a label prove nothing.
_FEWEST = 6
# Shares of the runs that go where their label says.
_WRONG, _RIGHT = 0.6, 0.85
# Of the distance between splits: what one shift of the labels must leave of it, and how far is too near to say.
_LEAVES, _FAR = 0.6, 0.5


def movements(table: pd.DataFrame) -> pd.DataFrame:
    """How every person moves in every stretch of a label: one row for each.

    Args:
        table: boxes, columns video, moment, person (-1: unknown), label, x1 ... y2.

    Returns:
        columns video, person, label; across, down: steps from moment to moment in widths and
        heights of the box; size: steps of the log of its height; speed: size of the first two.
    """
    known = table[(table["person"] >= 0) & (table["label"] >= 0)]
    boxes = known.drop_duplicates(["video", "person", "moment"]).sort_values(["video", "person", "moment"])
    width, height = boxes["x2"] - boxes["x1"], boxes["y2"] - boxes["y1"]
    following = boxes.shift(-1)
    same = (following["video"] == boxes["video"]) & (following["person"] == boxes["person"])
    steps = pd.DataFrame(
        {
            "across": (following["x1"] + following["x2"] - boxes["x1"] - boxes["x2"]) / 2 / width,
            "down": (following["y2"] - boxes["y2"]) / height,
            "size": np.log((following["y2"] - following["y1"]) / height),
        }
    ).where(same)
    steps["speed"] = np.hypot(steps["across"], steps["down"])
    keys = ["video", "person", "moment"]
    rows = known[[*keys, "label"]].drop_duplicates().merge(pd.concat([boxes[keys], steps], axis=1), on=keys)
    found: pd.DataFrame = (
        rows.groupby(["video", "person", "label"])[["across", "down", "size", "speed"]].mean().dropna().reset_index()
    )
    return found


def check_movement(
    tables: Mapping[str, pd.DataFrame], paths: Mapping[str, str], names: Mapping[int, str], report: Report
) -> None:
    """Hold the movements of both splits against the names of the labels, and against each other.

    Args:
        tables: boxes of each split.
        paths: their files, for messages.
        names: of the labels, by id.
        report: takes what is found.
    """
    before = len(report.findings)
    for split, table in tables.items():
        check_sides(paths[split], table, names, report)
    if len(report.findings) == before and set(tables) == {"train", "val"}:
        check_alike_in_splits(paths["val"], tables, names, report)


def check_sides(path: str, table: pd.DataFrame, names: Mapping[int, str], report: Report) -> None:
    """Find labels such as "walk left" of people who go elsewhere, where the labels before or after would be right.

    Args:
        path: the truth, for messages.
        table: its boxes.
        names, report: as of `check_movement`.
    """
    sides = {
        label: -1 if found[1] == "left" else 1
        for label, name in names.items()
        if (found := _SIDE.search(words_of(name))) and _GOES.search(words_of(name))
    }
    if not sides:
        return
    moves = movements(table)
    order = sorted(names)

    def agreement(shift: int) -> tuple[float, int]:
        """The share of runs that go to the side of the label `shift` places on, and how many there are."""
        meant = {
            order[(place - shift) % len(order)]: sides[label] for place, label in enumerate(order) if label in sides
        }
        ours = moves[moves["label"].isin(list(meant))]
        # Who stays where he is goes to no side: a hundredth of a width from moment to moment.
        goes = np.sign(ours["across"]).where(ours["across"].abs() > 0.01, 0)
        return float((goes == ours["label"].map(meant)).mean()) if len(ours) else 0.0, len(ours)

    now, count = agreement(0)
    if count < _FEWEST or now > _WRONG:
        return
    shift = max((1, -1), key=lambda step: agreement(step)[0])
    then, others = agreement(shift)
    examples = [names[label] for label in sides]
    if then >= _RIGHT and others >= _FEWEST:
        report.error(
            "labels-shifted",
            path,
            f"of {count} runs labeled {', '.join(examples)}, {now:.0%} go to that side; with {shift:+d} added to the "
            f"labels {then:.0%} would",
            "are the labels numbered as their names are?",
        )
    elif 1 - now >= _RIGHT and _opposite(moves, sides) >= _RIGHT:
        report.error(
            "sides-exchanged",
            path,
            f"of {count} runs labeled {', '.join(examples)}, {_opposite(moves, sides):.0%} go to the other side",
            "exchange the names, or mirror the pictures",
        )


def _opposite(moves: pd.DataFrame, sides: Mapping[int, int]) -> float:
    ours = moves[moves["label"].isin(list(sides))]
    return float((ours["across"] * ours["label"].map(sides) < -0.01).mean())


def check_alike_in_splits(
    path: str, tables: Mapping[str, pd.DataFrame], names: Mapping[int, str], report: Report
) -> None:
    """Find splits whose labels are numbered differently: people move as in the other split only one label further on.

    Args:
        path: the truth of validation, for messages.
        tables: boxes of "train" and "val".
        names, report: as of `check_movement`.
    """
    moves = {split: movements(table) for split, table in tables.items()}
    columns = ["across", "down", "size", "speed"]
    every = pd.concat(list(moves.values()))
    if min(map(len, moves.values())) < 5 * _FEWEST:
        return
    scale = every[columns].std().replace(0, 1)
    order = sorted(names)
    centers = {}
    for split, ours in moves.items():
        by_label = ours.groupby("label")[columns]
        centers[split] = (by_label.mean() / scale)[by_label.size() >= 3].reindex(order).to_numpy()

    def distance(shift: int) -> float:
        apart = np.linalg.norm(centers["train"] - np.roll(centers["val"], shift, axis=0), axis=1)
        known = apart[np.isfinite(apart)]
        return float(known.mean()) if len(known) >= 5 else np.inf

    now = distance(0)
    shift = min((1, -1), key=distance)
    if np.isfinite(now) and now > _FAR and distance(shift) < _LEAVES * now:
        report.warn(
            "ids-differ-between-parts",
            path,
            f"people move as in train only if {shift:+d} is added to the labels of val (mean distance "
            f"{distance(shift):.2f}, as they are {now:.2f})",
            "are both splits numbered alike?",
        )

"""AVA's frame-mAP@0.5: exact against the official script and, by name, against PySlowFast and MMAction2."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evaluation.action_groups import action_types, group_means
from evaluation.average_precision import PrecisionRecall, average_precision, precision_recall
from evaluation.boxes import BoolArray
from evaluation.doubts import doubts_about_rows
from evaluation.files import atomic_path
from evaluation.formats.action_list import ActionList
from evaluation.matching import best_truths, first_claims
from evaluation.moments import MomentCodes
from evaluation.protocols import MMACTION2, Protocol, ProtocolName, Ties, find_protocol
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.selection import ListedTruth, RankedRows, listed_truth, ranked_rows
from evaluation.tables import notes_text, plain, table_text, write_json

IOU_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class FrameMapResult:
    """What an evaluation found; `print` shows it as a table.

    Attributes:
        mean_ap: mean over the actions that have truth, in [0, 1].
        per_class: one row per listed action: id, name, type, ap (NaN where it is not defined), truths,
            detections (those that took part), recall.
        curves: precision and recall of every action with an AP.
        groups: mean AP per type of action (columns type, mean_ap, actions); empty where the list has no types.
        protocol: how it was computed.
        ties: how equal scores were ordered.
        notes: what did not count and what looks wrong, one sentence each, with counts.
    """

    mean_ap: float
    per_class: pd.DataFrame
    curves: tuple[PrecisionRecall, ...]
    groups: pd.DataFrame
    protocol: Protocol
    ties: Ties
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FrameMapResult(mAP@0.5 {self.mean_ap:.4f}, {self.protocol.name}, {len(self.per_class)} actions)"

    def __str__(self) -> str:
        """The table of actions, the means of their types, the notes, and the mAP as the last line."""
        lines = [f"protocol {self.protocol.name}, ties {self.ties}", ""]
        table = self.per_class.rename(columns={"name": "action", "ap": "AP"})
        if table["type"].isna().all():
            table = table.drop(columns="type")
        numeric = {"id", "AP", "truths", "detections", "recall", "mAP", "actions"}
        lines.append(table_text(list(table.columns), table.itertuples(index=False), numeric=numeric))
        if len(self.groups):
            rows = self.groups.itertuples(index=False)
            lines += ["", table_text(["type", "mAP", "actions"], rows, numeric=numeric)]
        lines += notes_text(self.notes)
        lines += ["", f"mAP@0.5 {self.mean_ap:.4f}"]
        return "\n".join(lines)

    def to_json(self, path: str | os.PathLike[str], *, explanation: Sequence[dict[str, Any]] = ()) -> None:
        """Write mean_ap in [0, 1], per_class as AP by id, and everything else that the table shows.

        An AP that is not defined is null. `explanation` is what `explain` found, step by step, if it was asked.
        """
        actions = _records(self.per_class)
        content: dict[str, Any] = {
            "mean_ap": plain(self.mean_ap),
            "metric": "frame-mAP@0.5",
            "protocol": self.protocol.name,
            "ties": self.ties,
            "per_class": {str(action["id"]): action["ap"] for action in actions},
            "groups": _records(self.groups),
            "actions": actions,
            "notes": list(self.notes),
        }
        if explanation:
            content["explanation"] = [{key: plain(value) for key, value in step.items()} for step in explanation]
        write_json(path, content)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table of actions, with a header."""
        with atomic_path(path) as temporary:
            self.per_class.to_csv(temporary, index=False, lineterminator="\n")

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw AP per action, sorted, and the precision-recall curves; the suffix of `path` chooses the format.

        Raises:
            InputError: a suffix that matplotlib cannot write.
        """
        from evaluation.plots import ActionBars, Curve, draw_bars_and_curves  # matplotlib is loaded only for a picture

        scored = self.per_class.dropna(subset=["ap"]).sort_values("ap", kind="stable")
        bars = ActionBars(
            names=scored["name"].tolist(),
            ap=scored["ap"].to_numpy(),
            truths=scored["truths"].tolist(),
            kinds=scored["type"].tolist(),
        )
        kind_of = dict(zip(self.per_class["id"], self.per_class["type"], strict=True))
        curves = [Curve(curve.precision, curve.recall, kind_of[curve.label]) for curve in self.curves]
        title = f"frame-mAP@0.5 {self.mean_ap:.4f} ({self.protocol.name})"
        draw_bars_and_curves(path, bars, curves, title=title, mean=self.mean_ap)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, as JSON takes them."""
    return [{str(name): plain(value) for name, value in row.items()} for row in table.to_dict(orient="records")]


def frame_map(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    excluded: Collection[FrameKey] = frozenset(),
    protocol: ProtocolName | Protocol = "official",
    ties: Ties = "stable",
) -> FrameMapResult:
    """Compute the frame-mAP at IoU 0.5.

    The official tool concatenates, per action, the rows of all moments in the order of the file and takes
    `np.argsort(scores)[::-1]`, whose order of equal scores depends on the version of numpy and on the
    processor. So the official number is a function of the files only if no two scores of an action are equal.

    Args:
        truth: annotated boxes.
        detections: scored boxes; their order matters between equal scores only.
        actions: the actions that count.
        excluded: moments that do not count.
        protocol: whose rules: the challenge's ("official"), PySlowFast's or MMAction2's.
        ties: "stable" sorts with a stable algorithm, so that of equal scores the moment that comes later in the
            file ranks first, on every machine. "official" calls what the official tool calls, and agrees with
            it bit for bit in the same numpy on the same processor.

    Raises:
        InputError: an unknown protocol, no truth for any listed action, rows that no reader of files lets pass, or
            detections at which the protocol's toolkit stops.
    """
    protocol = find_protocol(protocol)
    truth.check()
    detections.check()
    codes = MomentCodes([truth, detections], [*truth.empty_moments, *excluded])
    known = listed_truth(truth, actions, codes, excluded, protocol)
    rows = ranked_rows(detections, actions, codes, known, protocol, order_all=ties == "official")
    hits = _hits(rows, detections, known, protocol)
    notes = [*_notes_on_truth(truth, actions), *rows.notes, *_notes_on_rows(detections, rows)]
    notes += doubts_about_rows(detections, excluded, truth)

    starts = np.searchsorted(rows.group, np.arange(len(actions) + 1) * max(len(rows.codes), 1))
    curves: list[PrecisionRecall] = []
    table: list[tuple[float, int, float]] = []
    for column, truths in enumerate(known.counts.tolist()):
        block = slice(starts[column], starts[column + 1])
        detected = block.stop - block.start
        ap = recall_reached = float("nan")
        if truths and (detected or protocol.undetected_actions == "zero"):
            curve = _curve(actions.ids[column], rows.scores[block], hits[block], truths, protocol, ties)
            curves.append(curve)
            ap = average_precision(curve.precision, curve.recall)
            recall_reached = float(curve.recall[-1]) if detected else 0.0
        table.append((ap, detected, recall_reached))
    types = action_types(actions, by_id=protocol.name == MMACTION2.name)  # which prints AVA's groups for any list
    per_class = pd.DataFrame({"id": actions.ids, "name": actions.names, "type": types})
    per_class[["ap", "detections", "recall"]] = pd.DataFrame(table, dtype=object)
    per_class = per_class.astype({"ap": float, "detections": int, "recall": float})
    per_class.insert(4, "truths", known.counts)
    mean_ap = _mean(per_class["ap"].to_numpy())
    groups = group_means(per_class)
    return FrameMapResult(mean_ap, per_class, tuple(curves), groups, protocol, ties, tuple(notes))


def _hits(rows: RankedRows, detections: DetectionRows, truth: ListedTruth, protocol: Protocol) -> BoolArray:
    """Return (K,) bool: which rows find a truth of their action at their moment."""
    kind = np.float64 if protocol.precision == "double" else np.float32
    found, iou = best_truths(
        detections.boxes[rows.row[rows.contested]].astype(kind, copy=False),
        rows.group[rows.contested],
        truth.boxes.astype(kind, copy=False),
        rows.truth_group,
    )
    hits = np.zeros(len(rows.row), dtype=np.bool_)
    hits[rows.contested] = first_claims(found, iou, IOU_THRESHOLD)
    return hits


def _curve(
    label: int, scores: FloatArray, hits: BoolArray, truths: int, protocol: Protocol, ties: Ties
) -> PrecisionRecall:
    if protocol.precision == "single":
        scores = scores.astype(np.float32)
    order: IntArray = np.argsort(scores, kind="stable" if ties == "stable" else None)[::-1]
    precision, recall = precision_recall(hits[order], truths)
    return PrecisionRecall(label, scores[order], precision, recall)


def _mean(values: FloatArray) -> float:
    """Return the mean of those that are numbers; NaN of none."""
    defined = values[~np.isnan(values)]
    return float(np.mean(defined)) if len(defined) else float("nan")


def _notes_on_truth(truth: TruthRows, actions: ActionList) -> list[str]:
    """Say what looks wrong in the truth."""
    notes = []
    unlisted = ~np.isin(truth.labels, actions.ids)
    if unlisted.any():
        notes.append(f"{unlisted.sum()} truths have an action that is not in the action list and do not count.")
    frame = pd.DataFrame({"video": truth.video.codes, "moment": truth.moment, "label": truth.labels})
    frame[["x1", "y1", "x2", "y2"]] = truth.boxes
    twins = frame.duplicated().sum()
    if twins:
        notes.append(f"{twins} truths repeat a box and action of their moment: no detection can find them.")
    return notes


def _notes_on_rows(detections: DetectionRows, rows: RankedRows) -> list[str]:
    """Say what looks wrong in the detections that take part."""
    if len(detections) == 0:
        return ["There are no detections: every action scores 0."]
    if len(rows.scores) == 0:
        return ["No detection takes part: are video names, times and actions those of the truth?"]
    twins = np.flatnonzero((rows.group[1:] == rows.group[:-1]) & (rows.scores[1:] == rows.scores[:-1]))
    same = np.all(detections.boxes[rows.row[twins]] == detections.boxes[rows.row[twins + 1]], axis=1)
    if same.any():
        return [f"{same.sum()} detections repeat box, action and score of another at their moment and count as false."]
    return []

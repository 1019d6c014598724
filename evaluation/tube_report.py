"""Results on tubes for people and programs: aligned tables, JSON, CSV."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from evaluation.files import atomic_path
from evaluation.lost_ap import LostAp
from evaluation.report import table_text
from evaluation.threshold_map import ThresholdMapResult
from evaluation.video_map import VIDEO_RANGES


def threshold_map_text(result: ThresholdMapResult) -> str:
    """Return the mAP at every threshold, the official means over ranges, the table of actions, and the notes."""
    shown = [threshold for threshold in (0.2, 0.5, 0.75) if threshold in result.thresholds]
    if not shown or len(result.thresholds) < 6:
        shown = list(result.thresholds)
    means: list[tuple[str, float]] = [(f"{threshold:g}", result.mean_at(threshold)) for threshold in shown]
    means += _range_means(result).items()
    names = ["id", "name", "truths", "detections", *(f"ap@{threshold}" for threshold in shown)]
    headings = ["id", "action", "truths", "detections", *(f"AP@{threshold:g}" for threshold in shown)]
    columns = result.columns
    rows = zip(*(_plain(columns[name]) for name in names), strict=True)
    lines = [table_text(["IoU", "mAP"], means, numeric={"mAP"}), ""]
    lines.append(table_text(headings, rows, numeric={*headings} - {"action"}))
    return "\n".join(lines + _notes(result.notes))


def lost_ap_text(result: LostAp) -> str:
    """Return where the AP is lost, action by action and on the mean, and the notes."""
    reasons = [*result.reasons, "missed"]
    headings = ["id", "action", "AP", *reasons]
    mean = ["", "mean", result.mean_ap, *result.means.values()]
    rows = [mean, *zip(*map(_plain, result.columns.values()), strict=True)]
    lines = [f"AP@{result.threshold:g} and where it is lost (shares of the area that AP measures)", ""]
    lines.append(table_text(headings, rows, numeric={*headings} - {"action"}))
    return "\n".join(lines + _notes(result.notes))


def write_json(path: str | os.PathLike[str], result: ThresholdMapResult | LostAp, metric: str, *, moments: str) -> None:
    """Write a result for programs: mean_ap in [0, 1] and per_class as AP by id, then everything else.

    Args:
        path: the file.
        result: what was found.
        metric: "frame-mAP" or "video-mAP".
        moments: which frames are scored, in words.
    """
    content = _lost_content(result) if isinstance(result, LostAp) else _map_content(result)
    head = {"mean_ap": result.mean_ap, "metric": f"{metric}@{result.threshold:g}", "moments": moments}
    with atomic_path(path) as temporary:
        text = json.dumps({**head, **content, "notes": list(result.notes)}, indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_csv(path: str | os.PathLike[str], result: ThresholdMapResult | LostAp) -> None:
    """Write the table of actions, with a header."""
    with atomic_path(path) as temporary:
        result.per_class.to_csv(temporary, index=False, lineterminator="\n")


def _map_content(result: ThresholdMapResult) -> dict[str, Any]:
    at: dict[str, Any] = {}
    for k, threshold in enumerate(result.thresholds):
        per_class = {str(label): float(result.ap[k, label]) for label in result.labels.tolist()}
        at[repr(threshold)] = {"mean_ap": result.mean_at(threshold), "per_class": per_class}
    return {
        "per_class": at[repr(result.threshold)]["per_class"],
        "ranges": _range_means(result),
        "thresholds": at,
        "names": {str(label): result.names[label] for label in result.labels.tolist()},
    }


def _lost_content(result: LostAp) -> dict[str, Any]:
    columns = {name: _plain(column) for name, column in result.columns.items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"per_class": {str(row["id"]): row["ap"] for row in rows}, "means": result.means, "actions": rows}


def _plain(column: Any) -> list[Any]:
    """Python numbers and strings, which is what JSON and tables take."""
    values: list[Any] = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return values


def _range_means(result: ThresholdMapResult) -> dict[str, float]:
    return {
        name: result.mean_over(thresholds)
        for name, thresholds in VIDEO_RANGES.items()
        if set(thresholds) <= set(result.thresholds)
    }


def _notes(notes: tuple[str, ...]) -> list[str]:
    return ["", *(f"note: {note}" for note in notes)] if notes else []

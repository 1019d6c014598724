"""Results for people and programs: aligned tables, JSON, CSV and plots. rich and matplotlib are loaded on use."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.files import atomic_path

if TYPE_CHECKING:
    from evaluation.explain import ExplainedStep
    from evaluation.frame_map import FrameMapResult


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Collection[str] = ()) -> str:
    """Return an aligned table; it is as wide as its content needs, whatever the terminal.

    Args:
        columns: headings.
        rows: cells; a float is shown with four decimals, None and NaN as "-".
        numeric: columns to align on the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    text = io.StringIO()
    # A file, not a terminal: no colours, and lines are never cut.
    Console(file=text, width=500, color_system=None, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def frame_map_text(result: FrameMapResult) -> str:
    """Return the table of actions, the means of their types, the notes, and the mAP as the last line."""
    lines = [f"protocol {result.protocol.name}, ties {result.ties}", ""]
    table = result.per_class.rename(columns={"name": "action", "ap": "AP"})
    if table["type"].isna().all():
        table = table.drop(columns="type")
    numeric = {"id", "AP", "truths", "detections", "recall", "mAP", "actions"}
    lines.append(table_text(list(table.columns), table.itertuples(index=False), numeric=numeric))
    if len(result.groups):
        rows = result.groups.itertuples(index=False)
        lines += ["", table_text(["type", "mAP", "actions"], rows, numeric=numeric)]
    if result.notes:
        lines += ["", *(f"note: {note}" for note in result.notes)]
    lines += ["", f"mAP@0.5 {result.mean_ap:.4f}"]
    return "\n".join(lines)


def explanation_text(steps: Sequence[ExplainedStep]) -> str:
    """Return an explanation as a table: what changes, the mAP, by how much it moves, whose number it is."""
    rows = [
        (
            step.what,
            "stops with an error" if step.mean_ap is None else f"{step.mean_ap:.6f}",
            "" if step.change is None else f"{step.change:+.6f}",
            "" if step.toolkit is None else f"= {step.toolkit}",
        )
        for step in steps
    ]
    return table_text(["why does my mAP differ?", "mAP", "change", ""], rows, numeric={"mAP", "change"})


def write_json(path: str | os.PathLike[str], result: FrameMapResult, steps: Sequence[ExplainedStep] = ()) -> None:
    """Write a result: mean_ap in [0, 1], per_class as AP by id, and everything else the table shows.

    An AP that is not defined is null.
    """
    actions = [
        {name: _plain(value) for name, value in row.items()} for row in result.per_class.to_dict(orient="records")
    ]
    groups = [{name: _plain(value) for name, value in row.items()} for row in result.groups.to_dict(orient="records")]
    content: dict[str, Any] = {
        "mean_ap": _plain(result.mean_ap),
        "metric": "frame-mAP@0.5",
        "protocol": result.protocol.name,
        "ties": result.ties,
        "per_class": {str(action["id"]): action["ap"] for action in actions},
        "groups": groups,
        "actions": actions,
        "notes": list(result.notes),
    }
    if steps:
        content["explanation"] = [{key: _plain(value) for key, value in vars(step).items()} for step in steps]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def write_csv(path: str | os.PathLike[str], result: FrameMapResult) -> None:
    """Write the table of actions, with a header."""
    with atomic_path(path) as temporary:
        result.per_class.to_csv(temporary, index=False, lineterminator="\n")

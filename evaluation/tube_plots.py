"""Pictures of results on tubes. matplotlib is loaded on use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.lost_ap import LostAp
from evaluation.threshold_map import ThresholdMapResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot(path: str | os.PathLike[str], result: ThresholdMapResult | LostAp, metric: str) -> None:
    """Draw a result; the suffix of `path` chooses the format.

    Args:
        path: the file.
        result: AP per action with counts and precision-recall curves at `result.threshold`, or AP and the share
            of every reason per action; the actions sorted by AP.
        metric: "frame-mAP" or "video-mAP".

    Raises:
        InputError: a suffix that matplotlib cannot write.
    """
    figure = _draw_lost(result, metric) if isinstance(result, LostAp) else _draw_map(result, metric)
    with atomic_path(path) as temporary:
        try:
            figure.savefig(temporary, dpi=110)
        except ValueError as fault:
            raise InputError(f"{path}: {fault}") from None


def _draw_map(result: ThresholdMapResult, metric: str) -> Figure:
    from matplotlib.figure import Figure

    labels = result.labels
    ap = result.ap[result.thresholds.index(result.threshold), labels]
    order = np.argsort(ap, kind="stable")
    figure = Figure(figsize=(15, _height(len(labels))), layout="constrained")
    bars, curves = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(f"{metric}@{result.threshold:g} {result.mean_ap:.4f}")
    _name_rows(bars, [result.names[label] for label in labels[order]])
    bars.barh(np.arange(len(order)), ap[order], color="#3b6fb6", height=0.75)
    for place, (value, truths) in enumerate(zip(ap[order], result.truths[labels[order]], strict=True)):
        bars.text(value + 0.008, place, f"{value:.3f}   n={truths:,}", va="center", fontsize=7.5, color="#444444")
    bars.axvline(result.mean_ap, color="black", linewidth=0.8, linestyle="--")
    bars.set(xlim=(0, 1.12), xlabel="AP (dashed: mean); n: number of truths")
    for curve in result.curves(result.threshold):
        # Steps of a thousandth of recall are all that a picture shows.
        shown = np.unique(
            np.searchsorted(curve.recall, np.linspace(0, 1, 1001)).clip(max=max(len(curve.recall) - 1, 0))
        )
        if len(curve.recall):
            curves.plot(curve.recall[shown], curve.precision[shown], color="#3b6fb6", linewidth=0.9, alpha=0.45)
    curves.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    curves.grid(color="#dddddd", linewidth=0.5)
    curves.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_lost(result: LostAp, metric: str) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure

    order = np.argsort(result.ap, kind="stable")
    figure = Figure(figsize=(12, _height(len(order))), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"{metric}@{result.threshold:g} {result.mean_ap:.4f} and where the AP is lost")
    _name_rows(axes, [result.names[place] for place in order])
    parts = [("AP", result.ap), *zip(result.reasons, result.shares.T, strict=True), ("missed", result.missed)]
    colours = [*matplotlib.colormaps["tab20"](np.arange(len(parts) - 1)), "#dddddd"]
    left = np.zeros(len(order))
    for (name, values), colour in zip(parts, colours, strict=True):
        axes.barh(np.arange(len(order)), values[order], left=left, color=colour, height=0.75, label=name)
        left += values[order]
    axes.set(xlim=(0, max(1.0, float(left.max()))), xlabel="AP and shares, side by side")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure


def _height(rows: int) -> float:
    return max(4.5, 1.6 + 0.2 * rows)


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), names, fontsize=8)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.spines[["top", "right"]].set_visible(False)

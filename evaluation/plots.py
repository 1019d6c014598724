"""Pictures of a frame-mAP: AP per action with counts, and precision-recall curves. matplotlib is loaded on use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.frame_map import FrameMapResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#3b6fb6", "#d9822b", "#3f9b5b", "#8a63b5", "#8c6d4f")


def plot_frame_map(path: str | os.PathLike[str], result: FrameMapResult) -> None:
    """Draw AP per action, sorted, and the precision-recall curves; the suffix of `path` chooses the format.

    Raises:
        InputError: a suffix that matplotlib cannot write.
    """
    from matplotlib.figure import Figure

    scored = result.per_class.dropna(subset=["ap"]).sort_values("ap", kind="stable")
    types = list(result.per_class["type"].dropna().unique())
    colour_of = {kind: _COLOURS[index % len(_COLOURS)] for index, kind in enumerate(types)}
    colours = [colour_of.get(kind, _COLOURS[0]) for kind in scored["type"]]
    figure = Figure(figsize=(15, max(4.5, 1.6 + 0.2 * len(scored))), layout="constrained")
    bars, curves = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(f"frame-mAP@0.5 {result.mean_ap:.4f} ({result.protocol.name})")
    _draw_bars(bars, result, scored["name"].tolist(), scored["ap"].to_numpy(), scored["truths"].tolist(), colours)
    _draw_curves(curves, result, dict(zip(scored["id"], colours, strict=True)))
    if types:
        handles = [bars.barh([0], [0], color=colour) for colour in colour_of.values()]
        labels = [kind.replace("_", " ").lower() for kind in types]
        bars.legend(handles, labels, loc="lower right", frameon=False)
    with atomic_path(path) as temporary:
        try:
            figure.savefig(temporary, dpi=110)
        except ValueError as fault:
            raise InputError(f"{path}: {fault}") from None


def _draw_bars(
    axes: Axes, result: FrameMapResult, names: list[str], ap: np.ndarray, truths: list[int], colours: list[str]
) -> None:
    places = np.arange(len(names))
    axes.barh(places, ap, color=colours, height=0.75)
    for place, value, count in zip(places.tolist(), ap.tolist(), truths, strict=True):
        text = f"{value:.3f}   n={count:,}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.text(value + 0.008, place, text, va="center", fontsize=7.5, color="#444444", bbox=box)
    axes.axvline(result.mean_ap, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlim(0, 1.12)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlabel("AP (dashed: mean); n: number of truths")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curves(axes: Axes, result: FrameMapResult, colour_of: dict[int, str]) -> None:
    grid = np.linspace(0, 1, 1001)
    for curve in result.curves:
        # The curve whose area is the AP: at every recall the best precision from there on, 0 where it is not reached.
        best = np.append(np.maximum.accumulate(curve.precision[::-1])[::-1], 0.0)
        axes.plot(grid, best[np.searchsorted(curve.recall, grid)], color=colour_of[curve.label], lw=0.9, alpha=0.55)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision, interpolated")
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)

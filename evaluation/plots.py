"""Pictures of results: AP per action, precision-recall curves, shares of errors. matplotlib is loaded on use.

Every `draw_...` draws on given axes, most of them below a title.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.average_precision import interpolated_precision
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.records import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#3b6fb6", "#d9822b", "#3f9b5b", "#8a63b5", "#8c6d4f")
_GRID = np.linspace(0, 1, 1001)


@dataclass(frozen=True, eq=False)
class ActionBars:
    """A value per action, in the order in which it is drawn.

    Attributes:
        names: (A) of the actions.
        values: (A,) in [0, 1], such as AP.
        counts: (A) what they come from, such as numbers of truths.
        kinds: (A) types of the actions, which choose the colors; None where there are none.
        label: of the axis.
    """

    names: Sequence[str]
    values: FloatArray
    counts: Sequence[int]
    kinds: Sequence[str | None]
    label: str = "AP (dashed: mean); n: number of truths"


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of one action, (K,) each, recall rising, and the action's type."""

    precision: FloatArray
    recall: FloatArray
    kind: str | None


def draw_result(
    bars: ActionBars,
    curves: Sequence[Curve],
    *,
    title: str,
    mean: float,
    path: str | os.PathLike[str] | None,
    axes: Axes | None,
) -> Axes:
    """Draw AP per action with the number of truths, and beside it all precision-recall curves.

    Args:
        bars: AP per action.
        curves: of the actions.
        title: above the picture.
        mean: where the dashed line goes.
        path: a file to write; its suffix chooses the format.
        axes: what to draw the bars on, without the curves; None makes a picture.

    Returns:
        The axes with the bars.

    Raises:
        InputError: a suffix that matplotlib cannot write.
    """
    if axes is not None:
        draw_bars(axes, bars, mean, title=title)
    else:
        figure = _new_figure((15, height_of(len(bars.names))), shown=path is None)
        axes, right = figure.subplots(1, 2, width_ratios=(3, 2))
        figure.suptitle(title)
        draw_bars(axes, bars, mean)
        draw_curves(right, curves)
    if path is not None:
        _save(axes.figure, path)
    return axes


def _colors(kinds: Sequence[str | None]) -> dict[str, str]:
    known = sorted({kind for kind in kinds if isinstance(kind, str)})
    return {kind: _COLORS[index % len(_COLORS)] for index, kind in enumerate(known)}


def draw_bars(axes: Axes, bars: ActionBars, mean: float, *, title: str = "") -> None:
    """Draw a value per action, and the count that it comes from.

    Args:
        mean: where the dashed line goes.
    """
    color_of = _colors(bars.kinds)
    places = np.arange(len(bars.names))
    axes.set_title(title)
    axes.barh(places, bars.values, color=[color_of.get(str(kind), _COLORS[0]) for kind in bars.kinds], height=0.75)
    for place, value, count in zip(places.tolist(), bars.values.tolist(), bars.counts, strict=True):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        text = f"{value:.3f}   n={count:,}"
        axes.text(value + 0.008, place, text, va="center", fontsize=7.5, color="#444444", bbox=box)
    axes.axvline(mean, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set(xlim=(0, 1.12), xlabel=bars.label)
    _name_rows(axes, bars.names)
    if color_of:
        handles = [axes.barh([0], [0], color=color) for color in color_of.values()]
        labels = [kind.replace("_", " ").lower() for kind in color_of]
        axes.legend(handles, labels, loc="lower right", frameon=False)


def draw_curves(axes: Axes, curves: Sequence[Curve], *, title: str = "") -> None:
    """Draw precision over recall; kinds of curves have colors, and names where there are few curves."""
    color_of = _colors([curve.kind for curve in curves])
    axes.set_title(title)
    for curve in curves:
        best = interpolated_precision(curve.precision, curve.recall, _GRID)
        color = color_of.get(str(curve.kind), _COLORS[0])
        axes.plot(_GRID, best, color=color, lw=0.9, alpha=0.55)
    if color_of and len(color_of) == len(curves):
        axes.legend(axes.lines, list(color_of), loc="lower left", frameon=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision, interpolated")
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def draw_shares(
    axes: Axes,
    names: Sequence[str],
    parts: Sequence[tuple[str, FloatArray]],
    *,
    title: str,
) -> None:
    """Draw shares side by side, one row per action.

    Args:
        names: (A) of the actions.
        parts: name and (A,) shares in [0, 1] of each part; the last one is gray.
    """
    import matplotlib

    axes.set_title(title)
    _name_rows(axes, names)
    colors = [*matplotlib.colormaps["tab20"](np.arange(len(parts) - 1)), "#dddddd"]
    left = np.zeros(len(names))
    for (name, values), color in zip(parts, colors, strict=True):
        axes.barh(np.arange(len(names)), values, left=left, color=color, height=0.75, label=name)
        left += values
    axes.set(xlim=(0, max(1.0, float(left.max()))), xlabel="AP and shares, side by side")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def draw_strata(axes: Axes, by: str, columns: Mapping[str, Any]) -> None:
    """Draw mean AP per stratum, with the number of truths.

    Args:
        by: what the strata are of.
        columns: stratum, mean_ap and truths, each a list.
    """
    bars = axes.bar(columns["stratum"], np.nan_to_num(np.array(columns["mean_ap"])), color=_COLORS[0])
    axes.bar_label(bars, [f"{ap:.3f}\nn={n:,}" for ap, n in zip(columns["mean_ap"], columns["truths"], strict=True)])
    axes.set(xlabel=by, ylabel="mean AP", ylim=(0, 1.15))
    axes.spines[["top", "right"]].set_visible(False)


def draw_recall(axes: Axes, iou: FloatArray, thresholds: Sequence[float], recall: FloatArray) -> None:
    """Draw the share of persons that are found over the IoU that this needs.

    Args:
        iou: (P,) the largest overlap of every person with a box.
        thresholds: (T) IoUs to point at.
        recall: (T,) the shares there.
    """
    axes.plot(_GRID, 1 - np.searchsorted(np.sort(iou), _GRID) / len(iou), color=_COLORS[0])
    axes.plot(thresholds, recall, "o", color=_COLORS[0])
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="IoU", ylabel="recall", title=f"recall of {len(iou):,} persons")
    axes.spines[["top", "right"]].set_visible(False)


def draw_intervals(
    axes: Axes,
    names: Sequence[str],
    middle: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    title: str,
    xlabel: str,
) -> None:
    """Draw a value and its interval for every action, sorted by value.

    Args:
        names: (A) of the actions.
        middle: (A,) values.
        low: (A,) lower ends.
        high: (A,) upper ends.
        xlabel: what the values are.
    """
    order = np.argsort(middle, kind="stable")
    places = np.arange(len(order))
    axes.hlines(places, low[order], high[order], color=_COLORS[0], linewidth=2.5, alpha=0.5)
    axes.plot(middle[order], places, "o", color=_COLORS[0], markersize=4)
    axes.axvline(0, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_title(title)
    axes.set_xlabel(xlabel)
    _name_rows(axes, [names[place] for place in order])


def draw_reliability(
    axes: Axes,
    scores: FloatArray,
    hits: FloatArray,
    counts: IntArray,
    *,
    title: str,
) -> None:
    """Draw the share of hits over the score; points are as large as they have detections.

    Args:
        scores: (B,) mean score of every bin.
        hits: (B,) share of hits.
        counts: (B,) detections.
    """
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--")
    axes.plot(scores, hits, color=_COLORS[0])
    axes.scatter(scores, hits, s=10 + 20 * np.log10(np.maximum(counts, 1)), color=_COLORS[0])
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score", ylabel="share of hits", title=title)
    axes.set_box_aspect(1)


def draw_matrix(axes: Axes, names: Sequence[str], shares: FloatArray, *, title: str) -> None:
    """Draw shares of pairs of actions as shades.

    Args:
        names: (A) of the actions.
        shares: (A, A) in [0, 1].
    """
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(len(names))
    axes.set_xticks(places, list(names), rotation=90, fontsize=7)
    axes.set_yticks(places, list(names), fontsize=7)
    axes.set_title(title)
    axes.figure.colorbar(image, ax=axes, shrink=0.7)


def picture(
    size: tuple[float, float],
    draw: Callable[[Axes], None],
    path: str | os.PathLike[str] | None,
    axes: Axes | None,
) -> Axes:
    """Let `draw` draw on `axes`, or on a picture of `size` inches, and write that to `path` if there is one.

    Raises:
        InputError: a suffix that matplotlib cannot write.
    """
    if axes is None:
        axes = _new_figure(size, shown=path is None).subplots()
    draw(axes)
    if path is not None:
        _save(axes.figure, path)
    return axes


def height_of(rows: int) -> float:
    """Inches that so many rows need."""
    return max(4.5, 1.6 + 0.2 * rows)


def _new_figure(size: tuple[float, float], *, shown: bool) -> Figure:
    """A figure for a file; or, where it may be shown, one of pyplot, which notebooks display."""
    if shown:
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, layout="constrained")
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    with atomic_path(path) as temporary:
        try:
            figure.savefig(temporary, dpi=110)
        except ValueError as fault:
            raise InputError(f"{path}: {fault}") from None


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(names)), list(names), fontsize=8)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.spines[["top", "right"]].set_visible(False)

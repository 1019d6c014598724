"""How sure an AP is, and whether two differ: bootstrap over videos, by which detections depend on each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special

from evaluation.ap_result import ApResult, DerivedResult
from evaluation.boxes import BoolArray
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray
from evaluation.result import Result
from evaluation.tables import plain, records, table_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELLS_AT_ONCE = 4_000_000
_FEW_VIDEOS = 20


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(DerivedResult):
    """The AP of as many videos, drawn again and again with replacement from those of a result.

    Intervals are percentiles of the draws, corrected for bias and for few videos. `print` shows that of the mean and
    those of all actions. What all results have is here, too: `mean_ap`, `per_class`, `curves`, `hits`, `to_json`,
    `to_csv` and `plot`, the intervals of all actions.

    Attributes:
        result: what was evaluated, at one threshold.
        level: of the intervals, such as 0.95.
        videos: how many videos were drawn from.
        ap: (R, L) AP of every draw and action; NaN where a draw has no truth of the action.

    Example:
        >>> from evaluation import bootstrap, frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> found = bootstrap(result, rounds=100)
        >>> found.mean_ap == result.mean_ap
        True
        >>> list(found.per_class)[-2:]
        ['low', 'high']
    """

    level: float
    videos: int
    ap: FloatArray

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Bootstrap(mean AP {self.mean_ap:.4f}, {low:.4f} to {high:.4f}, {len(self.ap)} rounds)"

    def __str__(self) -> str:
        headings = ["id", "action", "AP", "low", "high", "truths"]
        columns = self.columns
        rows = zip(*(plain(columns[name]) for name in ("id", "name", "ap", "low", "high", "truths")), strict=True)
        low, high = self.interval
        sentence = (
            f"mAP@{self.threshold:g} {self.mean_ap:.4f}, {self.level:.0%} interval {low:.4f} to {high:.4f} "
            f"({len(self.ap)} draws of {self.videos} videos)"
        )
        return "\n".join([table_text(headings, rows, numeric={*headings} - {"action"}), "", sentence])

    @property
    def mean_aps(self) -> FloatArray:
        """(R,) mean AP of every draw, over the actions of which it has truth."""
        return _means(self.ap)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end for the mean AP."""
        low, high = _interval(self.mean_aps[:, None], np.array([self.mean_ap]), self.level, self.videos)
        return float(low[0]), float(high[0])

    @property
    def columns(self) -> dict[str, Any]:
        """The result's, then low and high, the ends of the interval."""
        columns = self.action_columns
        low, high = _interval(self.ap[:, self.result.labels], columns["ap"], self.level, self.videos)
        return {**columns, "low": low, "high": high}

    def findings(self) -> dict[str, Any]:
        """The interval of the mean AP and how it was found."""
        return {"interval": list(self.interval), "level": self.level, "rounds": len(self.ap), "videos": self.videos}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw AP and interval of every action, sorted; see `Result.plot`."""
        from evaluation.plots import draw_intervals, height_of, picture  # matplotlib is loaded only for a picture

        low, high = self.interval
        title = f"{self.result.metric}@{self.threshold:g} {self.mean_ap:.4f}, {self.level:.0%} {low:.4f} to {high:.4f}"
        columns = self.columns
        parts = (columns["name"], columns["ap"], columns["low"], columns["high"])
        size = 9, height_of(len(columns["name"]))
        return picture(size, lambda on: draw_intervals(on, *parts, title=title, xlabel="AP"), path, axes)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """How much better a second result is than a first one of the same truth, by a paired bootstrap over videos.

    It has `per_class`, `to_json`, `to_csv` and `plot`, the intervals of all differences. `mean_ap`, `curves` and `hits`
    are those of `first` and of `second`.

    Attributes:
        first: one result, at one threshold.
        second: the other.
        level: of the intervals, such as 0.95.
        videos: how many videos were drawn from.
        first_ap: (R, L) AP of every draw and action.
        second_ap: (R, L), of the same draws.

    Example:
        >>> from evaluation import compare_results, frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> comparison = compare_results(result, result, rounds=100)
        >>> comparison.difference, comparison.differs
        (0.0, False)
    """

    first: ApResult
    second: ApResult
    level: float
    videos: int
    first_ap: FloatArray
    second_ap: FloatArray

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Comparison({self.difference:+.4f}, {low:+.4f} to {high:+.4f}, p {self.p:.3f})"

    def __str__(self) -> str:
        headings = ["id", "action", "first", "second", "change", "low", "high", "p", "differs"]
        columns = {name: plain(column) for name, column in self.columns.items() if name not in ("type", "truths")}
        shown = [(*row[:-1], "yes" if row[-1] else "") for row in zip(*columns.values(), strict=True)]
        return "\n".join([table_text(headings, shown, numeric={*headings} - {"action", "differs"}), "", self.sentence])

    @property
    def difference(self) -> float:
        """Mean AP of the second minus that of the first, with the videos as they are."""
        return self.second.mean_ap - self.first.mean_ap

    @property
    def differences(self) -> FloatArray:
        """(R,) the difference of the mean AP in every draw."""
        return _means(self.second_ap) - _means(self.first_ap)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end for the difference of the mean AP."""
        low, high = _interval(self.differences[:, None], np.array([self.difference]), self.level, self.videos)
        return float(low[0]), float(high[0])

    @property
    def p(self) -> float:
        """How often draws contradict the sign of the difference, two-sided, in (0, 1]."""
        return float(_p_values(self.differences[:, None])[0])

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0

    @property
    def sentence(self) -> str:
        """Whether the difference means anything, in words."""
        low, high = self.interval
        numbers = (
            f"{self.first.metric}@{self.first.threshold:g} {self.first.mean_ap:.4f} and {self.second.mean_ap:.4f}, "
            f"difference {self.difference:+.4f}, {self.level:.0%} interval {low:+.4f} to {high:+.4f}, p = {self.p:.3f}"
        )
        if self.differs:
            verdict = f"The {'second' if low > 0 else 'first'} is better"
        else:
            verdict = "The difference may be chance: the interval includes 0"
        columns = self.columns
        alone = sum(columns["differs"])
        by_chance = (1 - self.level) * len(columns["id"])
        actions = (
            f"{alone} of {len(columns['id'])} actions differ, taken one by one; about {by_chance:.0f} would by chance."
        )
        few = f" With {self.videos} videos, intervals are rough." if self.videos < _FEW_VIDEOS else ""
        return f"{verdict} ({numbers}; {len(self.first_ap)} draws of {self.videos} videos). {actions}{few}"

    @property
    def columns(self) -> dict[str, Any]:
        """Of every action id, name, type, truths, first and second (AP), difference, low, high, p and differs.

        The interval from low to high is that of the difference; differs says whether it leaves out 0.
        """
        labels = np.intersect1d(self.first.labels, self.second.labels)
        changes = self.second_ap[:, labels] - self.first_ap[:, labels]
        first, second = self.first.ap[0, labels], self.second.ap[0, labels]
        common = self.first.columns_of(labels)
        low, high = _interval(changes, second - first, self.level, self.videos)
        return {
            **{name: common[name] for name in ("id", "name", "type", "truths")},
            "first": first,
            "second": second,
            "difference": second - first,
            "low": low,
            "high": high,
            "p": _p_values(changes),
            "differs": ((low > 0) | (high < 0)).tolist(),
        }

    def summary(self) -> dict[str, Any]:
        """What `to_json` writes: the difference, its interval and p, the sentence, and the same of every action."""
        return {
            "first": self.first.mean_ap,
            "second": self.second.mean_ap,
            "metric": f"{self.first.metric}@{self.first.threshold:g}",
            "difference": self.difference,
            "interval": list(self.interval),
            "level": self.level,
            "p": self.p,
            "differs": self.differs,
            "sentence": self.sentence,
            "rounds": len(self.first_ap),
            "videos": self.videos,
            "actions": records(self.columns),
        }

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the difference and its interval of every action, sorted; see `Result.plot`."""
        from evaluation.plots import draw_intervals, height_of, picture  # matplotlib is loaded only for a picture

        columns = self.columns
        low, high = self.interval
        metric = f"{self.first.metric}@{self.first.threshold:g}"
        title = f"difference of {metric} {self.difference:+.4f}, {low:+.4f} to {high:+.4f}"
        parts = (columns["name"], columns["difference"], columns["low"], columns["high"])
        size, what = (9, height_of(len(columns["name"]))), "second minus first"
        return picture(size, lambda on: draw_intervals(on, *parts, title=title, xlabel=what), path, axes)


def bootstrap(
    result: ApResult, *, rounds: int = 1000, level: float = 0.95, seed: int = 0, threshold: float | None = None
) -> Bootstrap:
    """Draw the videos of a result again and again, with replacement, and compute every AP of every draw.

    Videos are drawn, not boxes: the boxes of one video resemble each other. A video that is drawn twice counts as two.
    Detections of videos that the truth does not name stay in every draw.

    Args:
        result: of `frame_map`, `tube_frame_map` or `video_map`.
        rounds: how many draws.
        level: of the intervals.
        seed: of the draws.
        threshold: one of the result's IoUs; None takes `result.threshold`.

    Raises:
        InputError: a threshold that the result does not have, a level outside (0, 1), no rounds, fewer than two videos.

    Example:
        >>> from evaluation import ActionList, DetectionRows, TruthRows, bootstrap, frame_map
        >>> names, boxes = [f"video {number}" for number in range(30)], [[0.1, 0.1, 0.5, 0.9]] * 30
        >>> truth = TruthRows.from_arrays(video=names, time=1, boxes=boxes, labels=1)
        >>> found = DetectionRows.from_arrays(video=names[:20], time=1, boxes=boxes[:20], labels=1, scores=0.5)
        >>> low, high = bootstrap(frame_map(truth, found, actions=ActionList((1,), ("sit",), (None,)))).interval
        >>> 0.4 < low < 0.6 < 0.7 < high < 0.9
        True
    """
    _check(rounds, level)
    result = result.at(threshold)
    videos = _drawn_videos([result])
    weights = _weights(len(videos), rounds, seed)
    return Bootstrap(result, level, len(videos), _resampled_ap(result, videos, weights))


def compare_results(
    first: ApResult,
    second: ApResult,
    *,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threshold: float | None = None,
) -> Comparison:
    """Find out whether two results of the same truth differ by more than chance.

    Both are evaluated on the same draws of videos (see `bootstrap`), so that what makes a video easy or hard for both
    cancels out.

    Args:
        first: of `frame_map`, `tube_frame_map` or `video_map`.
        second: of the same function, with the same truth.
        rounds: how many draws.
        level: of the intervals.
        seed: of the draws.
        threshold: one of the results' IoUs; None takes `first.threshold`.

    Raises:
        InputError: results of different truths, actions or metrics, or as `bootstrap`.

    Example:
        >>> from evaluation import compare_results, frame_map, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> result = frame_map(truth, found, actions=actions)
        >>> compare_results(result, result, rounds=100)
        Comparison(+0.0000, +0.0000 to +0.0000, p 1.000)
    """
    _check(rounds, level)
    first = first.at(threshold)
    second = second.at(first.threshold)
    if (first.metric, first.ids, first.names) != (second.metric, second.ids, second.names):
        raise InputError(
            f"the results are a {first.metric} of {len(first.ids)} actions and a {second.metric} of "
            f"{len(second.ids)}; only results of one metric and one list of actions can be compared"
        )
    videos = _drawn_videos([first, second])
    if not np.array_equal(_truths(first, videos), _truths(second, videos)):
        raise InputError(
            "the results are of different truths; score both against the same truth and excluded timestamps"
        )
    weights = _weights(len(videos), rounds, seed)
    aps = [_resampled_ap(result, videos, weights) for result in (first, second)]
    return Comparison(first, second, level, len(videos), *aps)


def _check(rounds: int, level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"the level of an interval must lie between 0 and 1, found {level:g}; 0.95 is usual")
    if rounds < 1:
        raise InputError(f"expected at least one round, found {rounds}; 1000 is usual")


def _drawn_videos(results: Sequence[ApResult]) -> tuple[str, ...]:
    """Names of the videos with truth or detections in one of the results, sorted."""
    names: set[str] = set()
    for result in results:
        some: BoolArray = np.any(result.truths_of_video, axis=1)
        some[result.video[result.video >= 0]] = True
        names |= {name for name, counts in zip(result.videos, some.tolist(), strict=True) if counts}
    if len(names) < 2:
        raise InputError(f"a bootstrap draws videos, but the result has only {len(names)}; expected at least two")
    return tuple(sorted(names))


def _places(result: ApResult, videos: Sequence[str]) -> IntArray:
    """For each of the result's videos its place in `videos`; len(videos) for none, and for unknown videos, the last."""
    place = {name: index for index, name in enumerate(videos)}
    return np.array([*(place.get(name, len(videos)) for name in result.videos), len(videos)], dtype=np.int64)


def _truths(result: ApResult, videos: Sequence[str]) -> IntArray:
    """(V, L) truths of every one of `videos`."""
    truths = np.zeros((len(videos) + 1, len(result.ids)), dtype=np.int64)
    np.add.at(truths, _places(result, videos)[:-1], result.truths_of_video)
    return truths[:-1]


def _weights(videos: int, rounds: int, seed: int) -> FloatArray:
    """(V, R) how often every video is in every draw."""
    drawn = np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=rounds)
    weights: FloatArray = drawn.T.astype(np.float64)
    return weights


def _resampled_ap(result: ApResult, videos: Sequence[str], weights: FloatArray) -> FloatArray:
    """(R, L) AP of every draw and action; `weights` (V, R) are those of `videos`."""
    hits = result.hits[0]
    places = _places(result, videos)
    truths = weights.T @ _truths(result, videos)
    always = np.vstack([weights, np.ones((1, weights.shape[1]))])  # what is of no drawn video is in every draw
    ap = np.full(truths.shape, np.nan)
    for label in result.labels.tolist():
        rows = result.rows_of(label)
        area = _weighted_area(hits[rows], places[result.video[rows]], always)
        with np.errstate(divide="ignore", invalid="ignore"):
            ap[:, label] = np.where(truths[:, label] > 0, area / truths[:, label], np.nan)
    return ap


def _weighted_area(hits: BoolArray, video: IntArray, weights: FloatArray) -> FloatArray:
    """(R,) the AP of ranked detections times the truths, where every detection counts as often as its video.

    Copies of one detection are neighbors in the ranking; of a hit the precision rises from copy to copy, so the
    interpolated precision of all of them is that of the last. Between hits it falls, so only hits are looked at.

    Args:
        hits: (N,) best first.
        video: (N,) row of `weights`.
        weights: (V, R).
    """
    place = np.flatnonzero(hits)
    area = np.zeros(weights.shape[1])
    if len(place) == 0:
        return area
    # Of every video the detections between one hit and the next, that hit included.
    step = np.searchsorted(place, np.arange(place[-1] + 1))
    cells = (np.ones(len(step)), (step, video[: len(step)]))
    counts = sparse.csr_matrix(cells, shape=(len(place), len(weights)))
    width = max(1, _CELLS_AT_ONCE // len(place))
    for start in range(0, weights.shape[1], width):
        some = weights[:, start : start + width]
        seen = np.cumsum(counts @ some, axis=0)
        found = some[video[place]]
        precision = np.cumsum(found, axis=0)
        np.divide(precision, seen, out=precision, where=seen > 0)
        best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        area[start : start + width] = np.einsum("hr,hr->r", found, best)
    return area


def _means(ap: FloatArray) -> FloatArray:
    """(R,) mean over the actions that are defined."""
    defined = ~np.isnan(ap)
    means: FloatArray = np.where(defined, ap, 0).sum(axis=1) / np.maximum(defined.sum(axis=1), 1)
    means[~defined.any(axis=1)] = np.nan
    return means


def _interval(draws: FloatArray, value: FloatArray, level: float, videos: int) -> tuple[FloatArray, FloatArray]:
    """(L,) lower and upper ends of intervals.

    Percentiles of the draws, with two corrections. AP of few videos is too high, and that of draws, in which videos
    come twice, higher still: the percentiles move by twice the bias that the draws show (Efron, "Nonparametric standard
    errors and confidence intervals", 1981). Draws of few videos vary too little: the interval is as wide as
    Student's (Hesterberg, "What teachers should know about the bootstrap", 2015, the expanded percentile interval).

    Args:
        draws: (R, L), NaN where a draw is not defined.
        value: (L,) of the videos as they are.
        level: such as 0.95.
        videos: how many were drawn from.
    """
    reach = np.sqrt(videos / (videos - 1)) * special.stdtrit(videos - 1, (1 + level) / 2)
    ends = np.full((2, draws.shape[1]), np.nan)
    for label, middle in enumerate(value.tolist()):
        column = draws[:, label]
        column = column[~np.isnan(column)]
        if len(column):
            below = np.mean(column < middle) + np.mean(column == middle) / 2
            bias = special.ndtri(np.clip(below, 0.5 / len(column), 1 - 0.5 / len(column)))
            ends[:, label] = np.quantile(column, special.ndtr(2 * bias + np.array([-reach, reach])))
    return ends[0], ends[1]


def _p_values(changes: FloatArray) -> FloatArray:
    """(L,) twice the share of the (R, L) draws on the rarer side of 0, which counts on both; at most 1."""
    draws = np.sum(~np.isnan(changes), axis=0)
    rarer = np.minimum(np.sum(changes <= 0, axis=0), np.sum(changes >= 0, axis=0))
    p_values: FloatArray = np.minimum(1.0, 2 * (rarer + 1) / (draws + 1))
    return p_values

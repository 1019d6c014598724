"""A page that shows why a detector scores what it scores, or two of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.ap_result import ApResult
from evaluation.ava_errors import find_errors
from evaluation.average_precision import interpolated_precision
from evaluation.calibration import Calibration, calibrate
from evaluation.confusion import Confusion, confusion_of
from evaluation.error_breakdown import ErrorBreakdown
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.mistakes import Mistake, worst_mistakes
from evaluation.page import (
    Bars,
    Beside,
    Figure,
    Figures,
    Gallery,
    Histogram,
    Line,
    Lines,
    Matrix,
    Page,
    Part,
    Picture,
    Section,
    Series,
    Table,
    Text,
    jpeg_address,
)
from evaluation.page.outlines import outline_address
from evaluation.protocols import Ties
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.significance import Bootstrap, Comparison, bootstrap, compare_results
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet

Thumbnail = Callable[[FrameKey, FloatArray | None, FloatArray | None], bytes | None]
"""Cuts a JPEG out of a video: video and moment, the box that was found, the true box; None where it cannot."""

MEANINGS: Mapping[str, str] = {
    "duplicate": "another box has found the person's action before",
    "repeat": "another detection has found this truth before",
    "background": "nobody is there",
    "extra": "nothing is there",
    "wrong_action": "the person is right, another of its actions was found, this one it does not do",
    "confused_action": "the person is right, the action is not",
    "box_off": "the action is right, the box overlaps the person too little",
    "loc": "the action is right, the place is not",
    "cls": "the place and time are right, the action is not",
    "time": "the action is right, the time is not",
    "cls+time": "only the place is right",
    "cls+loc": "only the time is right",
    "time+loc": "only the action is right",
    "cls+time+loc": "something is near, and nothing is right",
    "missed": "nothing finds this truth",
    "missed_action": "the person is found, the action is not",
    "missed_person": "nobody finds the person",
}
"""What the kinds of errors mean."""

_RECALLS = np.linspace(0, 1, 101)
_GRAY = 10
"""A tint beyond the colors."""
_CONFUSED = 24
"""Actions in the matrix; more cannot be read."""


@dataclass(frozen=True, eq=False)
class Run:
    """What is known of one detector.

    Attributes:
        name: of the detector, such as its file.
        result: at one threshold or several.
        interval: by bootstrap; None where there are too few videos.
        calibration: None where scores are not probabilities.
        confusion: None where scores are not probabilities.
        errors: where the AP is lost.
        mistakes: the worst of them.
    """

    name: str
    result: ApResult
    interval: Bootstrap | None
    calibration: Calibration | None
    confusion: Confusion | None
    errors: ErrorBreakdown
    mistakes: Sequence[Mistake]


def analyze(
    name: str,
    truth: TruthRows | TubeTruth,
    detections: DetectionRows | FrameDetections | TubeSet,
    result: ApResult,
    *,
    actions: ActionList | None = None,
    excluded: Collection[FrameKey] = frozenset(),
    ties: Ties = "stable",
) -> Run:
    """Find out what a page shows of one detector.

    Args:
        name: of the detector.
        truth, detections, actions, excluded, ties: as of `find_errors`.
        result: of these, by `frame_map`, `tube_frame_map` or `video_map`.

    Raises:
        InputError: as `find_errors`.
    """
    given: dict[str, Any] = {"actions": actions, "excluded": excluded}
    errors = find_errors(truth, detections, **given, threshold=result.threshold, ties=ties)
    calibration = confusion = interval = None
    with suppress(InputError):  # scores that are not probabilities
        calibration = calibrate(result)
        best = dict(zip(result.ids, calibration.best_threshold.tolist(), strict=True))
        limits = [best[label] for label in (result.ids if actions is None else actions.ids)]
        if isinstance(truth, TubeTruth):
            limits = [limit for label, limit in enumerate(limits) if label not in truth.unscored]
        confusion = confusion_of(truth, detections, **given, thresholds=limits, iou=result.threshold)
    with suppress(InputError):  # too few videos
        interval = bootstrap(result)
    return Run(name, result, interval, calibration, confusion, errors, worst_mistakes(errors, truth, detections))


def result_page(
    runs: Sequence[Run], *, subtitle: str = "", moment: Callable[[int], str], thumbnail: Thumbnail | None = None
) -> Page:
    """Make the page.

    Args:
        runs: one detector, or two on the same truth.
        subtitle: such as the truth and the protocol.
        moment: how a moment is written, such as "902.0 s".
        thumbnail: cuts the pictures; None shows outlines of the boxes alone.
    """
    sections = [
        Section("Average precision", [_figures(run, named=len(runs) > 1) for run in runs]),
        *_comparison(runs),
        Section(
            "Each action",
            [_bars(runs), *_beside(runs, _curves)],
            "AP of each action, with its 95 % interval and the number of true boxes or tubes; dashed: the mean.",
        ),
        Section(
            "Where the AP is lost",
            [*_beside(runs, _gains), *_beside(runs, _shares), _meanings(runs)],
            "How much the mAP would rise if one kind of error were fixed, and how much of each action's AP it takes.",
        ),
        Section(
            "Worst mistakes",
            [Gallery(_pictures(run, moment, thumbnail), title=run.name if len(runs) > 1 else "") for run in runs],
            "False detections with the highest scores, and missed truth. Orange: what was found. Green: what is true.",
        ),
        *_confusions(runs),
        *_calibrations(runs),
        Section("All numbers", [_table(run, named=len(runs) > 1) for run in runs]),
    ]
    return Page(" and ".join(Path(run.name).name for run in runs), sections, subtitle)


def _beside(runs: Sequence[Run], part: Callable[[Run, str], Part]) -> list[Part]:
    """The same part of each run, side by side under its name."""
    parts = [part(run, run.name if len(runs) > 1 else "") for run in runs]
    return [Beside(parts)] if len(parts) > 1 else parts


def _figures(run: Run, *, named: bool) -> Part:
    result = run.result
    note = "" if run.interval is None else "95 %: {:.4f} to {:.4f}".format(*run.interval.interval)
    shown = [Figure(f"{result.metric}@{result.threshold:g}", f"{result.mean_ap:.4f}", note)]
    shown += [
        Figure(f"mAP@{each:g}", f"{result.mean_at(each):.4f}") for each in result.thresholds if each != result.threshold
    ][:4]
    shown += [Figure(f"mAP@{name}", f"{mean:.4f}") for name, mean in result.range_means.items()]
    labels = result.labels
    shown.append(Figure("actions", f"{len(labels)}", f"{len(result.ids) - len(labels)} without AP"))
    shown.append(Figure("truths", f"{int(result.truths[labels].sum()):,}", f"in {len(result.videos):,} videos"))
    found = int(result.at(None).hits.sum())
    shown.append(Figure("detections", f"{len(result.scores):,}", f"{found:,} of them hits"))
    return Figures(shown, title=run.name if named else "")


def _comparison(runs: Sequence[Run]) -> list[Section]:
    if len(runs) < 2:
        return []
    try:
        comparison: Comparison = compare_results(runs[0].result, runs[1].result)
    except InputError as fault:
        return [Section("Is the difference real?", [Text([f"They cannot be compared: {fault}."])])]
    columns = comparison.columns
    names = ("name", "truths", "first", "second", "difference", "low", "high", "p")
    rows = list(zip(*(np.asarray(columns[name]).tolist() for name in names), strict=True))
    rows.sort(key=lambda row: -abs(row[4]))
    answers = ["yes" if differs else "" for differs in columns["differs"]]
    by_name = dict(zip(columns["name"], answers, strict=True))
    table = Table(
        ["action", "truths", "first", "second", "change", "low", "high", "p", "differs"],
        [[*row, by_name[row[0]]] for row in rows],
        title="A paired bootstrap over the videos, action by action",
    )
    return [Section("Is the difference real?", [Text([comparison.sentence]), table])]


def _bars(runs: Sequence[Run]) -> Part:
    """AP of each action, the best of the first run first."""
    first = runs[0].result.at(None)
    labels = first.labels[np.argsort(-first.ap[0, first.labels], kind="stable")]
    series = []
    for run in runs:
        at = run.result.at(None)
        low: FloatArray | tuple[()] = ()
        high: FloatArray | tuple[()] = ()
        if run.interval is not None:
            columns = run.interval.columns
            place = {name: number for number, name in enumerate(columns["id"])}
            order = [place.get(first.ids[label], -1) for label in labels.tolist()]
            low, high = (np.append(columns[end], np.nan)[order] for end in ("low", "high"))
        series.append(Series(at.ap[0, labels], run.name if len(runs) > 1 else "", low, high))
    kinds = sorted({kind for kind in first.types if kind is not None}) if len(runs) == 1 else []
    return Bars(
        [first.names[label] for label in labels],
        series,
        notes=[f"n={count:,}" for count in first.truths[labels].tolist()],
        groups=[kind.replace("_", " ").lower() for kind in kinds],
        tints=[kinds.index(first.types[label] or kinds[0]) for label in labels] if kinds else (),
        largest=1,
        mean=first.mean_ap if len(runs) == 1 else None,
        title="AP",
    )


def _curves(run: Run, run_name: str) -> Part:
    values = [interpolated_precision(curve.precision, curve.recall, _RECALLS) for curve in run.result.curves]
    names = [run.result.names[label] for label in run.result.labels.tolist()]
    curves = [Line(name, _RECALLS, each) for name, each in zip(names, values, strict=True)]
    if len(curves) > 1:
        curves.insert(0, Line("mean of all actions", _RECALLS, np.mean(values, axis=0)))
    title = f"Precision and recall{f': {run_name}' if run_name else ''}"
    return Lines(curves, "recall", "precision, interpolated", (0, 1), (0, 1), title=title)


def _gains(run: Run, name: str) -> Part:
    columns = run.errors.fix_columns
    kinds = [_spoken(kind) for kind in columns["kind"]]
    notes = [f"{count:,}" for count in columns["count"]]
    title = f"Gain in mAP if fixed{f': {name}' if name else ''}"
    gains = np.round(columns["gain"], 6) + 0.0  # no -0
    return Bars(kinds, [Series(gains)], notes=notes, title=title, digits=4)


def _shares(run: Run, name: str) -> Part:
    errors = run.errors
    order = np.argsort(-errors.ap, kind="stable")
    parts = [("AP", errors.ap), *zip(errors.reasons, errors.shares.T, strict=True)]
    series = [Series(values[order], _spoken(kind), tint=number) for number, (kind, values) in enumerate(parts)]
    series.append(Series(errors.missed[order], "missed", tint=_GRAY))
    names = [errors.result.names[label] for label in errors.result.labels[order].tolist()]
    title = f"AP and shares of errors{f': {name}' if name else ''}"
    return Bars(names, series, stacked=True, title=title)


def _meanings(runs: Sequence[Run]) -> Part:
    kinds = runs[0].errors.kinds
    return Table(["error", "what it means"], [[_spoken(kind), MEANINGS[kind]] for kind in kinds])


def _pictures(run: Run, moment: Callable[[int], str], thumbnail: Thumbnail | None) -> list[Picture]:
    pictures: dict[int, Picture] = {}
    # Video by video, so that each is opened once; shown kind by kind.
    for number in sorted(range(len(run.mistakes)), key=lambda number: run.mistakes[number].key):
        mistake = run.mistakes[number]
        image = thumbnail(mistake.key, mistake.found, mistake.truth) if thumbnail is not None else None
        score = "" if mistake.score is None else f", score {mistake.score:.3f}"
        shown = " and ".join(
            words
            for words, box in (("an orange box found", mistake.found), ("a green true box", mistake.truth))
            if box is not None
        )
        lines = [f"{mistake.key.video} at {moment(mistake.key.moment)}", MEANINGS[mistake.kind]]
        if mistake.truth_action not in ("", mistake.action):
            lines.insert(1, f"true: {mistake.truth_action}")
        pictures[number] = Picture(
            outline_address(mistake.found, mistake.truth) if image is None else jpeg_address(image),
            f"{mistake.action}{score}",
            lines,
            _spoken(mistake.kind),
            f"{mistake.key.video} at {moment(mistake.key.moment)}: {shown}",
        )
    return [pictures[number] for number in range(len(run.mistakes))]


def _confusions(runs: Sequence[Run]) -> list[Section]:
    parts: list[Part] = []
    for run in runs:
        if run.confusion is None:
            continue
        title = run.name if len(runs) > 1 else ""
        confusion = run.confusion
        shown = _most_confused(confusion)
        if len(shown):
            names = [confusion.names[place] for place in shown.tolist()]
            values = confusion.shares[np.ix_(shown, shown)]
            parts.append(Matrix(names, names, values, "done", "said", largest=1, title=title))
        columns = confusion.columns
        if not columns["times"]:
            parts.append(Text(["Nobody who is found is said to do what they do not do."], title=title))
            continue
        rows = zip(*(columns[name][:100] for name in ("name", "called", "times", "of", "share")), strict=True)
        parts.append(Table(["action", "taken for", "times", "of", "share"], [list(row) for row in rows], title=title))
    note = (
        "Among people who are found: of those who do the action of the row and not that of the column, the share that "
        "is said to do the latter. On the diagonal, those who are said to do what they do."
    )
    return [Section("Confusion", parts, note)] if parts else []


def _most_confused(confusion: Confusion) -> IntArray:
    """Places of the actions with most confusions, in the order of the list."""
    wrong = confusion.called.copy()
    np.fill_diagonal(wrong, 0)
    times = wrong.sum(axis=0) + wrong.sum(axis=1)
    some = np.argsort(-times, kind="stable")[:_CONFUSED]
    return np.sort(some[times[some] > 0])


def _calibrations(runs: Sequence[Run]) -> list[Section]:
    parts: list[Part] = []
    for run in runs:
        if run.calibration is None:
            continue
        scores, hits, _ = run.calibration.reliability
        title = f"Calibration error {run.calibration.ece:.4f}{f': {run.name}' if len(runs) > 1 else ''}"
        counts = run.calibration.counts.sum(axis=0)
        edges = np.linspace(0, 1, len(counts) + 1)
        lines = Lines(
            [Line("all actions", scores, hits)],
            "score",
            "share of hits",
            (0, 1),
            (0, 1),
            diagonal=True,
            points=True,
            title=title,
        )
        parts.append(Beside([lines, Histogram(edges, counts, "score", "detections", title="Scores")]))
    note = "A score of 0.8 should be right in four of five cases: the dashed line."
    return [Section("Calibration", parts, note)] if parts else []


def _table(run: Run, *, named: bool) -> Part:
    labels = run.result.labels
    columns = run.result.at(None).columns_of(labels)
    shown: dict[str, Collection[object]] = {
        name: np.asarray(columns[name]).tolist() for name in ("id", "name", "ap", "truths", "detections", "recall")
    }
    if run.interval is not None:
        for end in ("low", "high"):
            shown[end] = run.interval.columns[end].tolist()
    if run.calibration is not None:
        found = run.calibration.columns
        shown["best threshold"], shown["F1 there"] = found["best_threshold"].tolist(), found["f1"].tolist()
    headings = [{"name": "action", "ap": "AP"}.get(name, name) for name in shown]
    rows = [list(row) for row in zip(*shown.values(), strict=True)]
    return Table(headings, rows, title=run.name if named else "")


def _spoken(kind: str) -> str:
    return kind.replace("_", " ")

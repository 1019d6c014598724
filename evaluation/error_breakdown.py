"""Why the AP is not 1: the reason of every false detection and every missed truth, and what fixing each would give."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.ap_result import ApResult, DerivedResult
from evaluation.average_precision import average_precision, precision_recall
from evaluation.boxes import BoolArray
from evaluation.records import FloatArray, IntArray
from evaluation.tables import notes_text, plain, records, table_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class ErrorBreakdown(DerivedResult):
    """Why the AP is not 1, label by label; every share is in [0, 1].

    The share of a reason is computed like AP, from the rate of that reason instead of the precision: how much
    of the area above the recall axis it takes. Shares and AP need not add up to 1, because each curve is made
    non-increasing on its own.

    `fixes` says what the AP would be without each kind of error, as Bolya et al. do ("TIDE: A General Toolbox for
    Identifying Object Detection Errors", 2020): a detection that is false for one reason becomes a hit of the truth
    that it was meant for, if nothing else finds that, and is removed otherwise; a truth that is missed does not count.
    Fixing one kind after the other, in the order of `kinds`, ends at an AP of 1.

    What all results have is here, too: `mean_ap`, `per_class`, `curves`, `hits`, `to_json`, `to_csv` and `plot`, AP and
    shares side by side. The L labels are those that count: scored by the benchmark, with truth.

    Attributes:
        result: what was evaluated, at one threshold.
        reasons: (R) names of the reasons.
        ap: (L,) that of the result, within single precision, which the official script of these analyses uses.
        shares: (L, R).
        missed: (L,) share of the truth that nothing found.
        counts: (L, R + 1) number of detections per reason; the last column counts the hits.
        missing: (M) names of the kinds of truth that nothing finds, and no detection with an error was meant for.
        missing_counts: (L, M) how many there are of each.
        alone: (L, R + M) AP if that kind of error alone were fixed.
        in_order: (L, R + M) AP if that kind of error and all before it were fixed.
        outcomes: what became of every detection and every truth.

    Example:
        >>> from evaluation import find_errors, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> breakdown = find_errors(truth, found, actions=actions)
        >>> breakdown
        ErrorBreakdown(mean AP 0.7500 at 0.5, 2 labels)
        >>> breakdown.fixes[["kind", "count"]].query("count > 0")
                      kind  count
        1       background      1
        3  confused_action      1
    """

    reasons: tuple[str, ...]
    ap: FloatArray
    shares: FloatArray
    missed: FloatArray
    counts: IntArray
    missing: tuple[str, ...]
    missing_counts: IntArray
    alone: FloatArray
    in_order: FloatArray
    outcomes: Outcomes

    def __str__(self) -> str:
        """Where the AP is lost, action by action and on the mean, and the notes."""
        reasons = [*self.reasons, "missed"]
        headings = ["id", "action", "AP", *reasons]
        mean = ["", "mean", self.mean_ap, *self.means.values()]
        columns = self.columns
        rows = [mean, *zip(*(plain(columns[name]) for name in ("id", "name", "ap", *reasons)), strict=True)]
        lines = [f"AP@{self.threshold:g} and where it is lost (shares of the area that AP measures)", ""]
        lines.append(table_text(headings, rows, numeric={*headings} - {"action"}))
        fixes = self.fix_columns
        headings = ["error", "count", "AP if fixed", "gain", "AP with all above"]
        lines += ["", "what fixing would give: each kind of error alone, and one after the other", ""]
        of_kinds = zip(*map(plain, fixes.values()), strict=True)
        lines.append(table_text(headings, of_kinds, numeric={*headings} - {"error"}))
        return "\n".join(lines + notes_text(self.result.notes))

    def __repr__(self) -> str:
        return f"ErrorBreakdown(mean AP {self.mean_ap:.4f} at {self.threshold:g}, {len(self.ap)} labels)"

    @property
    def mean_ap(self) -> float:
        """Mean AP over the labels, in [0, 1]."""
        return float(np.mean(self.ap))

    @property
    def means(self) -> dict[str, float]:
        """Mean over the labels of every reason, and of "missed"."""
        shares = {reason: float(np.mean(self.shares[:, r])) for r, reason in enumerate(self.reasons)}
        return {**shares, "missed": float(np.mean(self.missed))}

    @property
    def columns(self) -> dict[str, Any]:
        """The result's, then the share of every reason, and missed."""
        shares = {reason: self.shares[:, r] for r, reason in enumerate(self.reasons)}
        return {**self.action_columns, "ap": self.ap, **shares, "missed": self.missed}

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of errors, in the order in which they are fixed: the reasons of detections, then missing truth."""
        return (*self.reasons, *self.missing)

    @property
    def fix_columns(self) -> dict[str, Any]:
        """Of every kind of error its name, count, mean ap_if_fixed, gain, and ap_in_order with all before it fixed."""
        alone = self.alone.mean(axis=0)
        return {
            "kind": list(self.kinds),
            "count": [*self.counts[:, :-1].sum(axis=0).tolist(), *self.missing_counts.sum(axis=0).tolist()],
            "ap_if_fixed": alone,
            "gain": alone - self.mean_ap,
            "ap_in_order": self.in_order.mean(axis=0),
        }

    @property
    def fixes(self) -> pd.DataFrame:
        """`fix_columns` as a table, one row per kind of error."""
        import pandas as pd  # scoring does without it, and starts in half the time

        table: pd.DataFrame = pd.DataFrame(self.fix_columns)
        return table

    def findings(self) -> dict[str, Any]:
        """The mean share of every reason, what fixing would give, and the notes of the result."""
        return {"means": self.means, "fixes": records(self.fix_columns), "notes": list(self.result.notes)}

    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw AP and the share of every reason per action, sorted by AP; see `Result.plot`."""
        from evaluation.plots import draw_shares, height_of, picture  # matplotlib is loaded only for a picture

        order = np.argsort(self.ap, kind="stable")
        parts = [("AP", self.ap), *zip(self.reasons, self.shares.T, strict=True), ("missed", self.missed)]
        names = [self.result.names[label] for label in self.result.labels[order]]
        parts = [(name, values[order]) for name, values in parts]
        title = f"{self.result.metric}@{self.threshold:g} {self.mean_ap:.4f} and where the AP is lost"
        size = 12, height_of(len(names))
        return picture(size, lambda on: draw_shares(on, names, parts, title=title), path, axes)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of the N ranked detections of a result, and of M truths.

    Attributes:
        reasons: (R) names of the reasons why detections are false, in the order in which errors are fixed.
        which: (N,) place of the reason of every detection; R for a hit.
        target: (N,) the truth that a hit found, or that a false detection would find without its error; -1 for none.
        missing: (K) names of the kinds of truth that nothing finds.
        truth_label: (M,) label of every truth.
        truth_kind: (M,) its kind, if nothing finds it.
        row: (N,) index of every ranked detection into those that were given.
        truth_row: (M,) index of every truth into the rows that were given; of a data set of tubes, those of its test
            videos, video by video.
    """

    reasons: tuple[str, ...]
    which: IntArray
    target: IntArray
    missing: tuple[str, ...]
    truth_label: IntArray
    truth_kind: IntArray
    row: IntArray
    truth_row: IntArray

    @property
    def missed(self) -> BoolArray:
        """(M,) truths that nothing finds and that no false detection was meant for."""
        missed = np.ones(len(self.truth_label), dtype=np.bool_)
        missed[self.target[self.target >= 0]] = False
        return missed


def break_down(result: ApResult, outcomes: Outcomes) -> ErrorBreakdown:
    """Turn what became of a result's detections into shares of the AP and what fixing would give."""
    reasons, offsets, labels = outcomes.reasons, result.offsets, result.labels
    shares = np.zeros((len(labels), len(reasons) + 1))
    counts = np.zeros((len(labels), len(reasons) + 1), dtype=np.int64)
    missed = np.ones(len(labels))
    for row, label in enumerate(labels.tolist()):
        reason = outcomes.which[offsets[label] : offsets[label + 1]]
        if len(reason) == 0:
            continue
        seen = np.arange(1, len(reason) + 1)
        # float32, because the official MultiSports script keeps these curves in it.
        recall = (np.cumsum(reason == len(reasons)) / result.truths[label]).astype(np.float32)
        for r in range(len(reasons) + 1):
            rate = (np.cumsum(reason == r) / seen).astype(np.float32)
            shares[row, r] = average_precision(rate, recall)
        counts[row] = np.bincount(reason, minlength=len(reasons) + 1)
        missed[row] = 1 - float(recall[-1])
    kinds = range(len(reasons) + len(outcomes.missing))
    unfound = outcomes.missed
    cells = outcomes.truth_label[unfound] * len(outcomes.missing) + outcomes.truth_kind[unfound]
    missing_counts = np.bincount(cells, minlength=len(result.ids) * len(outcomes.missing))
    return ErrorBreakdown(
        result=result,
        reasons=reasons,
        ap=shares[:, -1],
        shares=shares[:, :-1],
        missed=missed,
        counts=counts,
        outcomes=outcomes,
        missing=outcomes.missing,
        missing_counts=missing_counts.reshape(len(result.ids), -1)[labels],
        alone=np.stack([_fixed_ap(result, outcomes, {kind}) for kind in kinds], axis=1),
        in_order=np.stack([_fixed_ap(result, outcomes, set(range(kind + 1))) for kind in kinds], axis=1),
    )


def _fixed_ap(result: ApResult, outcomes: Outcomes, fixed: Collection[int]) -> FloatArray:
    """(L,) AP of the labels that count if some kinds of errors were fixed."""
    reasons = len(outcomes.reasons)
    hits, target, scores = result.hits[0], outcomes.target, result.scores
    found = np.zeros(len(outcomes.truth_label), dtype=np.bool_)
    found[target[hits]] = True
    gone = np.isin(outcomes.which, [kind for kind in fixed if kind < reasons])
    meant = np.flatnonzero(gone & (target >= 0))
    meant = meant[~found[target[meant]]]
    meant = meant[np.argsort(-scores[meant], kind="stable")]
    _, first = np.unique(target[meant], return_index=True)
    turned = meant[np.sort(first)]  # by falling score
    turned_label = outcomes.truth_label[target[turned]]
    counts = outcomes.missed & np.isin(outcomes.truth_kind, [kind - reasons for kind in fixed])
    truths = np.bincount(outcomes.truth_label[~counts], minlength=len(result.ids))
    ap = np.ones(len(result.labels))
    for row, label in enumerate(result.labels.tolist()):
        rows = result.rows_of(label)
        kept = ~gone[rows]
        new = -scores[turned[turned_label == label]]
        places = np.searchsorted(-scores[rows][kept], new, side="right")
        ranked = np.insert(hits[rows][kept], places, True)
        if truths[label]:
            ap[row] = average_precision(*precision_recall(ranked, int(truths[label])))
    return ap

"""Which unlabeled stretches of video are worth annotating next, from what a detector says of their persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.records import FloatArray, TruthRows


@dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of an unlabeled video.

    Attributes:
        video: its name.
        start, end: in seconds.
        scores: (P, C) of the persons at its key frames, probabilities.
    """

    video: str
    start: float
    end: float
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A stretch and why it is suggested; all figures lie between 0 and 1.

    Attributes:
        stretch: what to annotate.
        uncertain: mean over its persons of the entropy, in bits, of the action the detector is least sure of.
        rare: mean over its persons of how rare their predicted actions are in the data set.
        unlike: how far its mix of actions is from the nearest of the data set and of earlier suggestions.
        value: mean of the three, each divided by its largest value among all stretches.
    """

    stretch: Stretch
    uncertain: float
    rare: float
    unlike: float
    value: float


@dataclass(frozen=True, eq=False)
class Labeled:
    """What a data set holds already.

    Attributes:
        counts: (C,) annotated persons of each action.
        mixes: (V, C) for each video, the share of its persons who do each action.
    """

    counts: npt.NDArray[np.int64]
    mixes: FloatArray

    @classmethod
    def of(cls, truth: Sequence[TruthRows], ids: Sequence[int]) -> Labeled:
        """Count annotations.

        Args:
            truth: of all splits.
            ids: the action of each column.
        """
        column = {label: place for place, label in enumerate(ids)}
        counts, mixes = np.zeros(len(ids), dtype=np.int64), []
        for rows in truth:
            known = np.array([label in column for label in rows.labels.tolist()], dtype=bool)
            columns = np.array([column[label] for label in rows.labels[known].tolist()], dtype=np.int64)
            counts += np.bincount(columns, minlength=len(ids))
            codes, persons = rows.video.codes[known], np.column_stack([rows.moment, rows.boxes])[known]
            for code in np.unique(codes):
                chosen = codes == code
                people = len(np.unique(persons[chosen], axis=0))
                mixes.append(np.bincount(columns[chosen], minlength=len(ids)) / people)
        return cls(counts, np.array(mixes, dtype=np.float64).reshape(-1, len(ids)))


def rank_stretches(stretches: Sequence[Stretch], labeled: Labeled) -> list[Suggestion]:
    """Rank stretches: the best first, each unlike those before it.

    Three figures of equal weight decide (`Suggestion`). The best stretch is taken; then the distances of the others
    count from it, too, and so on. Stretches without persons come last.

    Source of the idea: Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach,
    ICLR 2018 (the distance), and uncertainty sampling (Lewis and Gale, SIGIR 1994).

    Args:
        stretches: candidates.
        labeled: what the data set holds.
    """
    if not stretches:
        return []
    rarity = 1 - labeled.counts / max(1, labeled.counts.max(initial=0))
    uncertain = np.array([_uncertainty(each.scores) for each in stretches])
    rare = np.array([_rareness(each.scores, rarity) for each in stretches])
    mixes = np.array([_mix(each.scores) for each in stretches])
    occupied = np.array([len(each.scores) > 0 for each in stretches])
    unlike = np.array([_distance(mix, labeled.mixes) for mix in mixes]) * occupied
    scales = [max(figure.max(), 1e-12) for figure in (uncertain, rare, unlike)]
    ranked: list[Suggestion] = []
    left = list(range(len(stretches)))
    while left:
        value = (uncertain / scales[0] + rare / scales[1] + unlike / scales[2]) / 3
        best = max(left, key=lambda place: (occupied[place], value[place]))
        figures = (float(figure[best]) for figure in (uncertain, rare, unlike, value))
        ranked.append(Suggestion(stretches[best], *figures))
        left.remove(best)
        if occupied[best]:
            unlike = np.minimum(unlike, np.abs(mixes - mixes[best]).mean(axis=1))
    return ranked


def _uncertainty(scores: FloatArray) -> float:
    if len(scores) == 0:
        return 0.0
    p = np.clip(scores.astype(np.float64), 1e-12, 1 - 1e-12)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return float(entropy.max(axis=1).mean())


def _rareness(scores: FloatArray, rarity: FloatArray) -> float:
    """The rarity (C,) of a person's actions, weighted by their scores."""
    if len(scores) == 0:
        return 0.0
    p = scores.astype(np.float64)
    return float((p @ rarity / np.maximum(p.sum(axis=1), 1e-12)).mean())


def _mix(scores: FloatArray) -> FloatArray:
    """(C,) the expected share of the persons who do each action."""
    width = scores.shape[1]
    return scores.astype(np.float64).mean(axis=0) if len(scores) else np.zeros(width)


def _distance(mix: FloatArray, others: FloatArray) -> float:
    """The mean difference of shares to the nearest other; 1, the largest possible, without any other."""
    return float(np.abs(others - mix).mean(axis=1).min()) if len(others) else 1.0

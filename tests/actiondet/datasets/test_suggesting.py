"""The ranking of unlabeled stretches, by tables."""

import numpy as np
import pandas as pd
import pytest

from actiondet.datasets.suggesting import Labeled, Stretch, rank_stretches
from evaluation.records import TruthRows

FEW_RUN = Labeled(np.array([90, 10]), np.array([[1.0, 0.0], [0.9, 0.1]]))  # walk, run


def stretch(name: str, *persons: tuple[float, float]) -> Stretch:
    return Stretch(name, 0, 1, np.array(persons, dtype=np.float32).reshape(-1, 2))


def order(*stretches: Stretch, labeled: Labeled = FEW_RUN) -> list[str]:
    return [each.stretch.video for each in rank_stretches(stretches, labeled)]


def test_uncertain_persons_come_before_certain_ones() -> None:
    assert order(stretch("sure", (0.99, 0.01)), stretch("doubt", (0.99, 0.5))) == ["doubt", "sure"]


def test_rare_actions_come_before_common_ones_that_are_as_certain() -> None:
    assert order(stretch("walk", (0.95, 0.05)), stretch("run", (0.05, 0.95))) == ["run", "walk"]


def test_a_second_stretch_of_the_same_kind_waits_for_another_kind() -> None:
    labeled = Labeled(np.array([5, 5]), np.zeros((1, 2)))
    alike = [stretch(name, (0.95, 0.05)) for name in ("a", "b")]
    assert order(*alike, stretch("other", (0.06, 0.94)), labeled=labeled)[:2] in (["a", "other"], ["other", "a"])


def test_stretches_without_persons_come_last() -> None:
    assert order(stretch("empty"), stretch("sure", (1.0, 0.0))) == ["sure", "empty"]
    assert rank_stretches([], FEW_RUN) == []


def test_the_figures_are_those_of_the_definitions() -> None:
    (only,) = rank_stretches([stretch("v", (0.5, 0.0), (0.25, 0.25))], FEW_RUN)
    entropy = -0.25 * np.log2(0.25) - 0.75 * np.log2(0.75)
    assert only.uncertain == pytest.approx((1 + entropy) / 2)
    assert only.rare == pytest.approx((0 + 0.5 * (1 - 10 / 90)) / 2)
    assert only.unlike == pytest.approx((abs(0.375 - 0.9) + abs(0.125 - 0.1)) / 2)
    assert only.value == 1


def test_a_set_is_counted_by_person_and_by_video() -> None:
    truth = TruthRows(
        video=pd.Categorical(["a", "a", "a", "b"]),
        moment=np.array([0, 0, 1, 0]),
        boxes=np.array([[0, 0, 1, 1]] * 4, dtype=float),
        labels=np.array([1, 3, 1, 3]),
        persons=np.array([0, 0, 0, 0]),
        empty_moments=(),
    )
    labeled = Labeled.of([truth], ids=(1, 3))
    assert labeled.counts.tolist() == [2, 2]
    assert labeled.mixes.tolist() == [[1.0, 0.5], [0.0, 1.0]]

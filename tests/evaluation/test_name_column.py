"""A column of names behaves like the names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation import NameColumn

NAMES = ["b", "a", "b", "c"]


def test_a_column_of_names_is_its_names() -> None:
    column = NameColumn.of_names(NAMES)
    assert list(column) == NAMES
    assert np.asarray(column).tolist() == NAMES
    assert (column.categories.tolist(), column.codes.tolist()) == (["b", "a", "c"], [0, 1, 0, 2])
    assert column[1] == "a"
    assert list(column[1:3]) == ["a", "b"]
    assert list(column[np.array([True, False, False, True])]) == ["b", "c"]
    assert (column == "b").tolist() == [True, False, True, False]
    assert (column != "b").tolist() == [False, True, False, True]
    assert (column == NameColumn.of_names(["b", "b", "a", "c"])).tolist() == [True, False, False, True]


def test_a_column_of_names_becomes_a_pandas_categorical_and_comes_of_one() -> None:
    categorical = pd.Categorical(NAMES, categories=["unused", "a", "b", "c"])
    column = NameColumn.of(categorical)
    assert list(column) == NAMES
    assert column.to_pandas().equals(categorical)
    assert pd.Series(column).tolist() == NAMES
    assert column.remove_unused_categories().to_pandas().equals(categorical.remove_unused_categories())

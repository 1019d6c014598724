"""Means of groups of actions are those of pandas, to the last bit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.action_groups import group_means


def test_means_of_groups_are_those_of_pandas() -> None:
    generator = np.random.default_rng(5)
    for _ in range(50):
        types = [(None, "b", "a", "c")[kind] for kind in generator.integers(0, 4, 60)]
        ap = np.where(generator.random(60) < 0.1, np.nan, generator.random(60))
        ap[[kind == "c" for kind in types]] = np.nan
        table = pd.DataFrame({"type": types, "ap": ap}).dropna(subset=["type"])
        expected = table.groupby("type", sort=False)["ap"].agg(mean_ap="mean", actions="count").reset_index()
        found = group_means(types, ap.tolist())
        assert found["type"] == expected["type"].tolist()
        assert found["actions"] == expected["actions"].tolist()
        np.testing.assert_array_equal(found["mean_ap"], expected["mean_ap"])

"""Means of groups of actions in a report are those of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.action_groups import group_means, rounded_group_means


def test_means_of_groups_are_those_of_pandas() -> None:
    generator = np.random.default_rng(5)
    for _ in range(50):
        types = [(None, "b", "a", "c")[kind] for kind in generator.integers(0, 4, 60)]
        ap = np.where(generator.random(60) < 0.1, np.nan, generator.random(60))
        ap[[kind == "c" for kind in types]] = np.nan
        expected = group_means(pd.DataFrame({"type": types, "ap": ap}))
        kinds, means, counts = zip(*rounded_group_means(types, ap.tolist()), strict=True)
        assert list(kinds) == expected["type"].tolist()
        assert list(counts) == expected["actions"].tolist()
        np.testing.assert_allclose(means, expected["mean_ap"], rtol=1e-14)

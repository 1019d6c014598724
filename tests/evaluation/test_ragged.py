"""Equal rows find the first of their kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.ragged import first_equals


def test_rows_that_repeat_are_those_that_pandas_finds() -> None:
    generator = np.random.default_rng(6)
    for count in (0, 1, 2, 500):
        whole, parts = generator.integers(-3, 3, count), generator.choice([-0.0, 0.0, 0.1, 0.25, 1e-300], count)
        table = pd.DataFrame({"whole": whole, "parts": parts})
        first = first_equals(whole, parts)
        assert ((first != np.arange(count)) == table.duplicated().to_numpy()).all()
        assert (np.isin(np.arange(count), first) | (first < np.arange(count))).all()
        assert (whole[first] == whole).all()
        assert (parts[first] == parts).all()

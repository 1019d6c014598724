"""Mean AP per type of action: person movement, object manipulation, person interaction."""

from __future__ import annotations

import numpy as np
import pandas as pd

# AVA's list of scored actions has no types; its full list has, and they are ranges of ids.
_AVA_TYPES = ((14, "PERSON_MOVEMENT"), (63, "OBJECT_MANIPULATION"), (80, "PERSON_INTERACTION"))


def group_means(per_class: pd.DataFrame, *, ava_ids: bool) -> pd.DataFrame:
    """Return one row per type: type, mean_ap (of the actions that have an AP), actions (how many these are).

    Args:
        per_class: columns id, name, type, ap.
        ava_ids: whether to take AVA's ranges of ids for types even if the list does not look like AVA's.
    """
    types = per_class["type"]
    if types.isna().all() and (ava_ids or _is_ava(per_class)):
        types = per_class["id"].map(_ava_type)
    scored = pd.DataFrame({"type": types, "ap": per_class["ap"]}).dropna(subset=["type"])
    means: pd.DataFrame = scored.groupby("type", sort=False)["ap"].agg(mean_ap="mean", actions="count").reset_index()
    return means


def _is_ava(per_class: pd.DataFrame) -> bool:
    named = dict(zip(per_class["id"], per_class["name"], strict=True))
    return named.get(12) == "stand" and named.get(80, "").startswith("watch") and max(named) == 80


def _ava_type(label: int) -> str | None:
    position = int(np.searchsorted([last for last, _ in _AVA_TYPES], label))
    return _AVA_TYPES[position][1] if position < len(_AVA_TYPES) else None

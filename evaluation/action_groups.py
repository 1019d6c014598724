"""Types of actions (person movement, object manipulation, person interaction) and the mean AP of each."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.formats.action_list import ActionList

if TYPE_CHECKING:
    import pandas as pd

# AVA's list of scored actions has no types; its full list has, and they are ranges of ids: 1-14, 15-63, 64-80.
_LAST_IDS = (14, 63, 80)
_AVA_TYPES = ("PERSON_MOVEMENT", "OBJECT_MANIPULATION", "PERSON_INTERACTION")


def action_types(actions: ActionList, *, by_id: bool) -> tuple[str | None, ...]:
    """Return the type of every action: what the list says, or what AVA says of its own list.

    Args:
        actions: the listed actions.
        by_id: whether to take AVA's ranges of ids for types even if the list is not AVA's.
    """
    typed = any(kind is not None for kind in actions.types)
    if typed or not (by_id or _is_ava(actions)):
        return actions.types
    return tuple(_AVA_TYPES[bisect_left(_LAST_IDS, label)] if label <= _LAST_IDS[-1] else None for label in actions.ids)


def group_means(per_class: pd.DataFrame) -> pd.DataFrame:
    """Return one row per type: type, mean_ap (of the actions that have an AP), actions (how many these are).

    Args:
        per_class: with columns type and ap; actions without a type belong to no group.
    """
    typed = per_class.dropna(subset=["type"])
    means: pd.DataFrame = typed.groupby("type", sort=False)["ap"].agg(mean_ap="mean", actions="count").reset_index()
    return means


def rounded_group_means(types: Sequence[str | None], ap: Sequence[float]) -> list[tuple[str, float, int]]:
    """Return the rows of `group_means`, as a report shows them, without pandas: the last digits may differ.

    Args:
        types: (L) of the actions; those without a type belong to no group.
        ap: (L) of the actions; NaN for none.
    """
    groups: dict[str, list[float]] = {}
    for kind, value in zip(types, ap, strict=True):
        if kind is not None:
            groups.setdefault(kind, []).extend([] if math.isnan(value) else [value])
    return [(kind, math.fsum(v) / len(v) if v else math.nan, len(v)) for kind, v in groups.items()]


def _is_ava(actions: ActionList) -> bool:
    named = dict(zip(actions.ids, actions.names, strict=True))
    return actions.largest_id == 80 and named.get(12) == "stand" and named[80].startswith("watch")

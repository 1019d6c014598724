"""Types of actions (person movement, object manipulation, person interaction) and the mean AP of each."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from evaluation.formats.action_list import ActionList

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


def group_means(types: Sequence[str | None], ap: Sequence[float]) -> dict[str, list[Any]]:
    """Return the columns type, mean_ap (of the actions that have an AP) and actions (how many these are).

    Args:
        types: (L) of the actions; those without a type belong to no group.
        ap: (L) of the actions; NaN for none.
    """
    groups: dict[str, list[float]] = {}
    for kind, value in zip(types, ap, strict=True):
        if kind is not None:
            groups.setdefault(kind, []).extend([] if math.isnan(value) else [value])
    means = [_compensated_sum(group) / len(group) if group else math.nan for group in groups.values()]
    return {"type": list(groups), "mean_ap": means, "actions": [len(group) for group in groups.values()]}


def _compensated_sum(values: Sequence[float]) -> float:
    """Kahan's sum, in which pandas takes the mean of a group: the last digit of published means depends on it."""
    total = lost = 0.0
    for value in values:
        change = value - lost
        grown = total + change
        lost = grown - total - change
        total = grown
    return total


def _is_ava(actions: ActionList) -> bool:
    named = dict(zip(actions.ids, actions.names, strict=True))
    return actions.largest_id == 80 and named.get(12) == "stand" and named[80].startswith("watch")

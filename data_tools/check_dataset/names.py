"""Names of actions: each of them one action's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from data_tools.check_dataset.findings import Report
from evaluation.errors import some


def check_names(where: str, names: Mapping[int, str], report: Report) -> None:
    """Find ids that share a name, or whose names differ in case, spaces, hyphens and underscores alone.

    Args:
        where: the file that names them.
        names: by id.
        report: takes what is found.
    """
    ids: dict[str, list[int]] = {}
    for label, name in names.items():
        ids.setdefault(re.sub(r"[\s_-]+", " ", name).strip().casefold(), []).append(label)
    shared = [labels for labels in ids.values() if len(labels) > 1]
    if shared:
        report.warn(
            "action-name-twice",
            where,
            some([f"ids {' and '.join(map(str, labels))} are both called '{names[labels[0]]}'" for labels in shared]),
            "give every action one id and a name of its own: an action under two ids is learned half under each",
        )


def words_of(name: str) -> str:
    """The words of a name such as walk_left or WalkLeft, in lower case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("_", " ")).lower()

"""Which of a data set's actions a network learns: some of them, and some of them as one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from actiondet.datasets.tables import TruePersons
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList
from evaluation.ragged import offsets
from evaluation.records import FrameKey, IntArray, TruthRows

NameOrId = str | int


@dataclass(frozen=True, eq=False)
class ChosenActions:
    """The actions of a network, as a choice from those of its data set.

    Attributes:
        listed: every action of the data set.
        actions: those that are chosen, in the order of `listed`; a merged one has the smallest id of its members.
        members: of each of `actions`, the ids in `listed` that it stands for.
    """

    listed: ActionList
    actions: ActionList
    members: tuple[tuple[int, ...], ...]

    @property
    def is_whole(self) -> bool:
        """Whether every action of the data set is chosen, each by itself."""
        return self.actions is self.listed

    def labels(self, labels: IntArray) -> IntArray:
        """(N,) labels of the data set as those of the chosen actions; -1 for an action that is not chosen."""
        chosen = np.full(self.listed.largest_id + 1, -1, dtype=np.int64)
        for label, members in zip(self.actions.ids, self.members, strict=True):
            chosen[list(members)] = label
        result: IntArray = chosen[labels]
        return result

    def of(self, scored: ActionList) -> ActionList:
        """The chosen actions of which at least one member is among `scored`."""
        ids = set(scored.ids)
        return self.actions.subset(
            label for label, members in zip(self.actions.ids, self.members, strict=True) if ids & set(members)
        )

    def persons(self, people: TruePersons) -> TruePersons:
        """The same persons with the labels of the chosen actions; who does nothing else has no label."""
        labels = self.labels(people.labels)
        owners = np.repeat(np.arange(len(people.boxes)), np.diff(people.first_label))
        pairs = np.unique(np.stack([owners, labels], axis=1)[labels >= 0], axis=0)
        counts = np.bincount(pairs[:, 0], minlength=len(people.boxes))
        return replace(people, first_label=offsets(counts), labels=pairs[:, 1])

    def truth(self, truth: TruthRows) -> TruthRows:
        """The rows of the chosen actions; a moment that has no other row is one at which nobody does any of them."""
        labels = self.labels(truth.labels)
        chosen = replace(truth, labels=labels)
        table = pd.DataFrame({"video": truth.video.codes, "moment": truth.moment, "label": labels})
        table[["x1", "y1", "x2", "y2"]] = truth.boxes
        table["person"] = truth.persons
        rows = chosen[(labels >= 0) & ~table.duplicated().to_numpy()]
        left = {FrameKey(str(video), moment) for video, moment in zip(rows.video, rows.moment.tolist(), strict=True)}
        every = dict.fromkeys(
            FrameKey(str(video), moment) for video, moment in zip(truth.video, truth.moment.tolist(), strict=True)
        )
        empty = tuple(key for key in every if key not in left)
        return replace(rows, empty_moments=(*truth.empty_moments, *empty))


def choose_actions(
    listed: ActionList,
    classes: Sequence[NameOrId] | None,
    merge_classes: Mapping[str, Sequence[NameOrId]] | None,
    *,
    source: str,
) -> ChosenActions:
    """Choose from a data set's actions.

    Args:
        listed: every action of the data set.
        classes: names or ids of the chosen ones, names of merged ones among them; None takes all.
        merge_classes: the name of each merged action, and the names or ids of its members; None merges none.
        source: the file that lists the actions, for what is said about faults.

    Raises:
        InputError: an action that the list lacks, that is chosen twice or also merged, or a merged one without use.
    """
    if classes is None and not merge_classes:
        return ChosenActions(listed, listed, tuple((label,) for label in listed.ids))
    groups: dict[str, tuple[int, ...]] = {}
    merged: dict[int, str] = {}
    for name, members in (merge_classes or {}).items():
        key = f"data.merge_classes.{name}"
        groups[name] = tuple(sorted(find_action(listed, member, key=key, source=source) for member in members))
        if len(set(groups[name])) < 2:
            raise InputError(f"{key}: has the members {list(members)}; expected two actions or more, each once")
        if twice := [label for label in groups[name] if label in merged]:
            other = merged[twice[0]]
            raise InputError(
                f"{key}: '{listed.name_of(twice[0])}' is also part of '{other}'; expected it in one of them"
            )
        if name in listed.names and listed.ids[listed.names.index(name)] not in groups[name]:
            raise InputError(
                f"{key}: {source} has an action '{name}' already, which is not a member; take another name"
            )
        merged |= dict.fromkeys(groups[name], name)
    units: dict[tuple[int, ...], str] = {(label,): listed.name_of(label) for label in listed.ids if label not in merged}
    units |= {members: name for name, members in groups.items()}
    if classes is not None:
        units = {members: units[members] for members in _chosen(listed, classes, groups, merged, source)}
    ordered = sorted(units, key=lambda members: listed.ids.index(members[0]))
    kinds = dict(zip(listed.ids, listed.types, strict=True))
    actions = ActionList(
        ids=tuple(members[0] for members in ordered),
        names=tuple(units[members] for members in ordered),
        types=tuple(kinds[members[0]] for members in ordered),
        places=tuple(range(len(ordered))),
    )
    return ChosenActions(listed, actions, tuple(ordered))


def _chosen(
    listed: ActionList,
    classes: Sequence[NameOrId],
    groups: Mapping[str, tuple[int, ...]],
    merged: Mapping[int, str],
    source: str,
) -> list[tuple[int, ...]]:
    """The members of each chosen action."""
    chosen: list[tuple[int, ...]] = []
    for each in classes:
        if isinstance(each, str) and each in groups:
            members = groups[each]
        else:
            label = find_action(listed, each, key="data.classes", source=source, more=tuple(groups))
            if label in merged:
                raise InputError(
                    f"data.classes: '{each}' is part of '{merged[label]}' (data.merge_classes); "
                    f"choose '{merged[label]}', or leave '{each}' out of it"
                )
            members = (label,)
        if members in chosen:
            raise InputError(f"data.classes: '{each}' is chosen twice; expected each action once")
        chosen.append(members)
    if unused := [name for name, members in groups.items() if members not in chosen]:
        raise InputError(f"data.classes: lacks {some(unused)} of data.merge_classes; add it there, or do not merge it")
    return chosen


def find_action(listed: ActionList, action: NameOrId, *, key: str, source: str, more: Sequence[str] = ()) -> int:
    """The id of an action by its name or id.

    Args:
        listed: the actions.
        action: its name or id.
        key: the setting that names it.
        source: the file that lists the actions.
        more: other names that could be meant there.

    Raises:
        InputError: no action of the list is called so, or several are.
    """
    if isinstance(action, int):
        if action not in listed.ids:
            raise InputError(f"{key}: {source} has no action of id {action}; its ids are {some(listed.ids, 8)}")
        return action
    found = [label for label, name in zip(listed.ids, listed.names, strict=True) if name == action]
    if len(found) > 1:
        raise InputError(f"{key}: {source} has {len(found)} actions called '{action}'; give the id of one of them")
    if not found:
        known = [*listed.names, *more]
        near = difflib.get_close_matches(action, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its names are {some(known, 8)}"
        raise InputError(f"{key}: {source} has no action '{action}'; {hint}")
    return found[0]

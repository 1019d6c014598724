"""The list of scored actions: .pbtxt files, layout `item { name id }` or `label { name label_id label_type }`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError
from evaluation.files import atomic_path, read_text

# An opening or closing brace, or a field with its value; comments and unknown fields match nothing. A value without
# quotes goes on to the next field, brace or comment, or to the end of the line: `name: walk left`.
_TOKEN = re.compile(
    r"""(?:item|label)\s*\{|\}|\#.*"""
    r"""|(\w+)\s*:\s*("[^"]*"|'[^']*'|[^\s{},;]+(?:[\s,;]+(?!\w+\s*:|\#)[^\s{},;]+)*)"""
)

LARGEST_ID = 1_000_000
"""Ids index the columns of tables; a larger one is a slip, and its table would fill the memory."""


@dataclass(frozen=True)
class ActionList:
    """Which actions count, in the order of the file.

    Attributes:
        ids: labels as files write them; they may have holes (AVA scores 60 of 1..80).
        names: what the actions are called.
        types: the group of each action, such as "PERSON_MOVEMENT"; None where the file gives none.
        places: the column of each action in a network's scores; None where column c is id c + `first_id`.

    Example:
        >>> from evaluation import ActionList
        >>> actions = ActionList((1, 12), ("sit", "stand"), (None, None))
        >>> len(actions), actions.largest_id, actions.name_of(12)
        (2, 12, 'stand')
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[str | None, ...]
    places: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.places is not None and len(self.places) != len(self.ids):
            raise ValueError(f"{len(self.ids)} ids and {len(self.places)} places")
        if not len(self.ids) == len(self.names) == len(self.types):
            raise ValueError(f"{len(self.ids)} ids, {len(self.names)} names and {len(self.types)} types")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("ids of an action list must be different")

    @classmethod
    def numbered(cls, names: Iterable[str], *, first: int = 0) -> ActionList:
        """Actions with ids `first`, `first` + 1, ... and no types."""
        names = tuple(names)
        return cls(tuple(range(first, first + len(names))), names, (None,) * len(names))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {label: position for position, label in enumerate(self.ids)}

    def name_of(self, label: int) -> str:
        """Return the name of action `label`; a KeyError if it is not in the list."""
        return self.names[self._positions[label]]

    @property
    def first_id(self) -> int:
        """The id of a network's first column: 0 on sets that count from 0 (tubes, recognition), else 1."""
        return 0 if 0 in self.ids else 1

    @property
    def largest_id(self) -> int:
        """The largest id: how many columns a network on the whole of this data set has."""
        return max(self.ids)

    @property
    def columns(self) -> npt.NDArray[np.int64]:
        """(A,) the column of each action in a network's scores."""
        if self.places is not None:
            return np.asarray(self.places, dtype=np.int64)
        return np.asarray(self.ids, dtype=np.int64) - self.first_id

    @property
    def width(self) -> int:
        """How many columns a network of these actions has."""
        return int(self.columns.max()) + 1

    def subset(self, ids: Iterable[int]) -> ActionList:
        """The actions of these ids, in the order of this list, which keep their columns in a network's scores."""
        wanted = set(ids)
        rows = [row for row, label in enumerate(self.ids) if label in wanted]
        columns = self.columns
        return ActionList(
            tuple(self.ids[row] for row in rows),
            tuple(self.names[row] for row in rows),
            tuple(self.types[row] for row in rows),
            tuple(int(columns[row]) for row in rows),
        )


def read_action_list(path: str | os.PathLike[str]) -> ActionList:
    """Read an action list (.pbtxt), either layout.

    Raises:
        InputError: an entry without name or id or end, an id that is not a positive integer up to `LARGEST_ID`, a
            duplicate id, or an empty list. OSError: the file cannot be read.

    Example:
        >>> from evaluation import read_action_list
        >>> read_action_list("actions.pbtxt").names
        ('sit', 'run')
    """
    ids: list[int] = []
    names: list[str] = []
    types: list[str | None] = []
    fields: dict[str, str] | None = None
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}, line {number}"
        for token in _TOKEN.finditer(line):
            text = token.group(0)
            if text == "}":
                label, name, kind = _entry(fields, where)
                if label in ids:
                    raise InputError(f"{where}: duplicate id {label}; ids must be unique")
                ids.append(label)
                names.append(name)
                types.append(kind)
                fields = None
            elif text.endswith("{"):
                if fields is not None:
                    raise InputError(f'{where}: the action before is not closed; expected "}}" before the next one')
                fields = {}
            elif fields is not None and token.group(1):
                fields[token.group(1)] = token.group(2).strip("\"'")
    if fields is not None:
        raise InputError(f'{path}: the last action is not closed; expected "}}" at its end (is the file cut off?)')
    if not ids:
        raise InputError(
            f'{path}: no actions found; expected entries like item {{ name: "stand" id: 12 }} (an AVA .pbtxt file)'
        )
    return ActionList(tuple(ids), tuple(names), tuple(types))


def write_action_list(path: str | os.PathLike[str], actions: ActionList) -> None:
    """Write an action list; the `label` layout if it has types, otherwise the `item` layout.

    Example:
        >>> from evaluation import ActionList, read_action_list, write_action_list
        >>> write_action_list("sports.pbtxt", ActionList.numbered(["run", "jump"], first=1))
        >>> read_action_list("sports.pbtxt").names
        ('run', 'jump')
    """
    typed = any(kind is not None for kind in actions.types)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for label, name, kind in zip(actions.ids, actions.names, actions.types, strict=True):
            opening, id_field = ("label", "label_id") if typed else ("item", "id")
            file.write(f'{opening} {{\n  name: "{name}"\n  {id_field}: {label}\n')
            file.write(f"  label_type: {kind}\n}}\n" if kind is not None else "}\n")


def _lines(path: str | os.PathLike[str]) -> list[str]:
    return read_text(path).splitlines()


def _entry(fields: dict[str, str] | None, where: str) -> tuple[int, str, str | None]:
    """Return id, name and type of one closed block."""
    if fields is None:
        raise InputError(f'{where}: "}}" closes nothing; expected item {{ ... }} or label {{ ... }} around each action')
    text = fields.get("id", fields.get("label_id"))
    if text is None or "name" not in fields:
        missing = "id (or label_id)" if text is None else "name"
        raise InputError(f"{where}: the action that ends here has no {missing}; expected a name and an id each")
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{where}: id {text} is not a positive integer")
    if len(text) > 9 or int(text) > LARGEST_ID:
        raise InputError(f"{where}: id {text} is too large; expected at most {LARGEST_ID:,}")
    return int(text), fields["name"], fields.get("label_type")

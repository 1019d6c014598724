"""Which class of a detector is the subject: by its name or by its id."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from evaluation.errors import InputError


def find_label(label: int | str, names: Mapping[int, str], *, of: str) -> int:
    """The id of a class.

    Args:
        label: the id itself, or the name in any capitals.
        names: of all classes, by id; several ids may share a name that means nothing, such as "N/A".
        of: the detector, for the message.

    Raises:
        InputError: no such class, or a name that several classes share.
    """
    if isinstance(label, int):
        if label in names:
            return label
        raise InputError(f"persons.label {label}: {of} has no such class, expected one of {_shown(names)}")
    ids = [number for number, name in names.items() if name.casefold() == label.strip().casefold()]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise InputError(
            f"persons.label '{label}': several classes of {of} have this name, expected the id of one: "
            f"{', '.join(map(str, ids))}"
        )
    near = difflib.get_close_matches(label.casefold(), [name.casefold() for name in names.values()], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise InputError(f"persons.label '{label}': {of} has no such class, expected one of {_shown(names)}{hint}")


def _shown(names: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in sorted(names.items()))

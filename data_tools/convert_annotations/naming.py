"""From labels and attributes to the names of actions, and from names to ids."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_tools.convert_annotations.annotated import AnnotatedVideo, AttributeValue, Remark
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList

# What annotators choose to say "none of these"; __undefined__ is CVAT's word.
_NOTHING = {"", "none", "-", "no", "nothing", "undefined", "__undefined__", "unknown"}


@dataclass(frozen=True)
class Naming:
    """How remarks name actions.

    Attributes:
        person_label: boxes of this label (in any case) do what their attributes say; every other label is an action.
        attributes: only these attributes name actions; None: all do.
        ignored: boxes of these labels are left out.
        actions: the actions that may occur; None: all that are found.
    """

    person_label: str
    attributes: tuple[str, ...] | None
    ignored: frozenset[str]
    actions: ActionList | None


def name_actions(videos: Sequence[AnnotatedVideo], naming: Naming) -> dict[Remark, frozenset[str] | None]:
    """Say which actions each remark stands for; None leaves its boxes out.

    A checkbox names an action by its own name, a choice by the value that is chosen; numbers name nothing.

    Raises:
        InputError: a label that is neither the person's nor an action, no attribute that could name an action, or
            an action that is not in the list.
    """
    remarks = {remark: video.source for video in videos for remark in video.remarks}
    kept = {remark: source for remark, source in remarks.items() if remark.label not in naming.ignored}
    if not kept:
        labels = ", ".join(sorted({remark.label for remark in remarks})) or "none"
        raise InputError(f"{videos[0].source}: no box is left to convert (labels: {labels}); expected boxes of persons")
    persons = [remark for remark in kept if _is_person(remark, naming)]
    _check_attributes(persons, kept, naming)
    names: dict[Remark, frozenset[str] | None] = dict.fromkeys(remarks)
    for remark, source in kept.items():
        if _is_person(remark, naming):
            names[remark] = frozenset(_named(remark.attributes, naming.attributes))
        elif persons and (naming.actions is None or remark.label not in naming.actions.names):
            raise InputError(
                f"{source}: label '{remark.label}' is unknown beside '{persons[0].label}': pass --ignore-labels "
                f"'{remark.label}' to leave its boxes out, or --person-label if persons are called otherwise"
            )
        else:
            names[remark] = frozenset([remark.label])
    if naming.actions is not None:
        _check_known(names, kept, naming.actions)
    return names


def action_list(names: Iterable[frozenset[str] | None], source: str) -> ActionList:
    """Number the actions that occur: ids from 1, in the alphabet's order.

    Raises:
        InputError: no action occurs at all.
    """
    found = sorted({name for some in names if some for name in some})
    if not found:
        raise InputError(
            f"{source}: nobody does anything: no checkbox is ticked and no value is chosen in any frame; expected at "
            "least one action"
        )
    quoted = [name for name in found if '"' in name or "\n" in name]
    if quoted:
        raise InputError(f"{source}: the action {quoted[0]!r} holds a quote or a line break; give it a plain name")
    return ActionList.numbered(found, first=1)


def _is_person(remark: Remark, naming: Naming) -> bool:
    return remark.label.lower() == naming.person_label.lower()


def _named(attributes: Iterable[tuple[str, AttributeValue]], wanted: tuple[str, ...] | None) -> list[str]:
    named: list[str] = []
    for name, value in attributes:
        if wanted is not None and name not in wanted:
            continue
        if isinstance(value, bool):
            named += [name] if value else []
        elif isinstance(value, str):
            named.append(value.strip())
        elif isinstance(value, tuple):
            named += [text.strip() for text in value]
    return [text for text in named if text.lower() not in _NOTHING]


def _check_attributes(persons: Sequence[Remark], kept: dict[Remark, str], naming: Naming) -> None:
    """There must be attributes that can say what persons do."""
    if not persons:
        return
    source = kept[persons[0]]
    usable = {name for remark in persons for name, value in remark.attributes if not isinstance(value, float)}
    if not usable and len({remark.label for remark in kept}) == 1:
        raise InputError(
            f"{source}: '{persons[0].label}' has no action attribute; expected a checkbox for each action, or one "
            "choice of actions, on the person's label, or boxes whose label is the action"
        )
    lacking = [name for name in naming.attributes or () if name not in usable]
    if lacking:
        raise InputError(
            f"--attributes: no '{persons[0].label}' of {source} has an attribute '{lacking[0]}'; it has "
            f"{', '.join(sorted(usable)) or 'none'}"
        )


def _check_known(names: dict[Remark, frozenset[str] | None], sources: dict[Remark, str], actions: ActionList) -> None:
    for remark, some in names.items():
        for name in sorted(some or ()):
            if name not in actions.names:
                near = difflib.get_close_matches(name, actions.names, 1)
                hint = f"did you mean '{near[0]}'?" if near else "add it to the list, or correct the annotation"
                raise InputError(f"{sources[remark]}: action '{name}' is not in the list of --actions; {hint}")

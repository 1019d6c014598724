"""Open families: a setting whose `name:` chooses among the classes that are loaded.

A family is a class derived from `Choice`; its members are the classes derived from the family, each with a
default `name`. Defining a class is all it takes to join, so a user's own backbone is one class in a module
that `--import` loads.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def arguments(self) -> dict[str, Any]:
        """The settings of a network, layer or detector, which takes them as arguments of the same names."""
        return {name: value for name, value in self if name != "name"}


class Choice(Settings):
    """Base of every member of an open family; `name` distinguishes them."""

    name: str


def members(family: type[Choice]) -> dict[str, type[Choice]]:
    """The classes of `family` that are loaded, by name."""
    return {str(member.model_fields["name"].default): member for member in _descendants(family)}


def _descendants(family: type[Choice]) -> Iterator[type[Choice]]:
    for child in family.__subclasses__():
        if isinstance(child.model_fields["name"].default, str):
            yield child
        yield from _descendants(child)


def _choose(family: type[Choice], value: Any) -> Choice:
    """Validate `value` as the member of `family` that its `name` names."""
    if isinstance(value, family):
        return value
    known = members(family)
    choices = ", ".join(sorted(known))
    if not isinstance(value, dict) or "name" not in value:
        raise PydanticCustomError("choice", "expected a mapping with a 'name', one of: {choices}", {"choices": choices})
    name = value["name"]
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise PydanticCustomError(
            "choice",
            "no '{name}' is known here, expected one of: {choices}{hint}",
            {"name": str(name), "choices": choices, "hint": hint},
        )
    return known[name].model_validate(value)


@dataclass(frozen=True)
class _OneOf:
    """What `one_of` puts into an annotation: how pydantic checks the field and describes it."""

    family: type[Choice]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # A ValidationError of the member passes through as nested errors of this field.
        return core_schema.no_info_plain_validator_function(partial(_choose, self.family))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(member.__pydantic_core_schema__) for member in members(self.family).values()]}


def one_of(family: type[Choice]) -> _OneOf:
    """Make a field hold a member of `family`: `Annotated[Family, one_of(Family), SerializeAsAny()]`."""
    return _OneOf(family)

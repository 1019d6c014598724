"""YAML that holds plain values only, and the line at which each key stands.

PyYAML's traps are closed: `1e-5` is a number; `010`, `1:30`, `yes` and `off` are what they look like (YAML 1.2);
a key may stand only once in a mapping; no tag can make anything but plain values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from evaluation.errors import InputError


class ConfigError(InputError):
    """A configuration that cannot be used; the message lists every fault with its file and key."""


@dataclass(frozen=True)
class Value:
    """A value and the place it was written at."""

    value: Any  # a scalar, a list of plain values, or dict[str, Value]
    place: str


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2's core schema."""

    # Not PyYAML's table, which is shared between classes.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as in the base class


_NUMBER = list("-+0123456789.")
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", _NUMBER),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", _NUMBER),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _first)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> int:
    """A whole number; PyYAML's own constructor would read 010 as 8."""
    return int(str(loader.construct_scalar(node)))


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def parse_mapping(text: str, source: str) -> Value:
    """Parse a mapping and keep the line of every key.

    Args:
        text: YAML.
        source: what to call it in messages: a file name.

    Raises:
        ConfigError: not YAML, not a mapping, a duplicate key, a tag.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = Value({}, source) if node is None else _convert(node, source, "", ())
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {getattr(fault, 'problem', None) or fault}") from None
    if not isinstance(tree.value, dict):
        raise ConfigError(f"{source}: expected a mapping of settings, found {type(tree.value).__name__}")
    return tree


def parse_value(text: str, source: str, key: str) -> Value:
    """Parse the value of `key`: a scalar, a list or a mapping.

    Raises:
        ConfigError: as in `parse_mapping`.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = Value(None, source) if node is None else _convert(node, source, key, ())
    except yaml.YAMLError:
        raise ConfigError(f"{source}: {key}: '{text}' is not a YAML value; quote it") from None
    return _without_lines(tree, source)


def _without_lines(tree: Value, source: str) -> Value:
    """The same tree, all of it at `source`: an argument has no lines."""
    if isinstance(tree.value, dict):
        return Value({name: _without_lines(child, source) for name, child in tree.value.items()}, source)
    return Value(tree.value, source)


def _convert(node: yaml.Node, source: str, key: str, above: tuple[yaml.Node, ...]) -> Value:
    """A YAML node as `Value`; only mappings, lists and plain scalars are accepted."""
    place = f"{source}:{node.start_mark.line + 1}"
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        raise ConfigError(
            f"{place}: {key or 'file'}: the tag {node.tag} is refused; a configuration holds plain values"
        )
    if node in above:
        raise ConfigError(f"{place}: {key}: holds itself, by an alias")
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        items = [_convert(item, source, join_keys(key, str(index)), above) for index, item in enumerate(node.value)]
        return Value([plain(item) for item in items], place)
    if not isinstance(node, yaml.MappingNode):
        return Value(_Loader("").construct_object(node), place)
    children: dict[str, Value] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        if name in children:
            raise ConfigError(
                f"{source}:{key_node.start_mark.line + 1}: {join_keys(key, name)}: duplicate key, "
                f"first defined at {children[name].place}; keep one"
            )
        children[name] = _convert(value_node, source, join_keys(key, name), above)
    return Value(children, place)


def plain(tree: Value) -> Any:
    """The values alone."""
    if isinstance(tree.value, dict):
        return {key: plain(child) for key, child in tree.value.items()}
    return tree.value


def join_keys(key: str, name: str) -> str:
    """`name` inside of `key`."""
    return f"{key}.{name}" if key else name

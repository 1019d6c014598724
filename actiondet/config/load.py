"""From YAML files and `key=value` arguments to one validated configuration.

Merging: mappings merge, lists and scalars replace, and a different `name:` in an open family replaces the
whole mapping. Later files of a `base:` list win over earlier ones, a file wins over its bases, and the
command line wins over all.
"""

from __future__ import annotations

import difflib
import importlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from actiondet.config.choice import Choice, Settings, members
from actiondet.config.schema import DetectionConfig
from evaluation.errors import InputError

COMMAND_LINE = "command line"
Config = TypeVar("Config", bound=Settings)


class ConfigError(InputError):
    """A configuration that cannot be used; the message lists every fault with its file and key."""


@dataclass(frozen=True)
class _Value:
    """A value and the place it was written at."""

    value: Any  # a scalar, a list of plain values, or dict[str, _Value]
    place: str


class _Loader(yaml.SafeLoader):
    """YAML without PyYAML's traps: `1e-5` is a number, and a key may stand only once in a mapping."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def load_config(path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()) -> DetectionConfig:
    """Read a detection configuration.

    Args:
        path: a YAML file.
        overrides: `key.sub=value` arguments; the value is read as YAML.
        modules: modules to import first, whose classes then join the open families (`--import`).

    Raises:
        ConfigError: all faults at once, each with its file, its full key and a hint.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as fault:
            raise ConfigError(f"--import {module}: {fault}; expected a module that Python finds on its path") from fault
    tree = _read(Path(path), ())
    for override in overrides:
        tree = _merge(tree, _parse_override(override))
    return validate_config(DetectionConfig, tree)


def parse_config(text: str, *, source: str) -> DetectionConfig:
    """Read a resolved configuration from the YAML `text` that a checkpoint or run folder holds."""
    return validate_config(DetectionConfig, _compose(text, source))


def dump_config(config: Settings) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False, width=110)


def json_schema() -> str:
    """JSON schema of a configuration file, for editors."""
    return json.dumps(DetectionConfig.model_json_schema(), indent=2)


def validate_config(kind: type[Config], tree: _Value) -> Config:
    """Check `tree` against `kind` and raise every fault at once."""
    try:
        return kind.model_validate(_plain(tree))
    except ValidationError as error:
        faults = [_describe(kind, tree, fault) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from None


def _read(path: Path, above: tuple[Path, ...]) -> _Value:
    """Read `path` and, under it, the files that its `base:` names."""
    path = path.resolve()
    shown = _shown(path)
    if path in above:
        raise ConfigError(f"{shown}: is its own base, by way of {', '.join(_shown(each) for each in above)}")
    if not path.is_file():
        by = f", named as base in {_shown(above[-1])}" if above else ""
        raise ConfigError(f"{shown}: no such configuration file{by}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: not a text file; expected YAML in UTF-8") from None
    tree = _compose(text, shown)
    keys = dict(tree.value)
    base = keys.pop("base", None)
    merged = _Value({}, shown)
    for parent in _base_names(base):
        merged = _merge(merged, _read(path.parent / parent, (*above, path)))
    return _merge(merged, _Value(keys, shown))


def _shown(path: Path) -> str:
    """`path` as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _base_names(base: _Value | None) -> list[str]:
    if base is None:
        return []
    names = base.value if isinstance(base.value, list) else [base.value]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{base.place}: base: expected a path or a list of paths, relative to this file")
    return names


def _compose(text: str, source: str) -> _Value:
    """Parse YAML and keep the line of every key."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = _Value({}, source) if node is None else _convert(node, source, "")
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {getattr(fault, 'problem', None) or fault}") from None
    if not isinstance(tree.value, dict):
        raise ConfigError(f"{source}: expected a mapping of settings, found {type(tree.value).__name__}")
    return tree


def _convert(node: yaml.Node, source: str, key: str) -> _Value:
    """A YAML node as `_Value`; only mappings, lists and plain scalars are accepted."""
    place = f"{source}:{node.start_mark.line + 1}"
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        raise ConfigError(
            f"{place}: {key or 'file'}: the tag {node.tag} is refused; a configuration holds plain values"
        )
    if not isinstance(node, yaml.MappingNode):
        loader = _Loader("")
        return _Value(loader.construct_object(node, deep=True), place)
    children: dict[str, _Value] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        if name in children:
            raise ConfigError(
                f"{source}:{key_node.start_mark.line + 1}: {_join(key, name)}: stands twice, "
                f"first at {children[name].place}; keep one"
            )
        children[name] = _convert(value_node, source, _join(key, name))
    return _Value(children, place)


def _parse_override(argument: str) -> _Value:
    key, equals, text = argument.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise ConfigError(f"{COMMAND_LINE}: '{argument}' is no setting; expected key.sub=value")
    try:
        value = _Value(yaml.load(text, Loader=_Loader), COMMAND_LINE)
        if isinstance(value.value, dict):
            value = _compose(text, COMMAND_LINE)
    except yaml.YAMLError:
        raise ConfigError(f"{COMMAND_LINE}: {key}: '{text}' is not a YAML value; quote it") from None
    for part in reversed(key.split(".")):
        value = _Value({part: value}, COMMAND_LINE)
    return value


def _merge(below: _Value, above: _Value) -> _Value:
    """`above` laid over `below`."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    if "name" in above.value and "name" in below.value and above.value["name"].value != below.value["name"].value:
        return above
    merged = dict(below.value)
    for key, value in above.value.items():
        merged[key] = _merge(merged[key], value) if key in merged else value
    return _Value(merged, above.place)


def _plain(tree: _Value) -> Any:
    if isinstance(tree.value, dict):
        return {key: _plain(child) for key, child in tree.value.items()}
    return tree.value


def _describe(kind: type[Settings], tree: _Value, fault: ErrorDetails) -> str:
    """One fault in one line: file, key, what is wrong, hint."""
    parts = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "unknown setting" + _near_miss(parts[-1], _siblings(kind, tree, parts))
    elif fault["type"] == "missing":
        message = "is missing; it has no default"
    elif not isinstance(fault["input"], (dict, list, Settings)):
        message += f", found {fault['input']!r}"
    return f"{_place(tree, parts)}: {'.'.join(parts) or 'file'}: {message}"


def _place(tree: _Value, parts: Iterable[str]) -> str:
    """Where the value at `parts`, or the nearest one around it, was written."""
    place = tree.place
    for part in parts:
        if not isinstance(tree.value, dict) or part not in tree.value:
            break
        tree = tree.value[part]
        place = tree.place
    return place


def _siblings(kind: type[Settings], tree: _Value, parts: Sequence[str]) -> list[str]:
    """Names that would be valid beside the unknown last part."""
    settings: type[Settings] | None = kind
    for part in parts[:-1]:
        tree = tree.value.get(part, _Value({}, "")) if isinstance(tree.value, dict) else _Value({}, "")
        settings = _settings_of(settings, part, tree) if settings else None
    return list(settings.model_fields) if settings else []


def _settings_of(kind: type[Settings], field: str, tree: _Value) -> type[Settings] | None:
    """The class behind `field` of `kind`; in an open family, the one that `name:` chooses."""
    if field not in kind.model_fields:
        return None
    annotation = kind.model_fields[field].annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, Choice):
            name = tree.value.get("name") if isinstance(tree.value, dict) else None
            return members(candidate).get(str(name.value)) if name else None
        if isinstance(candidate, type) and issubclass(candidate, Settings):
            return candidate
    return None


def _near_miss(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known here: {', '.join(known)}" if known else ""


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name

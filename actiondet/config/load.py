"""From YAML files and `key=value` arguments to one validated configuration.

Merging: mappings merge, lists and scalars replace, and a different `name:` in an open family replaces the
whole mapping. Later files of a `base:` list win over earlier ones, a file wins over its bases, and the
command line wins over all.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from actiondet.config.choice import Choice, Settings, members
from actiondet.config.plain_yaml import ConfigError, Value, parse_mapping, parse_value, plain
from actiondet.config.recognition import RecognitionConfig
from actiondet.config.schema import DetectionConfig
from actiondet.config.zoo import find_config, zoo_folder, zoo_names

COMMAND_LINE = "command line"
Config = TypeVar("Config", bound=Settings)


def load_config(path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()) -> DetectionConfig:
    """Read the configuration of a detection run; arguments and faults as in `load_config_of`.

    Example:
        >>> config = actiondet.load_config("toy/slowfast_r18", ["train.base_lr=0.05"])
        >>> config.train.base_lr, config.model.num_actions
        (0.05, 14)
    """
    return load_config_of(DetectionConfig, path, overrides, modules=modules)


def load_recognition_config(
    path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()
) -> RecognitionConfig:
    """Read the configuration of a recognition run; arguments and faults as in `load_config_of`.

    Example:
        >>> actiondet.load_recognition_config("kinetics400/slowonly_r50_8x8_scratch").model.num_classes
        400
    """
    return load_config_of(RecognitionConfig, path, overrides, modules=modules)


def load_config_of(
    kind: type[Config], path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()
) -> Config:
    """Read a configuration of one kind.

    Args:
        kind: DetectionConfig or RecognitionConfig; the one that `task:` at the top of the file names.
        path: a YAML file, or the zoo name of a packaged one (`ava22/slowfast_r50_8x8_k400`).
        overrides: `key.sub=value` arguments; the value is read as YAML.
        modules: modules to import first, whose classes then join the open families (`--import`).

    Raises:
        ConfigError: all faults at once, each with its file, its full key and a hint.
    """
    return validate_config(kind, _read_with_arguments(path, overrides, modules))


def load_config_by_task(
    path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()
) -> DetectionConfig | RecognitionConfig:
    """Read a configuration of the kind that its `task:` names; arguments and faults as in `load_config_of`."""
    return _validate_by_task(_read_with_arguments(path, overrides, modules))


def import_modules(modules: Sequence[str]) -> None:
    """Import `modules` (`--import`), whose classes then join the open families.

    Raises:
        ConfigError: Python does not find one of them.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as fault:
            raise ConfigError(f"--import {module}: {fault}; expected a module that Python finds on its path") from fault


def _read_with_arguments(path: str | Path, overrides: Sequence[str], modules: Sequence[str]) -> Value:
    import_modules(modules)
    # The arguments are merged with each other first, so that `persons.threshold=0.3 persons.name=ssd` means the same in
    # either order.
    arguments = functools.reduce(_merge, map(_parse_override, overrides), Value({}, COMMAND_LINE))
    tree = _read(find_config(path), ())
    return _merge(tree, arguments) if overrides else tree


def parse_config(text: str, *, source: str) -> DetectionConfig | RecognitionConfig:
    """Read a resolved configuration, of the kind that its `task:` names, as `parse_config_of`."""
    return _validate_by_task(_parse_resolved(text, source))


def parse_config_of(kind: type[Config], text: str, *, source: str) -> Config:
    """Read a resolved configuration of one kind from the YAML that a checkpoint, exported file or run folder holds."""
    return validate_config(kind, _parse_resolved(text, source))


def _parse_resolved(text: str, source: str) -> Value:
    tree = parse_mapping(text, source)
    # OpenCV's HOG, the default of earlier days, is gone: it found people in new videos, and is not part of the network.
    persons = tree.value.get("persons")
    if persons is not None and isinstance(persons.value, dict):
        name = persons.value.get("name")
        if name is not None and name.value == "hog":
            tree = Value({key: value for key, value in tree.value.items() if key != "persons"}, tree.place)
    return tree


def dump_config(config: Settings) -> str:
    """The resolved configuration as YAML."""
    return str(yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False, width=110))


def json_schema(kind: type[Settings] = DetectionConfig) -> str:
    """JSON schema of a configuration file, for editors; a file may leave to its bases what the whole requires."""
    schema = _all_optional(kind.model_json_schema())
    path = {"type": "string"}
    schema["properties"]["base"] = {"anyOf": [path, {"type": "array", "items": path}]}
    return json.dumps(schema, indent=2)


def _all_optional(schema: Any) -> Any:
    """A JSON schema without its lists of required keys."""
    if isinstance(schema, dict):
        return {
            key: _all_optional(part) for key, part in schema.items() if key != "required" or not isinstance(part, list)
        }
    return [_all_optional(part) for part in schema] if isinstance(schema, list) else schema


def _validate_by_task(tree: Value) -> DetectionConfig | RecognitionConfig:
    task = tree.value.get("task") if isinstance(tree.value, dict) else None
    recognition = task is not None and task.value == "recognition"
    return validate_config(RecognitionConfig, tree) if recognition else validate_config(DetectionConfig, tree)


def validate_config(kind: type[Config], tree: Value) -> Config:
    """Check `tree` against `kind` and raise every fault at once."""
    _check_task(kind, tree)
    try:
        return kind.model_validate(plain(tree))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(kind, tree, error.errors()))) from None


# By the `task:` of its files: what each kind of configuration is for.
_PROGRAMS = {
    "detection": "train_det.py, test_det.py and demo.py (in Python: load_config)",
    "recognition": "train_rec.py, test_rec.py and predict.py (in Python: load_recognition_config)",
}


def _check_task(kind: type[Settings], tree: Value) -> None:
    """Refuse a file of the other task before its every key is found wrong."""
    task = tree.value.get("task") if isinstance(tree.value, dict) else None
    field = kind.model_fields.get("task")
    wanted = getattr(field.annotation, "__args__", ()) if field is not None else ()
    if wanted and task is not None and task.value not in wanted and task.value in _PROGRAMS:
        raise ConfigError(
            f"{task.place}: task: expected {wanted[0]}, found {task.value}, which is for {_PROGRAMS[task.value]}"
        )


def _read(path: Path, above: tuple[Path, ...]) -> Value:
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
    tree = parse_mapping(text, shown)
    keys = dict(tree.value)
    base = keys.pop("base", None)
    merged = Value({}, shown)
    for parent in _base_names(base):
        beside = path.parent / parent
        merged = _merge(merged, _read(beside if beside.is_file() else _base_of_zoo(parent, beside), (*above, path)))
    return _merge(merged, Value(keys, shown))


def _base_of_zoo(name: str, beside: Path) -> Path:
    """The packaged configuration of a `base:` that is not a file; the path itself if the name is unknown."""
    return zoo_folder() / f"{name}.yaml" if name in zoo_names() else beside


def _shown(path: Path) -> str:
    """`path` as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _base_names(base: Value | None) -> list[str]:
    if base is None:
        return []
    names = base.value if isinstance(base.value, list) else [base.value]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{base.place}: base: expected a path or a list of paths, relative to this file")
    return names


def _parse_override(argument: str) -> Value:
    key, equals, text = argument.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise ConfigError(f"{COMMAND_LINE}: '{argument}' is not a setting; expected key.sub=value")
    value = parse_value(text, COMMAND_LINE, key)
    for part in reversed(key.split(".")):
        value = Value({part: value}, COMMAND_LINE)
    return value


def _merge(below: Value, above: Value) -> Value:
    """`above` laid over `below`."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    if "name" in above.value and "name" in below.value and above.value["name"].value != below.value["name"].value:
        return above
    merged = dict(below.value)
    for key, value in above.value.items():
        merged[key] = _merge(merged[key], value) if key in merged else value
    # What a mapping lacks is to be added in a file.
    return Value(merged, below.place if above.place == COMMAND_LINE else above.place)


def _describe(kind: type[Settings], tree: Value, faults: Iterable[ErrorDetails]) -> list[str]:
    """One line for each faulty key: file, key, what is wrong, hint."""
    messages: dict[str, list[str]] = {}
    for fault in faults:
        parts = _key_parts(tree, fault)
        where = f"{_place(tree, parts)}: {'.'.join(parts) or 'file'}"
        messages.setdefault(where, []).append(_message(kind, tree, parts, fault))
    # A setting of several types has one fault for each.
    return [f"{where}: {'; or: '.join(dict.fromkeys(said))}" for where, said in messages.items()]


def _key_parts(tree: Value, fault: ErrorDetails) -> list[str]:
    """The key of a fault, without the names that pydantic gives to validators and to the types of a union."""
    parts: list[str] = []
    last = len(fault["loc"]) - 1
    for position, part in enumerate(fault["loc"]):
        if isinstance(part, int):
            missing_item = fault["type"] == "missing" and position == last
            parts.extend([] if missing_item else [str(part)])
        elif isinstance(tree.value, dict) and part in tree.value:
            parts.append(part)
            tree = tree.value[part]
        elif isinstance(tree.value, dict) and fault["type"] == "missing" and position == last:
            parts.append(part)
    return parts


def _message(kind: type[Settings], tree: Value, parts: Sequence[str], fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown setting" + _near_miss(parts[-1], _siblings(kind, tree, parts))
    if fault["type"] == "missing" and isinstance(fault["loc"][-1], str):
        return "is missing; it has no default"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "expected more values"
    elif fault["type"] in ("model_type", "model_attributes_type"):
        message = "expected a mapping of settings"
    shown = not isinstance(fault["input"], (dict, Settings))
    return message + (f", found {fault['input']!r}" if shown else "")


def _place(tree: Value, parts: Iterable[str]) -> str:
    """Where the value at `parts`, or the nearest one around it, was written."""
    place = tree.place
    for part in parts:
        if not isinstance(tree.value, dict) or part not in tree.value:
            break
        tree = tree.value[part]
        place = tree.place
    return place


def _siblings(kind: type[Settings], tree: Value, parts: Sequence[str]) -> list[str]:
    """Names that would be valid beside the unknown last part."""
    settings: type[Settings] | None = kind
    for part in parts[:-1]:
        tree = tree.value.get(part, Value({}, "")) if isinstance(tree.value, dict) else Value({}, "")
        settings = _settings_of(settings, part, tree) if settings else None
    return list(settings.model_fields) if settings else []


def _settings_of(kind: type[Settings], field: str, tree: Value) -> type[Settings] | None:
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

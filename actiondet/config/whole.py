"""A configuration as one file without bases, with its own comments and those of its bases."""

from __future__ import annotations

import re
from pathlib import Path

from actiondet.config.load import dump_config, load_config_by_task
from actiondet.config.plain_yaml import parse_mapping
from actiondet.config.zoo import header_lines

_SETTING = re.compile(r"^(\s*)([A-Za-z_]\w*):(.*?)(?:\s+#\s*(.*))?$")


def whole_text(path: Path) -> str:
    """The text of a configuration that needs no other file.

    A file without `base:` is copied as it is. Otherwise every setting is written out, below the header of the file;
    comments beside settings, in the file and in its bases, stay beside them.

    Raises:
        ConfigError: the file or a base of it cannot be read, or is not a configuration.
    """
    text = path.read_text(encoding="utf-8")
    config = load_config_by_task(path)
    if "base" not in parse_mapping(text, str(path)).value:
        return text
    comments = _comments(path)
    lines = [f"# {line}".rstrip() for line in header_lines(path)]
    keys: list[str] = []
    for line in dump_config(config).splitlines():
        found = _SETTING.match(line)
        if found is not None and not line.lstrip().startswith("-"):
            depth = len(found[1]) // 2
            keys = [*keys[:depth], found[2]]
            comment = comments.get(".".join(keys))
            lines.append(f"{line}  # {comment}" if comment and len(line) + len(comment) < 118 else line)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _comments(path: Path) -> dict[str, str]:
    """The comments beside settings by their full key; a file's win over its bases'."""
    text = path.read_text(encoding="utf-8")
    tree = parse_mapping(text, str(path))
    found: dict[str, str] = {}
    base = tree.value.get("base") if isinstance(tree.value, dict) else None
    if base is not None:
        for name in base.value if isinstance(base.value, list) else [base.value]:
            beside = path.parent / str(name)
            if beside.is_file():
                found |= _comments(beside)
    keys: list[str] = []
    for line in text.splitlines():
        setting = _SETTING.match(line)
        if setting is not None:
            keys = [*keys[: len(setting[1]) // 2], setting[2]]
            if setting[4]:
                found[".".join(keys)] = setting[4].strip()
    return found

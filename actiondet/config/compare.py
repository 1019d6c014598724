"""In which settings configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actiondet.config.choice import Settings


def differing_settings(before: Settings, now: Settings, *, ignored: tuple[str, ...] = ()) -> list[str]:
    """Each differing setting as 'key: old -> new', but for keys that begin with one of `ignored`."""
    old, new = dict(_leaves(before.model_dump())), dict(_leaves(now.model_dump()))
    return [
        f"{key}: {old.get(key)} -> {new.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not key.startswith(ignored)
    ]


def setting_table(configs: Sequence[Settings]) -> tuple[tuple[str, tuple[object, ...]], ...]:
    """Each setting that is not the same in all configurations: its dotted key, and its value in each of them.

    A setting that a configuration lacks, as one of another optimizer, is None there.
    """
    leaves = [dict(_leaves(config.model_dump())) for config in configs]
    keys = sorted(set().union(*leaves))
    rows = ((key, tuple(each.get(key) for each in leaves)) for key in keys)
    return tuple((key, values) for key, values in rows if any(value != values[0] for value in values))


def _leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Leaves of nested mappings with their dotted keys."""
    if isinstance(tree, dict):
        for name, child in tree.items():
            yield from _leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, tree

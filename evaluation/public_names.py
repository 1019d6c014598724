"""The public names of a package: its `__init__` imports each one for type checkers, and each is loaded on first use."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any


def loaded_on_use(package: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` (PEP 562) and `__dir__` of a package that imports its names under TYPE_CHECKING alone.

    What type checkers read is the only list of them: `from evaluation.strata import Strata as Strata`.
    """
    source = pkgutil.get_data(package, "__init__.py")
    assert source is not None
    block = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    home = {
        name.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    names = sorted(home)

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(home[name]), name)

    return names, load, lambda: names

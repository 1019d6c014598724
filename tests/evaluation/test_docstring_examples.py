"""The examples in the docstrings of `evaluation` run, in a folder with small files, and show what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import evaluation
from tests.evaluation.example_files import write_example_files

PACKAGE = Path(evaluation.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_example_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted
    assert done.failed == 0


@pytest.mark.parametrize("name", evaluation.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    public = getattr(evaluation, name)
    if not callable(public):
        return  # a table of constants
    found = doctest.DocTestFinder().find(public, name, module=False)
    assert any(each.examples for each in found), "expected an Example section"

"""Build the API reference from the docstrings: `python .ci/docs.py FOLDER`. A warning is an error."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import typing
import warnings
from contextlib import suppress
from pathlib import Path

import pdoc
import pdoc.render

LAZY = ("actiondet", "actiondet.video", "evaluation")
OPEN = ("actiondet.config", "actiondet.datasets.splits", "actiondet.models.build", "actiondet.persons.base")


def main() -> None:
    """Write pages for the public names, and for the modules by which a backbone, data set or detector joins."""
    for name in LAZY:  # pdoc sees only what is loaded
        package = importlib.import_module(name)
        public = {each: getattr(package, each) for each in package.__all__}
        vars(package).update(public)
        for each in public.values():
            if dataclasses.is_dataclass(each):  # its fields may be those of a class in another module
                with suppress(NameError):  # imported for types alone; pdoc finds these
                    each.__init__.__annotations__ = typing.get_type_hints(each) | {"return": None}
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*LAZY, *OPEN, output_directory=Path(sys.argv[1]))


if __name__ == "__main__":
    main()

"""List the packaged configurations: data, published figure, parameters, arithmetic, weights."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from pathlib import Path

from evaluation.arguments import STANDARD_OUTPUT, Parser, add_json, write_json_to
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import write_text


def main() -> None:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet zoo ava22",
            "actiondet zoo kinetics --json -",
            "actiondet zoo --markdown configs/README.md",
        ],
    )
    parser.add_argument("names", nargs="*", metavar="WORD", help="list only names that hold one of these words")
    add_json(parser, "everything")
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="the tables of the zoo ('-': standard output); text above their mark in FILE is kept",
    )
    arguments = parser.parse_args()

    from actiondet.config.zoo import zoo_entry, zoo_names

    names = [name for name in zoo_names() if not arguments.names or any(word in name for word in arguments.names)]
    if not names:
        near = [
            each for word in arguments.names for each in difflib.get_close_matches(word, zoo_names(), n=1, cutoff=0.3)
        ]
        hint = f"; the nearest is {near[0]}" if near else ""
        raise InputError(f"no name of the zoo holds {' or '.join(arguments.names)}{hint}")
    if not (arguments.json or arguments.markdown):
        width = max(map(len, names), default=0)
        for name in names:
            entry = zoo_entry(name)
            print(f"{name:{width}}  {entry.figure if entry.has_figure else entry.title}")
        return

    from actiondet.engine.zoo_rows import PAGE_MARK, measure_row, zoo_page

    rows = [measure_row(name) for name in names]
    write_json_to(arguments.json, [dataclasses.asdict(row) for row in rows])
    if arguments.markdown:
        write(arguments.markdown, above(arguments.markdown, PAGE_MARK) + zoo_page(rows))


def above(target: str, mark: str) -> str:
    """What a file holds above `mark`; nothing without such a file or mark."""
    page = Path(target)
    before, found, _ = page.read_text(encoding="utf-8").partition(mark) if page.is_file() else ("", "", "")
    return before if found else ""


def write(target: str, text: str) -> None:
    """Write to a file, or to standard output for "-"."""
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    write_text(target, text)


if __name__ == "__main__":
    run_tool(main)

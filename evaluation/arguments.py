"""What the command lines of all programs have in common: examples, messages, JSON and completion."""

from __future__ import annotations

import argparse
import math
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from evaluation.command_line import program_name
from evaluation.errors import InputError
from evaluation.files import check_writable
from evaluation.messages import LEVELS, set_level

if TYPE_CHECKING:
    from evaluation.result import Result

STANDARD_OUTPUT = "-"
"""The name of a file that stands for standard output."""


class Parser(argparse.ArgumentParser):
    """The parser of a program.

    Its help ends with examples. `--quiet` and `--log-level` choose which messages are shown. With `--json -` all that
    the program prints goes to standard error, so that standard output holds the JSON alone. argcomplete completes it.

    Args:
        description: paragraphs are wrapped; lines that begin with spaces stay as they are.
        examples: command lines.
        epilog: more text, before the examples; as `description`.
    """

    def __init__(
        self, *, description: str | None = None, examples: Sequence[str] = (), epilog: str | None = None, **more: Any
    ) -> None:
        shown = "\n".join(["examples:", *(f"  {each}" for each in examples)]) if examples else ""
        more.setdefault("prog", program_name())
        super().__init__(
            description=description,
            epilog="\n\n".join(filter(None, (epilog, shown))) or None,
            formatter_class=_Paragraphs,
            **more,
        )
        self._has_messages = False

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """Read what is known of the command line; the common options come last in the help."""
        if not self._has_messages:
            self._has_messages = True
            self._add_messages()
        return super().parse_known_args(*given, **named)

    def _add_messages(self) -> None:
        messages = self.add_argument_group("messages")
        messages.add_argument(
            "--quiet", action="store_true", default=argparse.SUPPRESS, help="show results, warnings and errors only"
        )
        messages.add_argument(
            "--log-level",
            choices=LEVELS,
            default=argparse.SUPPRESS,
            help="show messages from this level on (default: info)",
        )

    def parse_args(self, *given: Any, **named: Any) -> argparse.Namespace:  # type: ignore[override]
        """Read the command line, and begin to run as it says."""
        _complete(self)
        return _begin(super().parse_args(*given, **named))

    def parse_intermixed_args(self, *given: Any, **named: Any) -> argparse.Namespace:  # type: ignore[override]
        """Read a command line whose options may stand between its arguments, and begin to run as it says."""
        _complete(self)
        return _begin(super().parse_intermixed_args(*given, **named))


class _Paragraphs(argparse.HelpFormatter):
    """Wraps paragraphs; keeps lines that begin with spaces, and those that end with a colon, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        paragraph: list[str] = []
        for line in [*text.strip().splitlines(), ""]:
            kept = not line or line.startswith(" ") or line.endswith(":")
            if not kept:
                paragraph.append(line)
                continue
            lines += textwrap.wrap(" ".join(paragraph), width, initial_indent=indent, subsequent_indent=indent)
            lines += [indent + line] if line or (lines and lines[-1]) else []
            paragraph = []
        return "\n".join(lines).rstrip()


def number(text: str) -> float:
    """A finite number from the command line; float() takes "nan" and "inf", too."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a finite number")
    return value


def positive(text: str) -> int:
    """A number of 1 or more from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number, 1 or more")
    return int(text)


def natural(text: str) -> int:
    """A number of 0 or more from the command line, such as a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number, 0 or more")
    return int(text)


def add_json(parser: argparse._ActionsContainer, what: str = "the results") -> None:
    """Add `--json FILE`; write with `write_json_to`, or in `with json_target(arguments.json) as path`."""
    parser.add_argument(
        "--json", metavar="FILE", help=f"write {what} as JSON; '-': to standard output, which then holds nothing else"
    )


def add_outputs(parser: argparse._ActionsContainer, *, picture: str, what: str = "the results") -> None:
    """Add `--json`, `--csv` and `--plot`, which `write_outputs` serves; `picture` says what is drawn."""
    add_json(parser, what)
    parser.add_argument("--csv", metavar="C.csv", help="write the table of classes")
    parser.add_argument("--plot", metavar="P.png", help=f"draw {picture}")


def add_page(parser: argparse._ActionsContainer) -> None:
    """Add `--html`, a page of results, with `--against` and `--videos`."""
    page = parser.add_argument_group("page")
    page.add_argument(
        "--html", metavar="R.html", help="write a page that shows why the AP is what it is; a browser opens it"
    )
    page.add_argument("--against", metavar="D2", help="other detections, which the page sets beside these")
    page.add_argument(
        "--videos", metavar="FOLDER", help="videos, from which the page takes pictures of the worst mistakes"
    )


def check_page(arguments: argparse.Namespace) -> None:
    """Refuse options of `add_page` that go with `--html` alone, and a page that cannot be written.

    Raises:
        InputError: which option it is.
    """
    if arguments.html is None:
        for name in ("against", "videos"):
            if getattr(arguments, name) is not None:
                raise InputError(f"--{name} is for the page; add --html FILE")
    else:
        check_writable(Path(arguments.html))


def write_outputs(arguments: argparse.Namespace, result: Result, **more: Any) -> None:
    """Write what the options of `add_outputs` ask for; `more` goes into the JSON."""
    if arguments.json:
        with json_target(arguments.json) as path:
            result.to_json(path, **more)
    if arguments.csv:
        result.to_csv(arguments.csv)
    if arguments.plot:
        result.plot(arguments.plot)


@contextmanager
def json_target(name: str) -> Iterator[Path]:
    """Where to write the JSON of `--json`; for "-" a file whose content goes to standard output."""
    if name != STANDARD_OUTPUT:
        yield Path(name)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stdout.json"
        yield path
        if path.is_file():  # of several processes one writes
            output = standard_output()
            output.write(path.read_text(encoding="utf-8"))
            output.flush()


def standard_output() -> TextIO:
    """The real standard output, which holds nothing but what was asked for with "-"."""
    return sys.stdout.kept if isinstance(sys.stdout, _OnStandardError) else sys.stdout


def write_json_to(name: str | None, content: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Write what `--json` asks for; nothing where it was not given."""
    if name is not None:
        from evaluation.tables import write_json

        with json_target(name) as path:
            write_json(path, content)


class _OnStandardError:
    """Stands for standard output and writes to standard error; `kept` is standard output."""

    def __init__(self, kept: TextIO) -> None:
        self.kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _begin(arguments: argparse.Namespace) -> argparse.Namespace:
    """Do what the common options say; `run_tool` undoes it."""
    set_level("warning" if getattr(arguments, "quiet", False) else getattr(arguments, "log_level", "info"))
    if STANDARD_OUTPUT in (getattr(arguments, name, None) for name in ("json", "events")):
        sys.stdout = _OnStandardError(sys.stdout)
    return arguments


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell that asks for completions, and leave."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)

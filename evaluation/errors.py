"""What ends a program: a fault that the user can correct, or a signal."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

_NUMPY_SCALAR = re.compile(r"np\.(?:\w+\(([^()]*)\)|(True|False)_)")


class InputError(ValueError):
    """A file, setting or argument that cannot be used.

    The message is one sentence: what was wrong, where, what was expected and how to correct it. Programs show
    it without a traceback and end with exit code 2.

    Example:
        >>> from evaluation import DetectionRows, InputError
        >>> try:
        ...     DetectionRows.from_arrays(video="v", time=1, boxes=[[0, 0, 1, 1]], labels=1, scores=float("nan"))
        ... except InputError as error:
        ...     print(error)
        row 0: score nan is not a finite number
    """


def shown(value: object, longest: int = 60) -> str:
    """`value` for a message: as Python writes it, numpy's scalars without their types, at most so many characters."""
    text = _NUMPY_SCALAR.sub(r"\1\2", repr(value))
    return text if len(text) <= longest else f"{text[:longest]}..."


class StoppedBySignal(BaseException):
    """A program ends because a signal asked it to, with the exit code 128 + the signal's number.

    Like KeyboardInterrupt it passes what catches every fault of a file.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def some(values: Collection[object], most: int = 5) -> str:
    """The first few of `values` as text, for messages."""
    more = f", ... ({len(values)} in all)" if len(values) > most else ""
    return ", ".join(map(str, islice(values, most))) + more

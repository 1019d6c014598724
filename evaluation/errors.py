"""The one exception for what a user can cause and correct."""

from collections.abc import Collection
from itertools import islice


class InputError(ValueError):
    """A file, setting or argument that cannot be used.

    The message is one sentence: what was wrong, where, what was expected and how to correct it. Programs show
    it without a traceback and end with exit code 2.
    """


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

"""The one exception for what a user can cause and mend."""


class InputError(ValueError):
    """A file, setting or argument that cannot be used.

    The message is one sentence: what was wrong, where, what was expected and how to mend it. Programs show
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

"""The one exception for what a user can cause and mend."""


class InputError(ValueError):
    """A file, setting or argument that cannot be used.

    The message is one sentence: what was wrong, where, what was expected and how to mend it. Programs show
    it without a traceback and end with exit code 2.
    """

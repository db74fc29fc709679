"""What can go wrong, in the words of the command line."""


class Error(Exception):
    """What went wrong, and what to do about it."""


class InputError(Error, ValueError):
    """The input is wrong: nothing was run, nothing was written. On the command line this is exit code 2."""


class RunError(Error, RuntimeError):
    """Something failed after it had begun. On the command line this is exit code 1."""

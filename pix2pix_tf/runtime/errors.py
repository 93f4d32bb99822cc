"""The two errors that a command turns into one line and an exit status."""


class UsageError(ValueError):
    """A flag or an input cannot be used: one line on stderr, exit status 2."""


class RunError(RuntimeError):
    """A run cannot go on: the command prints one line and exits with 1."""

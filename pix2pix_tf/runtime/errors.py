"""The errors that a command reports as one line and an exit status."""


class UsageError(ValueError):
    """A flag or an input cannot be used. The exit status is 2."""


class RunError(RuntimeError):
    """A run cannot continue. The exit status is 1."""

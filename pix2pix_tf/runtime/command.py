"""The door of every command: flags in, one line for an error, an exit status out.

Exit statuses: 0 done; 1 the run cannot go on; 2 wrong usage, unusable input or a file
that cannot be read or written; 128 + n stopped by signal n (130 Ctrl-C, 143 SIGTERM).
"""

import argparse
import signal
import sys

from pix2pix_tf.runtime import signals, streams
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.runtime.files import printable


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError and accepts no abbreviated flags."""

    def __init__(self, prog, description, **settings):
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **settings,
        )

    def error(self, message):
        raise UsageError(f"{message} (--help lists the flags)")


def run(prog: str, work, when_stopped: str | None = None) -> int:
    """Does a command's work and returns its exit status.

    Args:
        prog: str, the command's name, for messages.
        work: function without arguments; it returns an exit status, or None for 0.
        when_stopped: what running the command again will do, for the message after a
            signal; None: no message.

    Returns:
        The status of `work`; 1 for a RunError; 2 for a UsageError or OSError, with one
        line on stderr; 128 + n if signal n stopped the work.
    """
    with streams.tolerant():
        return _run(prog, work, when_stopped)


def _run(prog, work, when_stopped):
    """Returns the status; see `run`."""
    try:
        with signals.as_exceptions():
            return work() or 0
    except (UsageError, OSError) as error:  # str() of an OSError names the file
        return _fail(prog, error, 2)
    except RunError as error:
        return _fail(prog, error, 1)
    except KeyboardInterrupt:
        number = signal.SIGINT
    except signals.Stopped as stopped:
        number = stopped.number
    if when_stopped:
        print(f"stopped: the same command {when_stopped}", file=sys.stderr)
    return 128 + number


def _fail(prog, error, status):
    print(printable(f"{prog}: error: {error}"), file=sys.stderr)
    return status

"""Runs a command: prints an error as one line, and returns an exit status.

Exit statuses: 0 success; 1 the run cannot continue; 2 wrong usage, unusable input or a
file that cannot be read or written; 128 + n stopped by signal n (130 Ctrl-C, 143
SIGTERM).
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pix2pix_tf.runtime import signals, streams
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.version import __version__


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError and accepts no abbreviated flags.

    It has a flag --version, and completes flags if a shell asks for that. In the value
    of a flag of type Path, a first `~` is the home folder.
    """

    def __init__(self, prog, description, **settings):
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **settings,
        )
        self.register("type", Path, lambda text: Path(os.path.expanduser(text)))
        version = f"pix2pix_tf {__version__}"
        self.add_argument("--version", action="version", version=version)

    def parse_args(self, args=None, namespace=None):
        if is_completing():
            import argcomplete

            argcomplete.autocomplete(self)  # ends the process
        return super().parse_args(args, namespace)

    def error(self, message):
        raise UsageError(f"{message} (--help lists the flags)")


def is_completing() -> bool:
    """Returns True if a shell runs the command to complete a word (argcomplete)."""
    return "_ARGCOMPLETE" in os.environ


def run(prog: str, work: Callable, when_stopped: str | None = None) -> int:
    """Runs the work of a command and returns its exit status.

    Args:
        prog: the command's name, for messages.
        work: function without arguments that returns an exit status, or None for 0.
        when_stopped: what the same command will do if it is run again, for the message
            after a signal (default: no message).

    Returns:
        The status of `work`; 1 for a RunError; 2 for a UsageError or OSError, with one
        line on stderr; 128 + n if signal n stopped the work.
    """
    with streams.tolerant():
        try:
            with signals.as_exceptions():
                return work() or 0
        except (UsageError, RunError, OSError) as error:
            # The text of an OSError names the file.
            print(printable(f"{prog}: error: {error}"), file=sys.stderr)
            return 1 if isinstance(error, RunError) else 2
        except KeyboardInterrupt:
            number = signal.SIGINT
        except signals.Stopped as stopped:
            number = stopped.number
        if when_stopped:
            print(f"stopped: the same command {when_stopped}", file=sys.stderr)
        return 128 + number

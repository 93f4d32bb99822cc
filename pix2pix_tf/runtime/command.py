"""How a command starts and ends."""

import argparse
import signal
import sys

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


class ToolParser(argparse.ArgumentParser):
    """The parser of a tool: its description as it is written, errors as UsageError."""

    def __init__(self, prog, description):
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message):
        raise UsageError(f"{message} (--help lists the flags)")


def run_tool(name, run, goes_on=True):
    """Returns the exit status of a tool's work.

    Args:
        name: str, what the tool is called.
        run: function that does it, and returns its status, or None for 0.
        goes_on: bool, done again it leaves out what is there.

    Returns:
        int: `run`'s, 2 where it raised UsageError or OSError (one line on stderr), 130
        where Ctrl-C stopped it.
    """
    try:
        return run() or 0
    except (UsageError, OSError) as error:  # str() of OSError names the file
        print(printable(f"{name}: error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        done_again = "goes on from here" if goes_on else "starts again"
        print(f"stopped: the same command {done_again}", file=sys.stderr)
        return 128 + signal.SIGINT

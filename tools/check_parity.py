"""Shows how close our numbers are to the original's: `check_parity.py FILE.npz ...`.

For each recording (parity/recording.py says what is in one), it builds the networks
that the file describes, loads its variables, does what the original did, and prints a
table of the differences with their bounds.
"""

import argparse
import sys
from pathlib import Path

from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow


def main(argv: list[str] | None = None) -> int:
    """Checks the files of a command line.

    Returns:
        The exit status: 1 if a check failed; else 2 if a file cannot be used; else 0.
    """
    return command.run("check_parity", lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser("check_parity", __doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.npz")
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    from parity import checks, recording

    statuses = []
    for path in given.files:
        try:
            recorded = recording.read_recording(path)
            found = checks.compare(recorded)
        except (UsageError, OSError) as error:
            line = printable(f"check_parity: error: {error}")
            print(line, file=sys.stderr, flush=True)
            statuses.append(2)
            continue
        print(f"{path}: {recording.describe(recorded)}")
        print(checks.format_table(found), end="\n\n", flush=True)
        statuses.append(0 if all(check.passes for check in found) else 1)
    print(f"{statuses.count(0)} of {len(statuses)} files agree with the original")
    return 1 if 1 in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())

"""Turns one kind of checkpoint into another.

SOURCE                                      DESTINATION
a folder of the original (TensorFlow 1)     a folder of ours
a folder of ours                            a folder of the original, or --to pict
latest_net_G.pth, or the folder it is in    a folder of ours
generator.pict                              a folder of ours
any of them                                 a file named *.pict
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import quiet_stderr


def main(argv=None):
    """Converts as a command line says.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0, or 2 where it cannot be done (one line on stderr).
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION", help="must not exist")
    parser.add_argument(
        "--to",
        choices=["checkpoint", "tf1", "pict"],
        help="what to write: a folder of ours, a folder of the original, or the weight "
        "file of its browser demo (default: as above)",
    )
    parser.add_argument(
        "--which_direction",
        choices=["AtoB", "BtoA"],
        help="what a .pth or .pict file was trained for, which it does not say; AtoB",
    )
    arguments = parser.parse_args(argv)
    with quiet_stderr():
        from pix2pix_tf.interop import convert
    try:
        model = convert.read(arguments.source, arguments.which_direction)
        kind = arguments.to or _usual_kind(model, arguments.destination)
        convert.write(model, arguments.destination, kind)
    except UsageError as error:
        print(printable(f"convert_checkpoint: error: {error}"), file=sys.stderr)
        return 2
    is_part = kind == "pict" or model.is_generator_only
    held = "generator only" if is_part else "all that training goes on from"
    print(f"wrote {arguments.destination} ({kind}: {held}) from {model.kind}")
    return 0


def _usual_kind(model, destination):
    """Returns what to write where `--to` does not say it."""
    if Path(destination).suffix == ".pict":
        return "pict"
    return "tf1" if model.kind == "checkpoint" else "checkpoint"


if __name__ == "__main__":
    sys.exit(main())

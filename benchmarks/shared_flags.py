"""Flags that several benchmarks share."""

import argparse
import subprocess
import sys

from pix2pix_tf.runtime.errors import UsageError
from timing import PRECISIONS


def positive(text):
    """Returns the number of a flag that takes whole numbers from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def add_ngf(parser):
    """Adds --ngf, the width of both networks."""
    parser.add_argument(
        "--ngf",
        type=positive,
        default=64,
        metavar="FILTERS",
        help="filters in the first layer of both networks (default: 64)",
    )


def add_json(parser):
    """Adds --json."""
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")


def add_comparison(parser):
    """Adds the flags of `comparison.compare`."""
    add_ngf(parser)
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=list(PRECISIONS),
        help="number formats to time (default: both)",
    )
    parser.add_argument(
        "--rounds", type=positive, default=10, help="rounds at most (default: 10)"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=8.0,
        metavar="SECONDS",
        help="time for each variant at each batch size after its first call; one round "
        "is done in any case (default: 8)",
    )
    parser.add_argument("--peer", choices=["torch"], help="time PyTorch, too")
    parser.add_argument(
        "--peer_python",
        default=sys.executable,
        metavar="PYTHON",
        help="the Python in which PyTorch is installed (default: this one)",
    )
    add_json(parser)


def check_peer(given):
    """Raises UsageError if --peer is given and not installed."""
    if given.peer is None:
        return
    command = [given.peer_python, "-c", "import torch"]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        raise UsageError(
            f"--peer torch needs PyTorch in {given.peer_python}: pip install "
            "'.[torch]', or give --peer_python"
        )

"""The command: `python -m pix2pix_tf.dcgan`."""

import sys

from pix2pix_tf.dcgan.options import PROG, parse
from pix2pix_tf.runtime import command
from pix2pix_tf.training import session


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, as `runtime.command` lists it.

    Args:
        argv: the arguments (default: those of the process).
    """
    return command.run(PROG, lambda: _run(parse(argv)))


def _run(options):
    """Trains while it holds the output folder."""
    with session.holding(options):
        from pix2pix_tf.dcgan import training

        if options.data.input_dir is options.data.dataset is None:
            print("no --input_dir: using the embedded sample data", flush=True)
        session.print_options(options)
        stopped_by = training.train(options)
        return 128 + stopped_by if stopped_by else 0


if __name__ == "__main__":
    sys.exit(main())

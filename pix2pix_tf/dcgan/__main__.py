"""The command: `python -m pix2pix_tf.dcgan`."""

import sys

from pix2pix_tf.dcgan.options import PROG, parse
from pix2pix_tf.options import check_output_dir, to_dict
from pix2pix_tf.runtime import command, locks
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import seed_everything, start_tensorflow


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, as `runtime.command` lists it.

    Args:
        argv: the arguments (default: those of the process).
    """
    return command.run(PROG, lambda: _run(parse(argv)))


def _run(options):
    """Trains while it holds the lock of the output folder."""
    check_output_dir(options.run)
    with locks.hold(options.run.output_dir):
        check_output_dir(options.run)  # again: another run may have ended meanwhile
        start_tensorflow()
        from pix2pix_tf.dcgan import training
        from pix2pix_tf.training import faults

        if options.data.input_dir is options.data.dataset is None:
            print("no --input_dir: using the embedded sample data", flush=True)
        for name, value in sorted(to_dict(options).items()):
            print(printable(f"{name} = {value}"), flush=True)
        seed_everything(options.run.seed, options.run.deterministic)
        with faults.explain_memory(options):
            stopped_by = training.train(options)
        return 128 + stopped_by if stopped_by else 0


if __name__ == "__main__":
    sys.exit(main())

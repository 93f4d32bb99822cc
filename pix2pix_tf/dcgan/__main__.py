"""The command: `python -m pix2pix_tf.dcgan`."""

import sys

from pix2pix_tf.dcgan.options import PROG, parse
from pix2pix_tf.options import check_output_dir, to_dict
from pix2pix_tf.runtime import command, locks
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import seed_everything, start_tensorflow


def main(argv=None) -> int:
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        The exit status, as `runtime.command` lists them.
    """
    return command.run(PROG, lambda: _run(parse(argv)))


def _run(options):
    """Trains, alone in the output folder."""
    check_output_dir(options.run)
    with locks.hold(options.run.output_dir):
        check_output_dir(options.run)  # another run may just have ended
        start_tensorflow()
        from pix2pix_tf.dcgan import crops, training
        from pix2pix_tf.training import faults

        if options.data.input_dir is options.data.dataset is None:
            print("no --input_dir: using the embedded sample data", flush=True)
        for name, value in sorted(to_dict(options).items()):
            print(printable(f"{name} = {value}"), flush=True)
        seed_everything(options.run.seed, options.run.deterministic)
        with faults.explain_memory(options):
            stopped_by = training.train(options, crops.read(options.data))
        return 128 + stopped_by if stopped_by else 0


if __name__ == "__main__":
    sys.exit(main())

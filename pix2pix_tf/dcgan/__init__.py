"""DCGAN, the unconditional ancestor: `python -m pix2pix_tf.dcgan`.

It draws 32x32 images from random numbers, and learns from pictures without pairs
(Radford et al. 2016). The loop, checkpoints, summaries and index page are pix2pix's; in
this folder is what is DCGAN's own, and here the command.
"""

import signal
import sys

from pix2pix_tf.dcgan import options as dcgan_options
from pix2pix_tf.options import check_output_dir, to_dict
from pix2pix_tf.runtime import locks
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.runtime.files import printable


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status, as of `pix2pix_tf.train.main`.
    """
    try:
        options = dcgan_options.parse(argv)
        check_output_dir(options.run)
        with locks.hold(options.run.output_dir):
            check_output_dir(options.run)  # another run may just have ended
            return _run(options)
    except (UsageError, OSError) as error:
        print(printable(f"{dcgan_options.PROG}: error: {error}"), file=sys.stderr)
        return 2
    except RunError as error:
        print(printable(f"{dcgan_options.PROG}: error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before or after the steps
        return 128 + signal.SIGINT


def _run(options):
    """Trains; TensorFlow is loaded only here."""
    from pix2pix_tf.runtime.start import make_repeatable, quiet_stderr

    if options.data.input_dir is None and options.data.dataset is None:
        print("no --input_dir: using the embedded sample data", flush=True)
    with quiet_stderr():
        from pix2pix_tf.dcgan import crops, training
        from pix2pix_tf.training import faults

    for name, value in sorted(to_dict(options).items()):
        print(printable(f"{name} = {value}"), flush=True)
    make_repeatable(options.run)
    with faults.explain_memory(options):
        stopped_by = training.train(options, crops.read(options.data))
    return 128 + stopped_by if stopped_by else 0

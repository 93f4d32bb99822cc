"""DCGAN, the unconditional ancestor: `python -m pix2pix_tf.dcgan`.

It draws 32x32 images from random numbers, and learns from pictures without pairs
(Radford et al. 2016). The loop, checkpoints, summaries and index page are pix2pix's; in
this folder is what is DCGAN's own, and here the command.
"""

import sys

from pix2pix_tf import config
from pix2pix_tf.dcgan import options as dcgan_options
from pix2pix_tf.files import printable


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status, as of `pix2pix_tf.train.main`.
    """
    try:
        options = dcgan_options.parse(argv)
        config.check_output_dir(options.run)
        return _run(options)
    except (config.UsageError, OSError) as error:
        print(printable(f"{dcgan_options.PROG}: error: {error}"), file=sys.stderr)
        return 2


def _run(options):
    """Trains; TensorFlow is loaded only here."""
    from pix2pix_tf.train import quiet_stderr

    if options.data.input_dir is None and options.data.dataset is None:
        print("no --input_dir: using the embedded sample data", flush=True)
    with quiet_stderr():
        import keras

        from pix2pix_tf.dcgan import crops, training

    for name, value in sorted(config.to_dict(options).items()):
        print(printable(f"{name} = {value}"), flush=True)
    keras.utils.set_random_seed(options.run.seed)
    stopped_by = training.train(options, crops.read(options.data))
    return 128 + stopped_by if stopped_by else 0

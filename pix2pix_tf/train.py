"""The command: `python -m pix2pix_tf.train --mode {train,test,export}`."""

import os
import signal
import sys

from pix2pix_tf import memory
from pix2pix_tf.options import check_output_dir, parse, to_dict
from pix2pix_tf.runtime import locks
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import make_repeatable, quiet_stderr


def main(argv=None, callbacks=()):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.
        callbacks: functions (step, {tag: float}), called in training with the scalars
            of each summary and validation (docs/monitoring.md).

    Returns:
        int, the exit status: 0 done, 1 training cannot go on, 2 wrong usage, unusable
        input or a file that cannot be written (each with one line on stderr), 128 + n
        stopped by signal n after saving.
    """
    try:
        options = parse(argv)
        check_output_dir(options.run)
        memory.check(options)
        with locks.hold(options.run.output_dir):
            check_output_dir(options.run)  # another run may just have ended
            return _run(options, callbacks)
    except (UsageError, OSError) as error:  # str() of OSError names the file
        print(printable(f"pix2pix-tf: error: {error}"), file=sys.stderr)
        return 2
    except RunError as error:
        print(printable(f"pix2pix-tf: error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before or after the steps, or in another mode
        return 128 + signal.SIGINT


def _run(options, callbacks):
    """Does what `--mode` says; TensorFlow is loaded only here."""
    run = options.run
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if options.data.input_dir is options.data.dataset is None and run.mode != "export":
        print("no --input_dir: using the embedded sample data", flush=True)
    with quiet_stderr():
        import keras

        from pix2pix_tf.runtime import precision
        from pix2pix_tf.training import faults

    keras.config.set_image_data_format(
        "channels_last"
    )  # whatever the user's keras.json
    keras.config.set_floatx("float32")
    for name, value in sorted(to_dict(options).items()):
        print(printable(f"{name} = {value}"))
    precision.set_precision(run.precision)
    make_repeatable(run)
    with faults.explain_memory(options):
        return _do_mode(options, callbacks)


def _do_mode(options, callbacks):
    """Trains, tests or exports; returns the exit status."""
    from pix2pix_tf.inference import evaluate, export
    from pix2pix_tf.training import dry_run, loop

    run = options.run
    if run.mode == "export":
        export.export(options)
        return 0
    source = _open_source(options)
    try:
        if run.mode == "test":
            evaluate.evaluate(options, source)
            return 0
        if run.dry_run:
            dry_run.dry_run(options, source)
            return 0
        stopped_by = loop.train(options, source, callbacks)
        return 128 + stopped_by if stopped_by else 0
    finally:
        if skipped := source.skipped():
            print(f"skipped {skipped}", flush=True)


def _open_source(options):
    """Returns the source of the run's examples, all checked."""
    from pix2pix_tf import data, datasets
    from pix2pix_tf.data import samples
    from pix2pix_tf.images import kinds

    config = options.data
    kind = kinds.kind_of(options.pair, config.inputs_only)
    if config.dataset is not None:
        return datasets.open_source(config, kind.image_channels, options.run.mode)
    is_test = options.run.mode == "test"
    input_dir = config.input_dir
    if input_dir is None:
        split = "test" if is_test else "train"
        input_dir = samples.sample_dir(kind.is_photograph, split)
    examples = data.find_examples(input_dir, config.target_dir, is_one_enough=is_test)
    source = data.Source(data.Files(examples), kind.image_channels, config.on_bad_image)
    source.check()
    return source


if __name__ == "__main__":
    sys.exit(main())

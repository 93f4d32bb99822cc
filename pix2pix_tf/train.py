"""The command: `python -m pix2pix_tf.train --mode {train,test,export}`."""

import dataclasses
import sys

from pix2pix_tf.options import check_output_dir, parse, to_dict
from pix2pix_tf.runtime import command, locks
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import seed_everything, start_tensorflow


def main(argv: list[str] | None = None, callbacks=()) -> int:
    """Runs one command line.

    Args:
        argv: the arguments (default: those of the process).
        callbacks: functions (step, {tag: float}), called in training with the scalars
            of each summary and validation (docs/monitoring.md).

    Returns:
        The exit status; `runtime.command` lists the values.
    """
    return command.run("pix2pix-tf", lambda: _run(parse(argv), callbacks))


def _run(options, callbacks):
    """Runs the command while it holds the lock of the output folder."""
    check_output_dir(options.run)
    with locks.hold(options.run.output_dir):
        check_output_dir(options.run)  # again: another run may have ended meanwhile
        start_tensorflow()
        from pix2pix_tf.training import faults

        options = _set_precision(options)
        for name, value in sorted(to_dict(options).items()):
            print(printable(f"{name} = {value}"))
        if options.run.mode == "train" and options.model.is_bottleneck_constant:
            print(
                "warning: with --norm instance the innermost layer, of one pixel, "
                "gives the same values for every image: give --innermost_norm none too"
            )
        seed_everything(options.run.seed, options.run.deterministic)
        with faults.explain_memory(options):
            return _do_mode(options, callbacks)


def _set_precision(options):
    """Sets the dtype policy; returns the options with `--emulate_16bit` decided.

    They are saved with the run, so that a resumed run uses the same arithmetic.
    """
    from pix2pix_tf.runtime import precision, processor

    execution = options.execution
    is_open = options.run.mode == "train" and execution.emulate_16bit == "auto"
    if is_open and execution.precision != "float32":
        emulates = precision.should_emulate(execution.precision, processor.features())
        if emulates:
            print(
                f"warning: --precision {execution.precision} gains no speed on this "
                "processor: training computes in float32 and rounds to 16 bits",
                flush=True,
            )
        execution = dataclasses.replace(
            execution, emulate_16bit="on" if emulates else "off"
        )
    precision.set_precision(execution.precision, execution.emulate_16bit == "on")
    return dataclasses.replace(options, execution=execution)


def _do_mode(options, callbacks):
    """Trains, tests or exports; returns the exit status."""
    from pix2pix_tf.inference import evaluate, export
    from pix2pix_tf.training import dry_run, loop

    if options.run.mode == "export":
        export.export(options)
        return 0
    source = _open_source(options)
    try:
        if options.run.mode == "test":
            evaluate.evaluate(options, source)
            return 0
        if options.execution.dry_run:
            dry_run.dry_run(options, source)
            return 0
        stopped_by = loop.train(options, source, callbacks)
        return 128 + stopped_by if stopped_by else 0
    finally:
        if skipped := source.skipped():
            print(f"skipped {skipped}", flush=True)


def _open_source(options):
    """Returns the checked source of the run's examples."""
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
        print("no --input_dir: using the embedded sample data", flush=True)
        split = "test" if is_test else "train"
        input_dir = samples.sample_dir(kind.is_photograph, split)
    examples = data.find_examples(input_dir, config.target_dir, is_one_enough=is_test)
    source = data.Source(data.Files(examples), kind.image_channels, config.on_bad_image)
    source.check()
    are_pairs = len(kind.image_channels) > len(examples[0].paths)
    data.print_notices(examples, [input_dir, config.target_dir], are_pairs)
    return source


if __name__ == "__main__":
    sys.exit(main())

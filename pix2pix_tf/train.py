"""The command: `python -m pix2pix_tf.train --mode {train,test,export}`."""

import functools
import sys

from pix2pix_tf.options import command_name, parse
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime import command, messages
from pix2pix_tf.training import session


def main(argv: list[str] | None = None, callbacks=(), mode: str | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the arguments (default: those of the process).
        callbacks: functions (step, {tag: float}), called in training with the scalars
            of each summary and validation (docs/monitoring.md).
        mode: the mode, where the command is `pix2pix-tf MODE` (default: `--mode`).

    Returns:
        The exit status; `runtime.command` lists the values.
    """
    return command.run(command_name(mode), lambda: _run(parse(argv, mode), callbacks))


def _run(options, callbacks):
    """Runs the command while it holds the output folder."""
    with (
        session.holding(options, options.execution) as replicas,
        session.in_precision(options) as options,
    ):
        if options.run.mode == "train" and options.model.is_bottleneck_constant:
            messages.warn(
                "with --norm instance the innermost layer, of one pixel, "
                "gives the same values for every image: give --innermost_norm none too"
            )
        return _do_mode(options, callbacks, replicas)


def _do_mode(options, callbacks, replicas):
    """Trains, tests or exports; returns the exit status."""
    from pix2pix_tf.inference import evaluate, export
    from pix2pix_tf.training import dry_run, loop

    if options.run.mode == "export":
        session.print_options(options)
        export.export(options)
        return 0
    source = _open_source(options)
    session.print_options(options)
    try:
        if options.run.mode == "test":
            evaluate.evaluate(options, source)
            return 0
        if options.execution.dry_run:
            dry_run.dry_run(options, source)
            return 0
        stopped_by = loop.train(options, source, callbacks, replicas)
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
    why_unfit = None
    if config.small_images == "refuse":
        why_unfit = functools.partial(
            data.why_too_small, config, options.model.crop_size
        )
    if config.dataset is not None:
        source = datasets.open_source(
            config, kind.image_channels, options.run.mode, why_unfit
        )
        _check_one_size(options, source)
        return source
    is_test = options.run.mode == "test"
    input_dir = config.input_dir
    if input_dir is None:
        print("no --input_dir: using the embedded sample data", flush=True)
        split = "test" if is_test else "train"
        input_dir = samples.sample_dir(kind.is_photograph, split)
    examples = data.find_examples(input_dir, config.target_dir, is_one_enough=is_test)
    first_batch = 0
    if config.part is not None:
        examples, first_batch = data.cut(examples, config.part, config.batch_size)
    cache = data.Cache(config.cache) if config.cache else None
    is_cropped = config.preprocess == "crop" and options.run.mode == "train"
    window = sides(options.model.crop_size) if is_cropped else None
    source = data.Source(
        data.Files(examples, window, cache),
        kind.image_channels,
        config.on_bad_image,
        why_unfit,
    )
    source.first_batch = first_batch
    source.check()
    _check_one_size(options, source)
    are_pairs = len(kind.image_channels) > len(examples[0].paths)
    data.print_notices(examples, [input_dir, config.target_dir], are_pairs)
    return source


def _check_one_size(options, source):
    """Raises UsageError if the images of one training batch would differ in size."""
    from pix2pix_tf import data

    if options.run.mode == "train":
        model = options.model
        data.check_one_size(source, options.data, model.crop_size, model.multiple)


if __name__ == "__main__":
    sys.exit(main())

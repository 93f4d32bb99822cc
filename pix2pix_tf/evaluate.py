"""Test mode: every image once, in order, to pictures and an index."""

import time

import tensorflow as tf

from pix2pix_tf import checkpoints, config, data, gallery, images, networks, pairs
from pix2pix_tf.files import printable


def evaluate(options, source):
    """Writes inputs, outputs and targets of every image, and `index.html`.

    Dropout and batch statistics work as in training, like the original's; the masks
    depend on `--seed` and the batch's number only. The index lists what was written,
    also where a damaged image or Ctrl-C ends the run early.

    Args:
        options: Options.
        source: data.FileSource.

    Raises:
        UsageError: the checkpoint does not fit, or an image is damaged.
    """
    run, full_size = options.run, options.run.full_size
    prefix = checkpoints.find_latest(run.checkpoint)
    checkpoints.check_widths(prefix, options.model)
    generator = networks.build_generator(
        options.pair.channels, options.model, any_size=full_size
    )
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, prefix)
    config.write_options(options)
    print(f"examples count = {len(source)}")
    print(f"parameter_count = {networks.count_parameters(generator)}", flush=True)
    done = []
    try:
        _write_pictures(options, source, generator, done)
    finally:
        kinds = gallery.KINDS[:2] if options.data.inputs_only else gallery.KINDS
        index_path = gallery.write_index(run.output_dir, done, kinds)
        print(f"wrote index at {index_path}", flush=True)


def _write_pictures(options, source, generator, done):
    """Generates and writes batch by batch; adds each finished row to `done`."""
    run = options.run
    translate = _make_translate(options, generator)
    is_shown_whole = options.pair.lab_colorization or options.pair.channels[1] in (1, 3)
    started = time.perf_counter()
    num_batches = 0
    for indices, *tensors in _batches(options, source):
        outputs, pictures = translate(tf.constant(num_batches), *tensors)
        for place, index in enumerate(indices.numpy()):
            row = gallery.Row(source.name(index))
            one = {kind: batch[place] for kind, batch in pictures.items()}
            gallery.write_pictures(run.output_dir, row, one)
            if not is_shown_whole:
                gallery.write_array(run.output_dir, row, outputs[place].numpy())
            done.append(row)
            print(f"evaluated image {printable(row.name)}", flush=True)
        num_batches += 1
    print(f"rate {(time.perf_counter() - started) / max(num_batches, 1):.4f}")


def _make_translate(options, generator):
    """Returns a compiled function from a batch to what is written of it.

    It maps (the batch's number, inputs, targets where there are any) to (outputs,
    float32 [batch, height, width, channels] in [0, 1], and {kind: uint8 pictures}).
    """
    run, pair, multiple = options.run, options.pair, options.model.multiple

    @tf.function(reduce_retracing=True)
    def translate(number, inputs, targets=None):
        networks.key_dropout(generator, run.seed, number)
        if run.full_size:
            outputs = networks.generate_at_own_size(generator, inputs, multiple)
        else:
            outputs = generator(inputs)
        pictures = pairs.to_pictures(inputs, outputs, targets, pair, run.aspect_ratio)
        return images.deprocess(outputs), pictures

    return translate


def _batches(options, source):
    """Yields the test batches, `--max_steps` at most; a damaged file is named."""
    size = None if options.run.full_size else options.model.crop_size
    batches = data.ordered_batches(source, options.pair, options.data, size)
    try:
        yield from batches.take(options.run.max_steps or -1)
    except tf.errors.OpError:
        if source.problems:
            raise source.error() from None
        raise

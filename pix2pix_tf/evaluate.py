"""Test mode: every image once, in order, to pictures and an index."""

import time

import tensorflow as tf

from pix2pix_tf import checkpoints, config, data, gallery, networks, pairs
from pix2pix_tf.files import printable


def evaluate(options, paths):
    """Writes inputs, outputs and targets of every image, and `index.html`.

    Dropout and batch statistics work as in training, like the original's; the masks
    depend on `--seed` and the batch's number only. The index lists what was written,
    also where a damaged image or Ctrl-C ends the run early.

    Args:
        options: Options.
        paths: list of Path, the images.

    Raises:
        UsageError: the checkpoint does not fit, or an image is damaged.
    """
    run = options.run
    generator = networks.build_generator(options.pair.channels, options.model)
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, checkpoints.find_latest(run.checkpoint))
    config.write_options(options)
    print(f"examples count = {len(paths)}")
    print(f"parameter_count = {networks.count_parameters(generator)}", flush=True)
    rows = [gallery.Row(name) for name in gallery.unique_names(paths)]
    done = []
    try:
        _write_pictures(options, paths, generator, rows, done)
    finally:
        index_path = gallery.write_index(run.output_dir, done)
        print(f"wrote index at {index_path}", flush=True)


def _write_pictures(options, paths, generator, rows, done):
    """Generates and writes batch by batch; adds each finished row to `done`."""
    run = options.run

    @tf.function(reduce_retracing=True)
    def translate(number, inputs, targets):
        networks.key_dropout(generator, run.seed, number)
        return pairs.to_pictures(
            inputs, generator(inputs), targets, options.pair, run.aspect_ratio
        )

    started = time.perf_counter()
    num_batches = 0
    for indices, inputs, targets in _batches(options, paths, done):
        pictures = translate(tf.constant(num_batches), inputs, targets)
        for place, index in enumerate(indices.numpy()):
            one = {kind: batch[place] for kind, batch in pictures.items()}
            gallery.write_pictures(run.output_dir, rows[index], one)
            done.append(rows[index])
            print(f"evaluated image {printable(rows[index].name)}", flush=True)
        num_batches += 1
    print(f"rate {(time.perf_counter() - started) / num_batches:.4f}")


def _batches(options, paths, done):
    """Yields the test batches, `--max_steps` at most; a damaged file is named."""
    batches = data.ordered_batches(paths, options.pair, options.data)
    try:
        yield from batches.take(options.run.max_steps or -1)
    except tf.errors.OpError as error:
        failed = paths[len(done) : len(done) + options.data.batch_size]
        data.raise_damaged(error, failed, options.pair)

"""Test mode: every image once, in order, to pictures and an index."""

import time

import tensorflow as tf

from pix2pix_tf import (
    checkpoints,
    config,
    gallery,
    metrics,
    networks,
)
from pix2pix_tf.files import printable
from pix2pix_tf.translation import make_translate, ordered_batches


def evaluate(options, source):
    """Writes inputs, outputs and targets of every image, their figures, and a page.

    Dropout and batch statistics work as in training, like the original's; the masks
    depend on `--seed` and the batch's number only. The index lists what was written,
    also where a damaged image or Ctrl-C ends the run early; `metrics.json` and
    `metrics.csv` come only after all of it.

    Args:
        options: Options.
        source: data.FileSource.

    Raises:
        UsageError: the checkpoint does not fit, an image is damaged, or what measures
            the pictures cannot be used.
    """
    run, full_size = options.run, options.run.full_size
    set_scorer = metrics.SetScorer(run.fid_weights, run.palette)
    generator = networks.build_generator(
        options.pair.channels, options.model, any_size=full_size
    )
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, checkpoints.find_latest(run.checkpoint))
    config.write_options(options)
    print(f"examples count = {len(source)}")
    print(f"parameter_count = {networks.count_parameters(generator)}", flush=True)
    metrics.remove_report(run.output_dir)
    done, scores = [], metrics.Scores()
    try:
        _write_pictures(options, source, generator, done, scores)
    finally:
        kinds = gallery.KINDS[:2] if options.data.inputs_only else gallery.KINDS
        columns = _columns(done, scores) if scores.images else ()
        index_path = gallery.write_index(run.output_dir, done, kinds, columns=columns)
        print(f"wrote index at {index_path}", flush=True)
    if scores.images:
        _report(run.output_dir, done, scores, set_scorer)
    elif not options.data.inputs_only:
        print(f"no metrics: {options.pair.channels[1]} channels are no picture")


def _columns(rows, scores):
    """Returns the index's columns of figures."""
    return [
        gallery.Column(
            name,
            [scores.images[row.name][name] for row in rows],
            metrics.FIGURES[name].decimals,
            metrics.FIGURES[name].is_better_high,
        )
        for name in metrics.PICTURE_FIGURES
    ]


def _report(output_dir, rows, scores, set_scorer):
    """Prints and writes the figures; those of sets come from the files written."""

    def read(kind):
        return (gallery.read_picture(output_dir, row, kind) for row in rows)

    found, details = set_scorer.measure(read, len(rows))
    metrics.report(output_dir, [row.name for row in rows], scores, found, details)


def _write_pictures(options, source, generator, done, scores):
    """Generates and writes batch by batch; fills `done` and `scores`."""
    run = options.run
    size = None if run.full_size else options.model.crop_size
    multiple = options.model.multiple if run.full_size else None
    translate = make_translate(
        generator, options.pair, run.seed, run.aspect_ratio, multiple
    )
    is_shown_whole = options.pair.lab_colorization or options.pair.channels[1] in (1, 3)
    is_scored = is_shown_whole and not options.data.inputs_only
    started = time.perf_counter()
    num_batches = 0
    for indices, *tensors in ordered_batches(source, options, size, run.max_steps):
        outputs, pictures = translate(tf.constant(num_batches), *tensors)
        for place, index in enumerate(indices.numpy()):
            row = gallery.Row(source.name(index))
            one = {kind: batch[place] for kind, batch in pictures.items()}
            gallery.write_pictures(run.output_dir, row, one)
            if not is_shown_whole:
                gallery.write_array(run.output_dir, row, outputs[place].numpy())
            if is_scored:
                scores.add(row.name, one["outputs"].numpy(), one["targets"].numpy())
            done.append(row)
            print(f"evaluated image {printable(row.name)}", flush=True)
        num_batches += 1
    print(f"rate {(time.perf_counter() - started) / max(num_batches, 1):.4f}")

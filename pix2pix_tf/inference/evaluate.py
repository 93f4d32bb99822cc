"""Test mode: every image once, in order, to images and an index."""

import collections
import concurrent.futures
import time
from pathlib import Path

import tensorflow as tf

from pix2pix_tf import checkpoints, data, metrics, networks
from pix2pix_tf.images.kinds import kind_of
from pix2pix_tf.inference import gallery, tiles
from pix2pix_tf.inference.translate import by_tiles, make_translate, ordered_batches
from pix2pix_tf.options import Options, write_options
from pix2pix_tf.runtime import files, messages

NUM_WRITERS = 2  # threads
MAX_WAITING = 8  # rows whose images are held until they are written


def evaluate(options: Options, source: data.Source) -> None:
    """Writes inputs, outputs and targets of every image, their figures, and a page.

    Dropout and batch statistics work as in training, like the original's; the masks
    depend on `--seed` and the batch's number only. The index lists what was written,
    also where a damaged image or Ctrl-C ends the run early; `metrics.json` and
    `metrics.csv` come only after all of it.

    Args:
        options: Options.
        source: data.Source.

    Raises:
        UsageError: the checkpoint does not fit, an image is damaged, or what measures
            the images cannot be used.
    """
    run, output = options.run, options.output
    set_scorer = metrics.SetScorer(output.fid_weights, output.palette)
    lpips = metrics.open_lpips(output.lpips_weights)
    prefix = checkpoints.find(run.checkpoint)
    checkpoints.check_widths(prefix, options.model)
    with networks.without_random_kernels():
        generator = networks.build_generator(
            options.pair.channels, options.model, any_size=options.is_any_size
        )
    print("loading model from checkpoint")
    checkpoints.restore_generator(generator, prefix, options.output.generator_weights)
    # Tiles need the kernels as they are.
    networks.freeze(generator, keeps_kernels=output.tile is not None)
    write_options(options)
    files.remove_partials(run.output_dir)
    files.remove_partials(Path(run.output_dir, gallery.IMAGES_NAME), recursive=True)
    print(f"examples count = {len(source)}")
    print(f"parameter_count = {networks.count_parameters(generator)}", flush=True)
    metrics.remove_report(run.output_dir)
    done, scores = [], metrics.Scores(lpips)
    try:
        _write_images(options, source, generator, done, scores)
    finally:
        kinds = gallery.KINDS[:2] if options.data.inputs_only else gallery.KINDS
        write_page(run.output_dir, done, kinds, scores, run.checkpoint)
    if scores.images:
        report(run.output_dir, done, scores, set_scorer)
    elif not options.data.inputs_only:
        channels = options.pair.channels[1]
        print(f"no metrics: outputs of {channels} channels are not RGB images")


def write_page(
    output_dir: str, rows: list, kinds: tuple, scores: metrics.Scores, checkpoint: str
) -> None:
    """Writes the page of a test, and prints its path.

    Args:
        rows: gallery.Row of each image that is written.
        kinds: the images of each row.
        scores: theirs, or none.
        checkpoint: the model's, for the heading.
    """
    columns = _columns(rows, scores) if scores.images else ()
    title = f"pix2pix test: {Path(output_dir).absolute().name}"
    model = Path(*Path(checkpoint).parts[-2:])
    about = f"{len(rows)} images by {model}{_means(scores)}"
    path = gallery.write_index(output_dir, rows, kinds, title, about, columns)
    print(f"wrote index at {path}", flush=True)


def _columns(rows, scores):
    """Returns the index's columns of figures."""
    return [
        gallery.Column(
            name,
            [scores.images[row.name][name] for row in rows],
            metrics.METRICS[name].decimals,
            metrics.METRICS[name].is_higher_better,
        )
        for name in scores.metrics
    ]


def _means(scores):
    """Returns the means of the metrics of single images, as text."""
    means = [
        f"{name} {mean:.{metrics.METRICS[name].decimals}f}"
        for name, mean in scores.means().items()
        if mean is not None
    ]
    return f"; means: {', '.join(means)}" if means else ""


def report(
    output_dir: str,
    rows: list,
    scores: metrics.Scores,
    set_scorer: metrics.SetScorer,
) -> None:
    """Prints and writes the metrics; those of sets come from the files written."""

    def read(kind):
        return (gallery.read_image(output_dir, row, kind) for row in rows)

    measures = set_scorer.measure(read, len(rows))
    metrics.report(output_dir, [row.name for row in rows], scores, measures)


def _write_images(options, source, generator, done, scores):
    """Generates batch by batch; fills `done` and `scores` with what is written.

    Encoding, writing and measuring go on in threads, beside the network's next batch.
    """
    run = options.run
    output = options.output
    multiple = options.model.multiple if options.is_any_size else None
    kind = kind_of(options.pair, options.data.inputs_only)
    translate = make_translate(generator, kind, run.seed, output.aspect_ratio, multiple)
    if output.tile is not None:
        tiling = tiles.Tiling(output.tile, output.overlap, output.tile_statistics)
        channels = options.pair.channels
        tiled = tiles.build(generator, channels, options.model, tiling)
        translate = by_tiles(translate, tiled, kind, tiling, run.seed)
    started = time.perf_counter()
    num_batches, network_s = 0, 0.0
    num_images = len(source)
    if run.max_steps:
        num_images = min(num_images, run.max_steps * options.data.batch_size)
    bar = messages.Bar("image", num_images)
    writes = collections.deque()  # (Row, Future), the oldest first
    with concurrent.futures.ThreadPoolExecutor(NUM_WRITERS) as pool:
        try:
            batches = ordered_batches(
                source, kind, options.data, options.image_size, run.max_steps
            )
            for indices, *tensors in batches:
                called = time.perf_counter()
                is_deep = not source.deep.isdisjoint(indices.numpy().tolist())
                number = tf.constant(source.first_batch + num_batches)
                outputs, images = translate(number, *tensors, is_deep=is_deep)
                outputs = outputs.numpy()  # waits for it, on a GPU too
                network_s += time.perf_counter() - called
                for place, index in enumerate(indices.numpy()):
                    row = gallery.Row(source.name(index))
                    one = {name: batch[place] for name, batch in images.items()}
                    write = pool.submit(
                        _write_row, options, row, one, outputs[place], scores
                    )
                    writes.append((row, write))
                _finish(writes, MAX_WAITING, done, bar)
                num_batches += 1
        finally:
            _finish(writes, 0, done, bar)
            bar.close()
    total_s = time.perf_counter() - started
    print(f"rate {total_s / max(num_batches, 1):.4f}")
    print(f"network {network_s / total_s:.0%} of the time")


def _write_row(options, row, images, output, scores):
    """Writes one example: its images, and its output where they do not show it."""
    gallery.write_images(options.run.output_dir, row, images)
    if not options.pair.has_rgb_outputs:
        gallery.write_array(options.run.output_dir, row, output)
    elif not options.data.inputs_only:
        scores.add(row.name, images["outputs"].numpy(), images["targets"].numpy())


def _finish(writes, num_left, done, bar):
    """Waits until at most `num_left` writes are under way; moves the rest to `done`."""
    while len(writes) > num_left:
        row, write = writes.popleft()
        write.result()
        done.append(row)
        bar.advance()
        bar.line(f"evaluated image {files.printable(row.name)}")

"""Train mode: many steps, and when to print, summarise, show and save."""

import contextlib
import itertools
import math
import signal
import sys
import time

import tensorflow as tf
import tqdm

from pix2pix_tf import (
    checkpoints,
    config,
    data,
    gallery,
    networks,
    pairs,
    summaries,
)
from pix2pix_tf.step import make_state, make_train_step


def train(options, paths):
    """Trains, from nothing or from `--checkpoint`, until done or told to stop.

    Args:
        options: Options.
        paths: list of Path, the images.

    Returns:
        int, the number of the signal that stopped it, or 0. It has saved either way.

    Raises:
        UsageError: the checkpoint does not fit, or an image is damaged (after saving).
    """
    run = options.run
    state = make_state(options.pair.channels, options.model, options.loss)
    if run.checkpoint is not None:
        print("loading model from checkpoint")
        checkpoints.restore(state, checkpoints.find_latest(run.checkpoint))
    config.write_options(options)
    print(f"examples count = {len(paths)}")
    parameters = networks.count_parameters(*(network for network, _ in state.trained))
    print(f"parameter_count = {parameters}", flush=True)
    with _catch_signals() as caught:
        _train_steps(options, paths, state, caught)
    return caught[0] if caught else 0


def _train_steps(options, paths, state, caught):
    """Does the steps, and after each what is due."""
    run = options.run
    steps_per_epoch = math.ceil(len(paths) / options.data.batch_size)
    num_steps = _num_steps(run, steps_per_epoch)
    train_step = make_train_step(state, options.loss, run.seed)
    writer = tf.summary.create_file_writer(run.output_dir) if run.summary_freq else None
    names = gallery.unique_names(paths)
    batches = _batches(options, paths, state)
    started = time.perf_counter()
    steps = range(1, num_steps + 1) if num_steps else itertools.count(1)
    for step in tqdm.tqdm(steps, total=num_steps, unit="step", disable=None):
        is_last = step == num_steps
        indices, inputs, targets = next(batches)
        with _trace(run) if _is_due(run.trace_freq, step, is_last) else _UNTRACED:
            result = train_step(inputs, targets)
        if writer and step == 1:
            summaries.write_graph(writer, train_step, inputs, targets)
        if _is_due(run.summary_freq, step, is_last):
            tqdm.tqdm.write("recording summary")
            pictures = _pictures(options, result, inputs, targets)
            summaries.write(writer, state, result, pictures)
        if _is_due(run.display_freq, step, is_last):
            tqdm.tqdm.write("saving display images")
            pictures = _pictures(options, result, inputs, targets)
            _show(run, state, [names[index] for index in indices.numpy()], pictures)
        del result  # frees the gradients before the next step needs the memory
        if _is_due(run.progress_freq, step, is_last):
            rate = step * options.data.batch_size / (time.perf_counter() - started)
            steps_left = num_steps - step if num_steps else None
            _report(options, state, steps_per_epoch, rate, steps_left)
        if _is_due(run.save_freq, step, is_last) or caught:
            _save(run, state)
        if caught:
            return


def _num_steps(run, steps_per_epoch):
    """Returns how many steps this run does, or None where nothing bounds it."""
    if run.max_steps:
        return run.max_steps
    return run.max_epochs * steps_per_epoch if run.max_epochs else None


def _is_due(freq, step, is_last):
    """Says whether it is time: every `freq` steps and after the last; 0 is never."""
    return freq > 0 and (step % freq == 0 or is_last)


def _batches(options, paths, state):
    """Yields training batches; names a damaged file, after saving the work so far."""
    position = int(state.position)
    batches = iter(
        data.train_batches(
            paths, options.pair, options.data, options.run.seed, position
        )
    )
    while True:
        try:
            batch = next(batches)
        except tf.errors.OpError as error:
            if int(state.global_step) > 0:
                _save(options.run, state)
            data.raise_damaged(error, paths, options.pair)
        yield batch


def _pictures(options, result, inputs, targets):
    return pairs.to_pictures(
        inputs, result.outputs, targets, options.pair, options.run.aspect_ratio
    )


def _show(run, state, names, pictures):
    """Writes a batch's pictures and lists them in the index."""
    for number, name in enumerate(names):
        row = gallery.Row(name, int(state.global_step))
        gallery.write_pictures(
            run.output_dir,
            row,
            {kind: batch[number] for kind, batch in pictures.items()},
        )
    gallery.write_index(run.output_dir, gallery.training_rows(run.output_dir))


def _report(options, state, steps_per_epoch, rate, steps_left):
    """Prints the original's lines of progress; `rate` is in images a second."""
    global_step = int(state.global_step)
    epoch = math.ceil(global_step / steps_per_epoch)
    epoch_step = (global_step - 1) % steps_per_epoch + 1
    line = f"progress  epoch {epoch}  step {epoch_step}  image/sec {rate:.1f}"
    if steps_left is not None:
        minutes = steps_left * options.data.batch_size / rate / 60
        line += f"  remaining {int(minutes)}m"
    tqdm.tqdm.write(line)
    for name, average in state.ema.items():
        label = name.replace("discriminator", "discrim").replace("generator", "gen")
        tqdm.tqdm.write(f"{label} {float(average):.6g}")
    sys.stdout.flush()


def _save(run, state):
    tqdm.tqdm.write("saving model")
    checkpoints.save(state, run.output_dir, run.keep_checkpoints)


@contextlib.contextmanager
def _trace(run):
    """Profiles what happens inside, for TensorBoard's profile page."""
    tqdm.tqdm.write("recording trace")
    with tf.profiler.experimental.Profile(run.output_dir):
        yield


_UNTRACED = contextlib.nullcontext()


@contextlib.contextmanager
def _catch_signals():
    """Yields a list that receives the number of the first SIGINT or SIGTERM.

    The second one has its usual effect at once.
    """
    caught = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}

    def catch(number, _):
        caught.append(number)
        _restore_handlers(previous)
        tqdm.tqdm.write("stopping: saving after this step (once more to quit at once)")

    for number in numbers:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        _restore_handlers(previous)


def _restore_handlers(previous):
    for number, handler in previous.items():
        signal.signal(number, handler)

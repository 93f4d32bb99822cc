"""Training: many steps, and when to print, summarise, show and save.

`train` is pix2pix's; `run` is the loop itself, for any Task.
"""

import contextlib
import dataclasses
import itertools
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tqdm

from pix2pix_tf import checkpoints, data, networks
from pix2pix_tf.images import kinds
from pix2pix_tf.inference import gallery
from pix2pix_tf.options import (
    CHECKPOINT_PREFIX,
    OPTIONS_NAME,
    is_resumed,
    write_options,
)
from pix2pix_tf.runtime import files, signals
from pix2pix_tf.runtime.errors import RunError, UsageError
from pix2pix_tf.training import faults, losses, schedules, validation
from pix2pix_tf.training.monitor import Monitor
from pix2pix_tf.training.step import (
    TrainState,
    checked_names,
    make_state,
    make_train_step,
    schedule_rates,
)


@dataclasses.dataclass(frozen=True)
class Task:
    """What the loop trains, and on what: all that it does not know itself."""

    title: str  # of the index page
    state: TrainState
    num_examples: int  # in an epoch
    batch_size: int
    # () -> iterator of (indices, *tensors), from `state.position` on; it may raise
    # UsageError for a damaged file.
    batches: Callable
    train_step: Callable  # (*tensors) -> Forward; compiled
    # (Forward, *tensors) -> {kind: uint8 [count, height, width, 3]}
    to_pictures: Callable
    to_names: Callable  # (indices) -> [name, ...], one for each of the pictures
    threshold: float | None = None  # as `losses.decision_threshold` gives it
    validator: validation.Validator | None = None

    @property
    def steps_per_epoch(self):
        return math.ceil(self.num_examples / self.batch_size)


def train(options, source, callbacks=()):
    """Trains pix2pix until done or stopped.

    Args:
        options: Options.
        source: data.Source.
        callbacks: as in `run`.

    Returns, Raises: as `run`.
    """
    state = make_state(
        options.pair.channels,
        options.model,
        options.loss,
        options.optimizer,
        options.execution.precision,
    )

    kind = kinds.kind_of(options.pair)

    def to_pictures(result, inputs, targets):
        return kinds.to_images(
            kind, inputs, result.outputs, targets, options.output.aspect_ratio
        )

    validator = None
    if options.validation.val_dir is not None:
        validator = validation.Validator(options, state)
    if state.discriminator is not None:
        print(networks.describe_discriminator(options.model))
    task = Task(
        title="pix2pix",
        state=state,
        num_examples=len(source),
        batch_size=options.data.batch_size,
        batches=lambda: _batches(options, source, int(state.position)),
        train_step=make_train_step(
            state, options.loss, options.run.seed, options.execution.xla
        ),
        to_pictures=to_pictures,
        to_names=lambda indices: [source.name(i) for i in indices.numpy()],
        threshold=losses.decision_threshold(options.loss.gan_mode),
        validator=validator,
    )
    return run(options, task, callbacks)


def run(options, task, callbacks=()):
    """Does a Task's steps, until done or stopped.

    It starts from nothing, from `--checkpoint`, or with `--resume auto` from where the
    run in its output folder was.

    Args:
        options: Options, or another dataclass with the same `run`, `monitor` and
            `optimizer`; it is saved with the work.
        task: Task.
        callbacks: functions (step, {tag: float}), called with the scalars of each
            summary and validation.

    Returns:
        int, the number of the signal that stopped it, or 0. It has saved either way.

    Raises:
        UsageError: the checkpoint does not fit, or an image is damaged (after saving).
        RunError: a step's numbers are not finite.
        OSError: something cannot be written (after saving, where that can be done).
    """
    state = task.state
    prefix = _restore(options.run, task)
    _schedule_rates(options, task)
    if not is_resumed(options.run):
        validation.forget(options.run.output_dir)
    write_options(options)
    output_dir = Path(options.run.output_dir)
    for folder in (output_dir, output_dir / validation.BEST_DIR):
        files.remove_partials(folder)
    files.remove_partials(output_dir / gallery.IMAGES_NAME, recursive=True)
    print(f"examples count = {task.num_examples}")
    parameters = networks.count_parameters(*(network for network, _ in state.trained))
    print(f"parameter_count = {parameters}", flush=True)
    saver = _Saver(options, state, prefix)
    with signals.catch_signals() as caught:
        _train_steps(options, task, saver, callbacks, caught)
    return caught[0] if caught else 0


def _restore(run, task):
    """Sets the state that the run starts from; returns its checkpoint's prefix."""
    state, goes_on = task.state, is_resumed(run)
    if not goes_on and run.checkpoint is None:
        return None
    print("loading model from checkpoint")
    folder = run.output_dir if goes_on else run.checkpoint
    prefix = checkpoints.find_latest(folder)
    checkpoints.restore(state, prefix, task.batch_size)
    if goes_on:
        print(f"resuming after step {int(state.global_step)}")
    else:
        state.first_step.assign(state.global_step)
    return prefix


def _schedule_rates(options, task):
    """Makes the learning rates of a restored state follow `--lr_policy`."""
    if options.optimizer.lr_policy == "constant":
        return
    num_steps = _num_steps(options.run, task.steps_per_epoch)
    first_step = int(task.state.first_step)
    schedule_rates(
        task.state,
        options.optimizer,
        schedules.decay_span(
            options.optimizer, first_step, num_steps, task.steps_per_epoch
        ),
    )


def _train_steps(options, task, saver, callbacks, caught):
    """Does the steps, and after each what is due."""
    run, monitoring, state = options.run, options.monitor, task.state
    first_step = int(state.first_step)
    done = int(state.global_step) - first_step
    steps_per_epoch = task.steps_per_epoch
    num_steps = _num_steps(run, steps_per_epoch)
    is_validation_owed = _is_validation_owed(task, done, num_steps)
    if not is_validation_owed and (reason := _why_done(task, done, num_steps)):
        print(f"nothing to do: {reason}")
        return
    has_writer = bool(monitoring.summary_freq or task.validator)
    monitor = Monitor(options, first_step + done, callbacks, has_writer)
    if is_validation_owed:
        _validate(task, monitor, caught)
        if caught or _why_done(task, done, num_steps):
            return
    watch = faults.FiniteWatch(checked_names(state), monitoring.on_nan)
    batches = task.batches()
    started = time.perf_counter()
    bar = _bar(num_steps, done, task.batch_size)
    steps = range(done + 1, num_steps + 1) if num_steps else itertools.count(done + 1)
    for step in steps:
        is_last = step == num_steps
        with saver.saving_first(), monitor.meter.waiting(task.batch_size):
            indices, *tensors = next(batches)
        with _trace(run, _is_due(monitoring.trace_freq, step, is_last)):
            result = task.train_step(*tensors)
        bar.update(task.batch_size)
        with saver.naming_the_last():
            watch.see(first_step + step, result.is_finite)
        with saver.saving_first():
            if monitoring.summary_freq and step == done + 1:
                monitor.show_graph(task.train_step, *tensors)
        if task.validator and _is_due(task.validator.freq, step, is_last):
            with saver.naming_the_last():
                watch.look()
            saver.save()  # `model-best` is never ahead of where a killed run goes on
            is_last |= _validate(task, monitor, caught)
        with saver.saving_first():
            _record(options, task, monitor, step, is_last, indices, tensors, result)
        del result  # frees the gradients before the next step needs the memory
        if _is_due(monitoring.progress_freq, step, is_last):
            rate = (step - done) * task.batch_size / (time.perf_counter() - started)
            steps_left = num_steps - step if num_steps else None
            _report(task, steps_per_epoch, rate, steps_left)
        is_stopping = bool(caught)
        if is_stopping:
            tqdm.tqdm.write(f"stopping on signal {caught[0]}")
        is_save_due = is_stopping or saver.is_due(step, is_last)
        if is_save_due or is_last:
            with saver.naming_the_last():
                watch.look()
        if is_save_due:
            saver.save()
        if is_stopping or is_last:
            break
    bar.close()
    if watch.num_skipped:
        print(f"skipped {watch.num_skipped} steps whose numbers were not finite")


class _Saver:
    """Saves a run's work, and knows what is saved."""

    def __init__(self, options, state, prefix):
        """Takes the Options, TrainState, and the checkpoint it comes from, or None."""
        self._options, self._state = options, state
        self._run, self._monitoring = options.run, options.monitor
        self._prefix = prefix
        self._saved_at = time.monotonic()

    def is_due(self, step, is_last):
        """Says whether it is time to save."""
        minutes = (time.monotonic() - self._saved_at) / 60
        is_late = 0 < self._monitoring.save_minutes <= minutes
        return is_late or _is_due(self._monitoring.save_freq, step, is_last)

    def save(self):
        """Saves, unless that is done already; Raises: as `checkpoints.save`."""
        output_dir, step = Path(self._run.output_dir), int(self._state.global_step)
        prefix = str(output_dir / f"{CHECKPOINT_PREFIX}{step}")
        if prefix == self._prefix:
            return
        tqdm.tqdm.write("saving model")
        if not (output_dir / OPTIONS_NAME).exists():  # the folder was removed
            write_options(self._options)
        checkpoints.save(self._state, output_dir, self._monitoring.keep_checkpoints)
        self._prefix, self._saved_at = prefix, time.monotonic()

    @contextlib.contextmanager
    def saving_first(self):
        """Saves the work so far, if that can be done, where what is inside fails."""
        try:
            yield
        except (tf.errors.OpError, UsageError, OSError):
            if int(self._state.global_step) > int(self._state.first_step):
                try:
                    self.save()
                except (UsageError, OSError) as error:
                    tqdm.tqdm.write(f"warning: {error}")
            raise

    @contextlib.contextmanager
    def naming_the_last(self):
        """Adds the last checkpoint to a RunError."""
        try:
            yield
        except RunError as error:
            last = f"the last good checkpoint is {self._prefix}"
            if self._prefix is None:
                last = "there is no checkpoint yet (--save_freq, --save_minutes)"
            raise RunError(f"{error}; {last}") from None


def _bar(num_steps, done, batch_size):
    """Returns a progress bar that counts images, on a terminal only."""
    total = num_steps * batch_size if num_steps else None
    return tqdm.tqdm(total=total, initial=done * batch_size, unit="image", disable=None)


def _record(options, task, monitor, step, is_last, indices, tensors, result):
    """Writes the summaries and pictures that are due."""
    is_summary_due = _is_due(options.monitor.summary_freq, step, is_last)
    is_display_due = _is_due(options.monitor.display_freq, step, is_last)
    if not (is_summary_due or is_display_due):
        return
    pictures = task.to_pictures(result, *tensors)
    if is_summary_due:
        tqdm.tqdm.write("recording summary")
        monitor.show_step(task.state, result, pictures, task.threshold)
    if is_display_due:
        tqdm.tqdm.write("saving display images")
        _show(options.run, task, task.to_names(indices), pictures)


def _why_done(task, done, num_steps):
    """Returns why there is no step to do, as text, or None where there is one."""
    if num_steps and done >= num_steps:
        return f"{done} of {num_steps} steps are done"
    return task.validator.why_stop() if task.validator else None


def _is_validation_owed(task, done, num_steps):
    """Says whether the run was stopped or killed before its validation's end."""
    if not (task.validator and done):
        return False
    if not _is_due(task.validator.freq, done, done == num_steps):
        return False
    return not task.validator.is_done()


def _validate(task, monitor, caught):
    """Validates; returns whether training is to end by `--patience`."""
    found = task.validator.validate(caught)
    if found is None:
        tqdm.tqdm.write(
            f"validation left by signal {caught[0]}: with --resume auto it comes first"
        )
        return False
    monitor.show_validation(task.state, found)
    figures = "  ".join(
        f"{tag.removeprefix('validation/')} {value:.6g}"
        for tag, value in found.scalars.items()
    )
    best = "  (the best so far)" if found.is_best else ""
    tqdm.tqdm.write(f"validation  step {int(task.state.global_step)}  {figures}{best}")
    reason = task.validator.why_stop()
    if reason:
        tqdm.tqdm.write(f"stopping: {reason}")
    return reason is not None


def _num_steps(run, steps_per_epoch):
    """Returns how many steps this run does, or None where nothing bounds it."""
    if run.max_steps:
        return run.max_steps
    return run.max_epochs * steps_per_epoch if run.max_epochs else None


def _is_due(freq, step, is_last):
    """Says whether it is time: every `freq` steps and after the last; 0 is never."""
    return freq > 0 and (step % freq == 0 or is_last)


def _batches(options, source, position):
    """Yields pix2pix's training batches; an unusable example is named."""
    batches = data.train_batches(
        source,
        kinds.kind_of(options.pair),
        options.data,
        options.model.crop_size,
        options.run.seed,
        position,
    )
    yield from data.iterate(batches, source)


def _show(run, task, names, pictures):
    """Writes a batch's pictures and lists them in the index."""
    for number, name in enumerate(names):
        row = gallery.Row(name, int(task.state.global_step))
        gallery.write_pictures(
            run.output_dir,
            row,
            {kind: batch[number] for kind, batch in pictures.items()},
        )
    kinds = tuple(pictures)
    rows = gallery.training_rows(run.output_dir, kinds)
    gallery.write_index(run.output_dir, rows, kinds, task.title)


def _report(task, steps_per_epoch, rate, steps_left):
    """Prints the original's lines of progress; `rate` is in images a second."""
    global_step = int(task.state.global_step)
    epoch = math.ceil(global_step / steps_per_epoch)
    epoch_step = (global_step - 1) % steps_per_epoch + 1
    line = f"progress  epoch {epoch}  step {epoch_step}  image/sec {rate:.1f}"
    if steps_left is not None:
        minutes = steps_left * task.batch_size / rate / 60
        line += f"  remaining {int(minutes)}m"
    tqdm.tqdm.write(line)
    for name, average in task.state.ema.items():
        label = name.replace("discriminator", "discrim").replace("generator", "gen")
        tqdm.tqdm.write(f"{label} {float(average):.6g}")
    sys.stdout.flush()


@contextlib.contextmanager
def _trace(run, is_due):
    """Profiles what happens inside, for TensorBoard's profile page, if it is due."""
    if not is_due:
        yield
        return
    tqdm.tqdm.write("recording trace")
    with tf.profiler.experimental.Profile(run.output_dir):
        yield

"""The training loop: `run` trains any Task, and `train` calls it for pix2pix."""

import contextlib
import dataclasses
import functools
import itertools
import math
import shlex
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from pix2pix_tf import checkpoints, data, networks
from pix2pix_tf.checkpoints import TrainState
from pix2pix_tf.images import kinds
from pix2pix_tf.inference import gallery
from pix2pix_tf.options import Options, ValidationConfig, is_resumed, write_options
from pix2pix_tf.runtime import files, messages, signals
from pix2pix_tf.training import (
    faults,
    losses,
    schedules,
    seen_data,
    strategy,
    validation,
)
from pix2pix_tf.training.due import find_due, is_due
from pix2pix_tf.training.progress import Progress
from pix2pix_tf.training.saver import Saver
from pix2pix_tf.training.step import checked_names, make_state, make_train_step
from pix2pix_tf.training.summaries import Monitor


@dataclasses.dataclass(frozen=True)
class Task:
    """The networks, the data and the step that the loop trains with."""

    title: str  # of the index page
    about: str  # a line under it
    state: TrainState
    num_examples: int | None  # in an epoch; None if that is not known
    batch_size: int
    # () -> iterator of (indices, *tensors) from `state.position` on; it may raise
    # UsageError for a damaged file.
    batches: Callable
    train_step: Callable  # (*tensors) -> StepResult; compiled
    # (StepResult, *tensors) -> {kind: uint8 [count, height, width, 3]}
    to_images: Callable
    to_names: Callable  # (indices) -> [name, ...], one for each image of a kind
    threshold: float | None = None  # from `losses.decision_threshold`
    validator: validation.Validator | None = None
    fingerprints: dict | None = None  # of the data, for `seen_data`
    replicas: strategy.Replicas = dataclasses.field(default_factory=strategy.alone)

    @property
    def steps_per_epoch(self) -> int | None:
        if self.num_examples is None:
            return None
        return math.ceil(self.num_examples / self.batch_size)

    @property
    def val_freq(self) -> int:
        """The training steps from one validation to the next; 0 for none."""
        return self.validator.freq if self.validator else 0


def train(
    options: Options,
    source: data.Source,
    callbacks=(),
    replicas: strategy.Replicas | None = None,
) -> int:
    """Trains pix2pix on the examples of a source; see `run` for the rest."""
    replicas = replicas or strategy.alone()
    replicas.check(options.data.batch_size)
    if not replicas.is_chief:
        options, callbacks = _without_reports(options), ()
    state = start_state(options, replicas)
    validator, fingerprints = None, {"training": source.fingerprint()}
    if options.validation.val_dir is not None:
        held_out = validation.open_source(options)
        fingerprints["validation"] = held_out.fingerprint()
        examples = functools.partial(validation.read_examples, options, held_out)
        validator = validation.Validator(options, state, examples)
    task = make_task(
        options,
        state,
        batches=lambda: _batches(options, source, replicas, int(state.position)),
        num_examples=len(source),
        name_of=source.name,
        validator=validator,
        fingerprints=fingerprints,
        replicas=replicas,
    )
    stopped_by = run(options, task, callbacks)
    if not stopped_by:
        _print_next_commands(options)
    return stopped_by


def _print_next_commands(options):
    """Prints how to watch, test and export what was trained."""
    folder = options.run.output_dir
    train = ["python", "-m", "pix2pix_tf.train", "--mode"]
    test = [*train, "test", "--checkpoint", folder]
    if options.data.input_dir is not None:
        others = Path(options.data.input_dir).with_name("test")
        test += ["--input_dir", str(others) if others.is_dir() else "FOLDER"]
    export = [*train, "export", "--checkpoint", folder, "--no_dropout"]
    for command in (test, export, ["tensorboard", "--logdir", folder]):
        messages.say(f"next: {shlex.join(command)}")


def _without_reports(options):
    """Returns the options of a process that is not the chief: it trains and waits."""
    monitor = dataclasses.replace(
        options.monitor, progress_freq=0, summary_freq=0, display_freq=0, trace_freq=0
    )
    return dataclasses.replace(
        options,
        monitor=dataclasses.replace(monitor, save_minutes=0.0),
        validation=ValidationConfig(),
    )


def start_state(options: Options, replicas: strategy.Replicas) -> TrainState:
    """Returns the TrainState of new networks that the options describe."""
    return make_state(
        options.pair.channels,
        options.model,
        options.loss,
        options.optimizer,
        options.execution.precision,
        any_size=not options.data.has_window,
        scope=replicas.scope,
    )


def make_task(
    options: Options,
    state: TrainState,
    batches: Callable,
    num_examples: int | None,
    name_of: Callable,
    validator: validation.Validator | None,
    fingerprints: dict[str, dict],
    replicas: strategy.Replicas,
) -> Task:
    """Returns the Task of pix2pix for any data.

    Args:
        options: Options.
        state: TrainState.
        batches, num_examples, validator: as in Task.
        name_of: function (index of an example) -> the name of its images.
        fingerprints: of the data, for `seen_data`.
        replicas: those that `batches` has parts for.

    Raises:
        UsageError: the data of a resumed run have changed.
    """
    seen_data.check(options, fingerprints)
    if state.discriminator is not None:
        any_size = not options.data.has_window
        print(networks.describe_discriminator(options.model, any_size))
    kind = kinds.kind_of(options.pair)

    def to_images(result, inputs, targets):
        inputs, targets = replicas.join(inputs), replicas.join(targets)
        return kinds.to_images(
            kind, inputs, result.outputs, targets, options.output.aspect_ratio
        )

    return Task(
        title="pix2pix",
        about="images of the training batches, by step",
        state=state,
        num_examples=num_examples,
        batch_size=options.data.batch_size,
        batches=batches,
        train_step=make_train_step(
            state, options.loss, options.run.seed, options.execution.xla, replicas
        ),
        to_images=to_images,
        to_names=lambda indices: [name_of(i) for i in replicas.join(indices).numpy()],
        threshold=losses.decision_threshold(options.loss.gan_mode),
        validator=validator,
        fingerprints=fingerprints,
        replicas=replicas,
    )


def run(options, task: Task, callbacks=()) -> int:
    """Trains until the last step or until a signal, which also saves a checkpoint.

    It starts at step 0, from `--checkpoint`, or with `--resume auto` from the newest
    checkpoint in the output folder.

    Args:
        options: Options, or another dataclass with the same `run`, `monitor` and
            `optimizer`. They are saved with the checkpoints.
        task: Task.
        callbacks: functions (step, {tag: float}), called with the scalars of each
            summary and validation.

    Returns:
        The number of the signal that stopped the training, or 0.

    Raises:
        UsageError: the checkpoint does not fit, or an image is damaged (after saving).
        RunError: a loss or a gradient is not finite.
        OSError: a file cannot be written (after saving, if that is possible).
    """
    state = task.state
    prefix = _restore(options.run, task)
    _schedule_rates(options, task)
    if task.replicas.is_chief:
        _prepare_folder(options, task)
    if task.num_examples is not None:
        print(f"examples count = {task.num_examples}")
    parameters = networks.count_parameters(*(network for network, _ in state.trained))
    print(f"parameter_count = {parameters}", flush=True)
    saver = Saver(options, state, prefix, task.replicas.is_chief)
    with signals.catch_signals() as caught:
        agreement = task.replicas.agree(caught)
        _train_steps(options, task, saver, callbacks, agreement)
        stopped_by = agreement.signals[0] if agreement.signals else 0
    messages.say(f"saved {saver.prefix}" if saver.prefix else "nothing was saved")
    if stopped_by:
        flags = ["--resume", "auto", "--output_dir", options.run.output_dir]
        messages.say(f"to continue: the same command with {shlex.join(flags)}")
    return stopped_by


def _prepare_folder(options, task):
    """Writes what the run is, and removes what earlier ones left unfinished."""
    output_dir = Path(options.run.output_dir)
    if not is_resumed(options.run):
        validation.forget(output_dir)
    write_options(options)
    if task.fingerprints is not None:
        seen_data.store(output_dir, task.fingerprints)
    for folder in (output_dir, output_dir / validation.BEST_DIR):
        files.remove_partials(folder)
    files.remove_partials(output_dir / gallery.IMAGES_NAME, recursive=True)


def _restore(run, task):
    """Restores the state that the run starts from; returns the checkpoint's prefix."""
    state, resumes = task.state, is_resumed(run)
    if not resumes and run.checkpoint is None:
        return None
    print("loading model from checkpoint")
    prefix = checkpoints.find(run.output_dir if resumes else run.checkpoint)
    new = checkpoints.restore(state, prefix, task.batch_size, is_new_run=not resumes)
    if new:
        print(f"{prefix} does not have {', '.join(new)}: these start anew")
    if resumes:
        print(f"resuming after step {int(state.global_step)}")
    else:
        state.first_step.assign(state.global_step)
    return prefix


def _schedule_rates(options, task):
    """Makes the learning rates of a restored state follow `--lr_policy`."""
    if options.optimizer.lr_policy == "constant":
        return
    span = schedules.decay_span(
        options.optimizer,
        int(task.state.first_step),
        _num_steps(options.run, task.steps_per_epoch),
        task.steps_per_epoch,
    )
    schedules.schedule_rates(task.state, options.optimizer, span)


def _train_steps(options, task, saver, callbacks, agreement):
    """Runs the steps, and after each one what is due."""
    state, monitor_config, caught = task.state, options.monitor, agreement.signals
    first_step = int(state.first_step)
    done = int(state.global_step) - first_step
    num_steps = _num_steps(options.run, task.steps_per_epoch)
    is_validation_owed = _is_validation_owed(task, done, num_steps)
    if not is_validation_owed and (reason := _why_done(task, done, num_steps)):
        print(f"nothing to do: {reason}")
        return
    monitor = Monitor(options, first_step + done, callbacks, bool(task.validator))
    if is_validation_owed:
        _validate(task, monitor, caught)
        if caught or _why_done(task, done, num_steps):
            return
    watch = faults.FiniteWatch(
        checked_names(state), monitor_config.on_nan, saver.describe_last
    )
    batches = task.batches()
    progress = Progress(task, done, num_steps)
    record = functools.partial(_record, options.run, task, monitor, progress)
    for step in itertools.count(done + 1):
        minutes = saver.minutes_since_save()
        is_last = step == num_steps
        due = find_due(monitor_config, task.val_freq, step, is_last, minutes)
        with saver.saving_on_failure(), monitor.meter.waiting(task.batch_size):
            indices, *tensors = next(batches)
        with _trace(options.run, progress, due.trace):
            result = task.train_step(*tensors)
        progress.advance()
        watch.see(first_step + step, result.is_finite)
        if step == done + 1:
            with saver.saving_on_failure():
                monitor.show_graph(task.train_step, *tensors)
        # Before any save: a run that is killed after a save resumes at the next step.
        with saver.saving_on_failure():
            record(due, indices, tensors, result)
        if due.validation:
            watch.look()
            progress.do("validating", has_line=False)
            saver.save()  # so that a killed run never resumes before `model-best`
            if _validate(task, monitor, caught):
                is_last, recorded = True, due
                due = find_due(monitor_config, task.val_freq, step, is_last, minutes)
                with saver.saving_on_failure():
                    missed = due.without(recorded)
                    record(missed, indices, tensors, result)
        del result  # frees the gradients, because the next step needs the memory
        if due.progress:
            progress.report()
        agreement.look()
        is_stopping = bool(caught)
        if is_stopping:
            messages.say(f"stopping on signal {caught[0]}")
        if due.save or is_stopping or is_last:
            watch.look()
        if due.save or is_stopping:
            saver.save()
        if is_stopping or is_last:
            break
    progress.close()
    if watch.num_skipped:
        print(f"skipped {watch.num_skipped} steps whose numbers were not finite")


def _record(run, task, monitor, progress, due, indices, tensors, result):
    """Writes the summaries and the images that are due."""
    if not (due.summary or due.display):
        return
    images = task.to_images(result, *tensors)
    if due.summary:
        progress.do("recording summary")
        monitor.show_step(task.state, result, images, task.threshold)
    if due.display:
        progress.do("saving display images")
        _show(run, task, task.to_names(indices), images)


def _why_done(task, done, num_steps):
    """Returns the reason why no step is left, as text, or None if one is left."""
    if num_steps and done >= num_steps:
        return f"{done} of {num_steps} steps are done"
    return task.validator.why_stop() if task.validator else None


def _is_validation_owed(task, done, num_steps):
    """Returns True if the run was stopped or killed during its last validation."""
    return bool(
        done
        and is_due(task.val_freq, done, done == num_steps)
        and not task.validator.is_done()
    )


def _validate(task, monitor, caught):
    """Validates; returns True if training must end because of `--patience`."""
    found = task.validator.validate(caught)
    if found is None:
        messages.say(
            f"validation left by signal {caught[0]}: with --resume auto it comes first"
        )
        return False
    monitor.show_validation(task.state, found)
    task.validator.record(found)  # last, so that a killed run repeats what is missing
    scores = "  ".join(
        f"{tag.removeprefix('validation/')} {value:.6g}"
        for tag, value in found.scalars.items()
    )
    best = "  (the best so far)" if found.is_best else ""
    messages.say(f"validation  step {int(task.state.global_step)}  {scores}{best}")
    reason = task.validator.why_stop()
    if reason:
        messages.say(f"stopping: {reason}")
    return reason is not None


def _num_steps(run, steps_per_epoch):
    """Returns the number of steps of this run, or None if it has no limit."""
    if run.max_steps:
        return run.max_steps
    return run.max_epochs * steps_per_epoch if run.max_epochs else None


def _batches(options, source, replicas, position):
    """Yields the training batches of pix2pix; errors name the example at fault."""

    def make(batch_size, shard):
        return data.train_batches(
            source,
            kinds.kind_of(options.pair),
            dataclasses.replace(options.data, batch_size=batch_size),
            options.model.crop_size,
            options.run.seed,
            position,
            options.model.multiple,
            shard,
        )

    batches = replicas.batches(make, options.data.batch_size)
    yield from data.iterate(batches, source)


def _show(run, task, names, images):
    """Writes a batch's images and lists them in the index."""
    for number, name in enumerate(names):
        row = gallery.Row(name, int(task.state.global_step))
        own = {kind: batch[number] for kind, batch in images.items()}
        gallery.write_images(run.output_dir, row, own)
    kinds = tuple(images)
    rows = gallery.training_rows(run.output_dir, kinds)
    gallery.write_index(
        run.output_dir, rows, kinds, f"{task.title} training", task.about
    )


@contextlib.contextmanager
def _trace(run, progress, is_due):
    """If a trace is due, profiles the block for TensorBoard's profile page."""
    if not is_due:
        yield
        return
    progress.do("recording trace")
    with tf.profiler.experimental.Profile(run.output_dir):
        yield
    messages.say(
        "wrote a profile: TensorBoard shows it after pip install "
        "tensorboard-plugin-profile"
    )

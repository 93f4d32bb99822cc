"""What every run needs around its work: the lock, TensorFlow, seeds, the precision.

Nothing here imports TensorFlow before `holding` starts it quietly.
"""

import contextlib
import dataclasses
import functools

from pix2pix_tf.options import (
    ExecutionConfig,
    Options,
    check_output_dir,
    describe_changed,
)
from pix2pix_tf.runtime import cluster, locks, messages, streams
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import seed_everything, start_tensorflow


@contextlib.contextmanager
def holding(options, execution=ExecutionConfig()):  # noqa: B008  frozen
    """Context manager that holds the output folder and starts TensorFlow with seeds.

    It yields the strategy.Replicas. Of several processes only the chief holds the
    folder, and prints to stdout.

    Args:
        options: Options, or another dataclass with the same `run`.
        execution: ExecutionConfig, which says what to train on.

    Raises:
        UsageError: the output folder cannot be used, or another process uses it; or
            there are too few devices.
        RunError: the block ran out of memory, or another process is lost.
    """
    check_output_dir(options.run)
    processes = None
    if execution.strategy == "multi_worker":
        processes = cluster.read_cluster()
    is_chief = processes is None or processes.is_chief
    is_quiet = options.run.quiet or not is_chief
    with contextlib.ExitStack() as held:
        if is_chief:
            held.enter_context(locks.hold(options.run.output_dir))
            check_output_dir(options.run)  # again: another run may have ended meanwhile
        if is_quiet:
            held.enter_context(streams.without_stdout())
        if processes is not None:
            num_others = len(processes.addresses) - 1
            messages.say(f"waiting for the other processes of TF_CONFIG: {num_others}")
        replicas = start_tensorflow(
            functools.partial(_find_replicas, execution, processes)
        )
        from pix2pix_tf.training import faults

        seed_everything(options.run.seed, options.run.deterministic)
        with faults.explain_memory(options), replicas.explaining_loss():
            yield replicas


def _find_replicas(execution, processes):
    from pix2pix_tf.training import strategy

    return strategy.make(execution, processes)


def print_options(options) -> None:
    """Prints the options that are not defaults; call it after the cheap checks."""
    lines = describe_changed(options).splitlines()
    messages.say("\n".join(map(printable, lines)))


@contextlib.contextmanager
def in_precision(options: Options):
    """Context manager that sets the dtype policy and, in training, the convolutions.

    Afterwards those from before are set again.

    It yields the options; in training with `--emulate_16bit` and `--convolutions`
    decided. They are saved with the run: a resumed run uses the same arithmetic.
    """
    from pix2pix_tf.networks import forms
    from pix2pix_tf.runtime import precision, processor

    execution, is_training = options.execution, options.run.mode == "train"
    if is_training and execution.convolutions == "auto":
        execution = dataclasses.replace(
            execution, convolutions=forms.class_of_this_machine()
        )
    is_open = is_training and execution.emulate_16bit == "auto"
    if is_open and execution.precision != "float32":
        emulates = precision.should_emulate(execution.precision, processor.features())
        if emulates:
            messages.warn(
                f"--precision {execution.precision} gains no speed on this processor: "
                "training computes in float32 and rounds to 16 bits"
            )
        execution = dataclasses.replace(
            execution, emulate_16bit="on" if emulates else "off"
        )
    with contextlib.ExitStack() as applied:
        is_emulating = execution.emulate_16bit == "on"
        applied.enter_context(precision.applied(execution.precision, is_emulating))
        if is_training:
            applied.enter_context(forms.applied(execution.convolutions))
        yield dataclasses.replace(options, execution=execution)

"""What every run needs around its work: the lock, TensorFlow, seeds, the precision.

Nothing here imports TensorFlow before `holding` starts it quietly.
"""

import contextlib
import dataclasses

from pix2pix_tf.options import Options, check_output_dir, describe_changed
from pix2pix_tf.runtime import locks, messages, streams
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import seed_everything, start_tensorflow


@contextlib.contextmanager
def holding(options):
    """Context manager that holds the output folder and starts TensorFlow with seeds.

    Args:
        options: Options, or another dataclass with the same `run`.

    Raises:
        UsageError: the output folder cannot be used, or another process uses it.
        RunError: the block ran out of memory.
    """
    check_output_dir(options.run)
    with locks.hold(options.run.output_dir):
        check_output_dir(options.run)  # again: another run may have ended meanwhile
        start_tensorflow()
        from pix2pix_tf.training import faults

        seed_everything(options.run.seed, options.run.deterministic)
        quiet = streams.without_stdout if options.run.quiet else contextlib.nullcontext
        with quiet(), faults.explain_memory(options):
            yield


def print_options(options) -> None:
    """Prints the options that are not defaults; call it after the cheap checks."""
    lines = describe_changed(options).splitlines()
    messages.say("\n".join(map(printable, lines)))


@contextlib.contextmanager
def in_precision(options: Options):
    """Context manager that sets the dtype policy, then restores the previous one.

    It yields the options with `--emulate_16bit` decided. They are saved with the run,
    so that a resumed run uses the same arithmetic.
    """
    from pix2pix_tf.runtime import precision, processor

    execution = options.execution
    is_open = options.run.mode == "train" and execution.emulate_16bit == "auto"
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
    with precision.applied(execution.precision, execution.emulate_16bit == "on"):
        yield dataclasses.replace(options, execution=execution)

"""Faults in a step: losses or gradients that are not finite, and too little memory."""

import contextlib
from collections.abc import Callable

import tensorflow as tf

from pix2pix_tf.options import FLAGS, Options, to_dict, value_text
from pix2pix_tf.runtime import messages
from pix2pix_tf.runtime.errors import RunError

MAX_SKIPPED = 20  # steps in a row
MAX_LISTED = 3  # losses and gradients, in a message


class FiniteWatch:
    """Checks that the losses and gradients of each step were finite.

    It reads the result of a step after the next step has started, so that a GPU does
    not wait. `step.update` never applies an update that is not finite.

    Args:
        names: list of str from `step.checked_names`.
        on_nan: "stop" or "skip".
        describe_last: function that takes nothing and returns a text about the last
            checkpoint.

    Attributes:
        num_skipped: int, the number of updates that were skipped so far.
    """

    def __init__(self, names: list[str], on_nan: str, describe_last: Callable):
        self.num_skipped = 0
        self._names = names
        self._on_nan = on_nan
        self._describe_last = describe_last
        self._in_a_row = 0
        self._waiting = None  # (global step, StepResult.is_finite)

    def see(self, global_step: int, is_finite) -> None:
        """Keeps `StepResult.is_finite` of a step, and checks that of the step before.

        Raises:
            RunError: the step before was not finite, and the run must end.
        """
        self.look()
        self._waiting = global_step, is_finite

    def look(self) -> None:
        """Checks the step that was kept, if there is one.

        Raises:
            RunError: it was not finite, and the run must end.
        """
        if self._waiting is None:
            return
        global_step, is_finite = self._waiting
        self._waiting = None
        is_finite = is_finite.numpy()
        if is_finite.all():
            self._in_a_row = 0
            return
        checks = zip(self._names, is_finite, strict=True)
        names = [name for name, is_fine in checks if not is_fine]
        listed = ", ".join(names[:MAX_LISTED])
        if len(names) > MAX_LISTED:
            listed += f" and {len(names) - MAX_LISTED} more"
        problem = f"step {global_step}: not finite: {listed}"
        self.num_skipped += 1
        self._in_a_row += 1
        if self._on_nan == "stop":
            raise RunError(f"{problem}; {self._describe_last()}")
        if self._in_a_row == MAX_SKIPPED:
            raise RunError(
                f"{problem}; this is the {MAX_SKIPPED}th step in a row; "
                f"{self._describe_last()}"
            )
        messages.say(f"skipped {problem}")


@contextlib.contextmanager
def explain_memory(options: Options):
    """Context manager that turns memory errors of TensorFlow into errors of one line.

    Raises:
        RunError: there is too little memory; the message names the flags to lower.
        OSError: the disk is full.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        reason = getattr(error, "message", str(error)).partition("\n")[0]
        if "No space left" in reason:
            raise OSError(reason) from None
        raise RunError(
            f"out of memory: lower {memory_flags(options)}: {reason}"
        ) from None


def memory_flags(options: Options) -> str:
    """Returns the flags that determine the memory of a run, with their values."""
    return ", ".join(
        f"--{name} ({value_text(value)})"
        for name, value in to_dict(options).items()
        if FLAGS[name].needs_memory
    )

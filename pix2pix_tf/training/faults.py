"""What can go wrong in a step: numbers that are not finite, and too little memory."""

import contextlib

import tensorflow as tf
import tqdm

from pix2pix_tf.options import FLAGS, to_dict, value_text
from pix2pix_tf.runtime.errors import RunError

MAX_SKIPPED = 20  # steps in a row
MAX_LISTED = 3  # losses and gradients, in a message


class FiniteWatch:
    """Checks that the losses and gradients of each step were finite, one step late.

    A step's answer is there by then: asking at once would make a GPU wait. No update
    that was not finite has been applied (see `step.update`).

    Attributes:
        num_skipped: int, steps that were left out so far.
    """

    def __init__(self, names, on_nan, describe_last):
        """Starts without a step.

        Args:
            names: list of str, as `step.checked_names` returns it.
            on_nan: str, "stop" or "skip".
            describe_last: function () that returns which checkpoint is the last, as
                text.
        """
        self.num_skipped = 0
        self._names = names
        self._on_nan = on_nan
        self._describe_last = describe_last
        self._in_a_row = 0
        self._waiting = None  # (global step, StepResult.is_finite)

    def see(self, global_step, is_finite):
        """Takes a step's answer, and checks that of the step before.

        Args:
            global_step: int.
            is_finite: StepResult.is_finite.

        Raises:
            RunError: the step before was not finite, and the run is to end.
        """
        self.look()
        self._waiting = global_step, is_finite

    def look(self):
        """Checks the answer of the last step.

        Raises:
            RunError: it was not finite, and the run is to end.
        """
        waiting, self._waiting = self._waiting, None
        if waiting:
            self._look(*waiting)

    def _look(self, global_step, is_finite):
        is_finite = is_finite.numpy()
        if is_finite.all():
            self._in_a_row = 0
            return
        names = [
            name
            for name, is_fine in zip(self._names, is_finite, strict=True)
            if not is_fine
        ]
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
                f"{problem}; so were {MAX_SKIPPED} steps in a row; "
                f"{self._describe_last()}"
            )
        tqdm.tqdm.write(f"skipped {problem}")


@contextlib.contextmanager
def explain_memory(options):
    """Turns an error of too little memory, or of a full disk, into one line.

    Raises:
        RunError: it names the flags to lower.
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


def memory_flags(options):
    """Returns the flags that decide how much memory a run needs, as text."""
    return ", ".join(
        f"--{name} ({value_text(value)})"
        for name, value in to_dict(options).items()
        if FLAGS[name].needs_memory
    )

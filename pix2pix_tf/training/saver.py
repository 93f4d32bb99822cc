"""Saves the state of a run, also when a step fails."""

import contextlib
import time
from pathlib import Path

from pix2pix_tf import checkpoints
from pix2pix_tf.checkpoints import TrainState
from pix2pix_tf.options import CHECKPOINT_PREFIX, OPTIONS_NAME, write_options
from pix2pix_tf.runtime import messages
from pix2pix_tf.runtime.errors import UsageError


class Saver:
    """Saves a run's state, unless the last checkpoint already holds it.

    Args:
        options: the options of `loop.run`.
        state: TrainState.
        prefix: path prefix of the checkpoint that holds the state, or None.
        is_chief: if False, another process saves, and this one does not.

    Attributes:
        prefix: that of the last checkpoint, or None.
    """

    def __init__(
        self, options, state: TrainState, prefix: str | None, is_chief: bool = True
    ):
        self._is_chief = is_chief
        self._options, self._state, self.prefix = options, state, prefix
        self._saved_at = time.monotonic()

    def minutes_since_save(self) -> float:
        """Returns the minutes since the last save or, before the first, the start."""
        return (time.monotonic() - self._saved_at) / 60

    def save(self) -> None:
        """Saves the state, unless the last checkpoint holds it.

        Raises:
            OSError: it cannot be written.
        """
        output_dir = Path(self._options.run.output_dir)
        step = int(self._state.global_step)
        prefix = str(output_dir / f"{CHECKPOINT_PREFIX}{step}")
        if prefix == self.prefix or not self._is_chief:
            return
        messages.say("saving model")
        if not (output_dir / OPTIONS_NAME).exists():  # somebody removed the folder
            write_options(self._options)
        keep = self._options.monitor.keep_checkpoints
        checkpoints.save(self._state, output_dir, keep)
        self.prefix, self._saved_at = prefix, time.monotonic()

    @contextlib.contextmanager
    def saving_on_failure(self):
        """Context manager that saves the state, if possible, when the block fails."""
        try:
            yield
        except Exception:
            if int(self._state.global_step) > int(self._state.first_step):
                try:
                    self.save()
                except (UsageError, OSError) as error:
                    messages.warn(str(error))
            raise

    def describe_last(self) -> str:
        """Returns a text that names the last checkpoint."""
        if self.prefix is None:
            return "there is no checkpoint yet (--save_freq, --save_minutes)"
        return f"the last good checkpoint is {self.prefix}"

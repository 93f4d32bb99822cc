"""Saving a run's work, also where a step fails. When to save is not decided here."""

import contextlib
import time
from pathlib import Path

import tqdm

from pix2pix_tf import checkpoints
from pix2pix_tf.options import CHECKPOINT_PREFIX, OPTIONS_NAME, write_options
from pix2pix_tf.runtime.errors import UsageError


class Saver:
    """Saves a run's state, and knows what is saved already."""

    def __init__(self, options, state, prefix):
        """Starts with what is saved.

        Args:
            options: as `loop.run` takes them; they are saved with the state.
            state: TrainState.
            prefix: path prefix of the checkpoint that holds the state, or None.
        """
        self._options, self._state, self._prefix = options, state, prefix
        self._saved_at = time.monotonic()

    def minutes_since_save(self):
        """Returns the minutes since the last save, or since the start."""
        return (time.monotonic() - self._saved_at) / 60

    def save(self):
        """Saves the state, unless that is done already.

        Raises:
            OSError: it cannot be written.
        """
        output_dir = Path(self._options.run.output_dir)
        step = int(self._state.global_step)
        prefix = str(output_dir / f"{CHECKPOINT_PREFIX}{step}")
        if prefix == self._prefix:
            return
        tqdm.tqdm.write("saving model")
        if not (output_dir / OPTIONS_NAME).exists():  # the folder was removed
            write_options(self._options)
        keep = self._options.monitor.keep_checkpoints
        checkpoints.save(self._state, output_dir, keep)
        self._prefix, self._saved_at = prefix, time.monotonic()

    @contextlib.contextmanager
    def saving_on_failure(self):
        """Saves the steps that are done, if possible, when the block fails."""
        try:
            yield
        except Exception:
            if int(self._state.global_step) > int(self._state.first_step):
                try:
                    self.save()
                except (UsageError, OSError) as error:
                    tqdm.tqdm.write(f"warning: {error}")
            raise

    def describe_last(self):
        """Returns which checkpoint is the last one, as text."""
        if self._prefix is None:
            return "there is no checkpoint yet (--save_freq, --save_minutes)"
        return f"the last good checkpoint is {self._prefix}"

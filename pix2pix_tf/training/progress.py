"""What training prints: a progress bar, and the original's lines of progress."""

import math
import sys
import time

import tqdm


class Progress:
    """Counts the steps of this process, and prints how far the run is."""

    def __init__(self, task, done, num_steps):
        """Starts the clock, and a bar that counts images, on a terminal only.

        Args:
            task: loop.Task.
            done: int, steps of the run that are done.
            num_steps: int, of the run, or None if nothing bounds it.
        """
        self._task, self._done, self._num_steps = task, done, num_steps
        self._started = time.perf_counter()
        total = num_steps * task.batch_size if num_steps else None
        initial = done * task.batch_size
        self._bar = tqdm.tqdm(total=total, initial=initial, unit="image", disable=None)

    def advance(self):
        """Counts one step."""
        self._bar.update(self._task.batch_size)

    def report(self, step):
        """Prints epoch, step, speed, the time that is left, and the losses.

        Args:
            step: int, of the run, the first is 1.
        """
        state, steps_per_epoch = self._task.state, self._task.steps_per_epoch
        global_step = int(state.global_step)
        epoch = math.ceil(global_step / steps_per_epoch)
        epoch_step = (global_step - 1) % steps_per_epoch + 1
        seconds = time.perf_counter() - self._started
        rate = (step - self._done) * self._task.batch_size / seconds
        line = f"progress  epoch {epoch}  step {epoch_step}  image/sec {rate:.1f}"
        if self._num_steps:
            num_images = (self._num_steps - step) * self._task.batch_size
            line += f"  remaining {int(num_images / rate / 60)}m"
        tqdm.tqdm.write(line)
        for name, average in state.ema.items():
            label = name.replace("discriminator", "discrim").replace("generator", "gen")
            tqdm.tqdm.write(f"{label} {float(average):.6g}")
        sys.stdout.flush()

    def close(self):
        """Ends the bar."""
        self._bar.close()

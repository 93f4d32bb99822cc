"""Prints the progress of training: a progress bar, and the lines of the original."""

import math
import sys
import time

import tqdm


class Progress:
    """Shows a progress bar, on a terminal only, and prints speed and losses.

    Args:
        task: loop.Task.
        done: steps of the run that were done before.
        num_steps: steps of the whole run, or None if it has no limit.
    """

    def __init__(self, task, done: int, num_steps: int | None):
        self._task, self._done, self._num_steps = task, done, num_steps
        self._started = time.perf_counter()
        total = num_steps * task.batch_size if num_steps else None
        initial = done * task.batch_size
        self._bar = tqdm.tqdm(total=total, initial=initial, unit="image", disable=None)

    def advance(self) -> None:
        """Counts one step."""
        self._bar.update(self._task.batch_size)

    def report(self, step: int) -> None:
        """Prints epoch, step, speed, remaining time and losses after a step."""
        state, steps_per_epoch = self._task.state, self._task.steps_per_epoch
        global_step = int(state.global_step)
        if steps_per_epoch is None:
            place = f"step {global_step}"
        else:
            epoch = math.ceil(global_step / steps_per_epoch)
            place = f"epoch {epoch}  step {(global_step - 1) % steps_per_epoch + 1}"
        seconds = time.perf_counter() - self._started
        rate = (step - self._done) * self._task.batch_size / seconds
        line = f"progress  {place}  image/sec {rate:.1f}"
        if self._num_steps:
            num_images = (self._num_steps - step) * self._task.batch_size
            line += f"  remaining {int(num_images / rate / 60)}m"
        tqdm.tqdm.write(line)
        for name, average in state.ema.items():
            label = name.replace("discriminator", "discrim").replace("generator", "gen")
            tqdm.tqdm.write(f"{label} {float(average):.6g}")
        sys.stdout.flush()

    def close(self) -> None:
        self._bar.close()

"""Shows the progress of training: a bar, or the lines of the original."""

import math
import time

from pix2pix_tf.checkpoints import DISCRIMINATOR_LOSS
from pix2pix_tf.runtime.messages import Bar

LOSSES_SECONDS = 1.0  # from one reading of the losses for the bar to the next


class Progress:
    """Shows step, speed, losses and what is being done.

    Speed and remaining time leave out the first step of this process, which compiles.

    Args:
        task: loop.Task.
        done: steps of the run that were done before.
        num_steps: steps of the whole run, or None if it has no limit.
    """

    def __init__(self, task, done: int, num_steps: int | None):
        self._task, self._done, self._num_steps = task, done, num_steps
        self._step = done
        self._created = self._first_done = self._losses_read = time.perf_counter()
        self._losses = self._activity = ""
        first_step = int(task.state.first_step)
        last_step = first_step + num_steps if num_steps else None
        self._bar = Bar("step", last_step, first_step + done)
        self.do("compiling the step", has_line=False)

    def do(self, activity: str, has_line: bool = True) -> None:
        """Shows what is being done, until the next step.

        Args:
            activity: such as "saving model".
            has_line: if True, the activity is printed where no bar is shown.
        """
        if has_line:
            self._bar.line(activity)
        self._activity = activity
        self._show()

    def advance(self) -> None:
        """Counts one step."""
        self._step += 1
        now = time.perf_counter()
        if self._step == self._done + 1:
            self._first_done = now
        # To read a loss is to wait for the step, which a GPU does not like.
        is_due = self._bar.is_shown and now - self._losses_read >= LOSSES_SECONDS
        if is_due:
            self._losses_read, self._losses = now, self._read_losses()
        if is_due or self._activity:
            self._activity = ""
            self._show()
        self._bar.advance()

    def report(self) -> None:
        """Prints epoch, step, speed, remaining time and losses, where no bar is."""
        state, steps_per_epoch = self._task.state, self._task.steps_per_epoch
        global_step = int(state.global_step)
        if steps_per_epoch is None:
            place = f"step {global_step}"
        else:
            epoch = math.ceil(global_step / steps_per_epoch)
            place = f"epoch {epoch}  step {(global_step - 1) % steps_per_epoch + 1}"
        self._bar.line(f"progress  {place}  {self._speed()}")
        for name, average in state.ema.items():
            label = name.replace("discriminator", "discrim").replace("generator", "gen")
            self._bar.line(f"{label} {float(average):.6g}")

    def close(self) -> None:
        self._bar.close()

    def _show(self):
        is_timed = self._step > self._done + 1
        speed = self._speed() if is_timed else ""
        self._bar.show(f"{self._activity or speed}  {self._losses}")

    def _speed(self):
        """Returns the speed and, if the run has an end, the remaining time, as text."""
        num_timed, since = self._step - self._done - 1, self._first_done
        if num_timed < 1:
            num_timed, since = 1, self._created
        rate = num_timed / (time.perf_counter() - since)  # steps per second
        text = f"image/sec {rate * self._task.batch_size:.1f}"
        if self._num_steps:
            minutes = (self._num_steps - self._step) / rate / 60
            text += f"  remaining {int(minutes)}m"
        return text

    def _read_losses(self):
        """Returns the moving averages of the losses as a short text: D, GAN, L1 ..."""
        names = {DISCRIMINATOR_LOSS: "D"}
        return "  ".join(
            f"{names.get(name, name.removeprefix('generator_loss_'))} "
            f"{float(average):.3f}"
            for name, average in self._task.state.ema.items()
        )

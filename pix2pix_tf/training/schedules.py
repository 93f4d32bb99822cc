"""Learning rate schedules: constant, or a linear or cosine decay to zero.

A rate depends only on the number of steps done, so a resumed run has the same rates.
"""

import keras
import tensorflow as tf

from pix2pix_tf.checkpoints import TrainState
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.runtime.errors import UsageError


def decay_span(
    optimizer: OptimizerConfig, first_step: int, num_steps: int, steps_per_epoch: int
) -> tuple[int, int]:
    """Returns the global steps at which the decay of the rates begins and ends.

    The epochs of a run count from its own first step, as for `--max_epochs`: a run that
    starts from the checkpoint of another folder has its own full schedule.

    Args:
        optimizer: OptimizerConfig; its `lr_policy` is not "constant".
        first_step: steps done before the run.
        num_steps: steps of the run.
        steps_per_epoch: steps of one epoch.

    Raises:
        UsageError: the run ends before the decay begins.
    """
    num_constant = (optimizer.decay_from or 0) * steps_per_epoch
    if num_constant >= num_steps:
        raise UsageError(
            f"--decay_from {optimizer.decay_from} is {num_constant} steps, and the run "
            f"ends after {num_steps}: give a smaller one, or more --max_steps"
        )
    return first_step + num_constant, first_step + num_steps


def make_schedule(policy: str, rate: float, span: tuple[int, int]):
    """Returns a function (steps done) -> the next step's learning rate, float32 scalar.

    Args:
        policy: "linear", as in the Torch and PyTorch pix2pix, but by steps instead of
            epochs; or "cosine" (Loshchilov and Hutter 2017, equation 5).
        rate: the initial rate.
        span: the global steps at which the decay begins and ends.
    """
    first, last = span
    if policy == "linear":
        decay = keras.optimizers.schedules.PolynomialDecay(rate, last - first, 0.0)
    else:
        decay = keras.optimizers.schedules.CosineDecay(rate, last - first)
    return lambda steps: decay(tf.maximum(steps - first, 0))


def schedule_rates(
    state: TrainState, optimizer: OptimizerConfig, span: tuple[int, int]
) -> None:
    """Makes both learning rates follow `--lr_policy`; call it before the first step.

    They depend on `state.global_step`, because an optimizer's own count does not
    include the updates that float16 skips.

    Args:
        state: TrainState.
        optimizer: OptimizerConfig; its `lr_policy` is not "constant".
        span: the global steps at which the decay begins and ends.
    """
    for (_, adam), rate in zip(state.trained, optimizer.rates, strict=False):
        schedule = make_schedule(optimizer.lr_policy, rate, span)
        # Keras calls the function inside the graph of the step.
        adam.learning_rate = lambda schedule=schedule: schedule(state.global_step)

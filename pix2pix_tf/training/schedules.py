"""Learning rates over a run: constant, or down to zero along a line or a cosine.

A rate depends on the number of steps done only, so a resumed run continues exactly.
"""

import keras
import tensorflow as tf

from pix2pix_tf.runtime.errors import UsageError


def decay_span(optimizer, first_step, num_steps, steps_per_epoch):
    """Returns the numbers of steps between which the rates of a run fall.

    A run's epochs count from its own first step, as `--max_epochs` does: a run that
    starts from another folder's checkpoint has a whole schedule of its own.

    Args:
        optimizer: OptimizerConfig, whose policy is not constant.
        first_step: int, steps done before the run.
        num_steps: int, of the run.
        steps_per_epoch: int.

    Returns:
        (int, the steps done up to which the rate is whole; int, those at the run's end,
        where it is 0).

    Raises:
        UsageError: the run ends before its rates would fall.
    """
    num_constant = (optimizer.decay_from or 0) * steps_per_epoch
    if num_constant >= num_steps:
        raise UsageError(
            f"--decay_from {optimizer.decay_from} is {num_constant} steps, and the run "
            f"ends after {num_steps}: give a smaller one, or more --max_steps"
        )
    return first_step + num_constant, first_step + num_steps


def make_schedule(policy, rate, span):
    """Returns a function from the steps done to the next step's rate, float32.

    linear: from `rate` down to 0, as the Torch and PyTorch pix2pix have it by epochs
    cosine: rate * (1 + cos(pi * share)) / 2 (Loshchilov and Hutter 2017, equation 5)

    Args:
        policy: str, "linear" or "cosine".
        rate: float, the initial rate.
        span: as `decay_span` returns it.
    """
    first, last = span
    if policy == "linear":
        decay = keras.optimizers.schedules.PolynomialDecay(rate, last - first, 0.0)
    else:
        decay = keras.optimizers.schedules.CosineDecay(rate, last - first)
    return lambda steps: decay(tf.maximum(steps - first, 0))


def schedule_rates(state, optimizer, span):
    """Makes both learning rates fall with `state.global_step`; before the first step.

    They do not follow the optimizers' own counts, which lag where float16 leaves
    updates out.

    Args:
        state: TrainState.
        optimizer: OptimizerConfig, whose policy is not constant.
        span: as `decay_span` returns it.
    """
    for (_, adam), rate in zip(state.trained, optimizer.rates, strict=False):
        schedule = make_schedule(optimizer.lr_policy, rate, span)
        # Keras calls it in the graph of each step.
        adam.learning_rate = lambda schedule=schedule: schedule(state.global_step)

"""Learning rates over a run: constant, or down to zero along a line or a cosine.

A rate depends on the number of steps done only, so a resumed run goes on exactly.
Keeping the count, and the optimizers, is not here.
"""

import keras
import tensorflow as tf

from pix2pix_tf.runtime.errors import UsageError


def decay_span(optimizer, first_step, num_steps, steps_per_epoch):
    """Returns between which counts of steps the rates of a run fall.

    A run's epochs count from its own first step, as `--max_epochs` does: what is
    trained further from another folder's checkpoint has a whole schedule of its own.

    Args:
        optimizer: OptimizerConfig, whose policy is not constant.
        first_step: int, steps done before the run.
        num_steps: int, of the run.
        steps_per_epoch: int.

    Returns:
        (int, the last count with the full rate; int, the run's end, with rate 0).

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
        policy: str, as above.
        rate: float.
        span: (first, last) counts of steps, between which it falls.
    """
    first, last = span
    if policy == "linear":
        decay = keras.optimizers.schedules.PolynomialDecay(rate, last - first, 0.0)
    else:
        decay = keras.optimizers.schedules.CosineDecay(rate, last - first)
    return lambda steps: decay(tf.maximum(steps - first, 0))

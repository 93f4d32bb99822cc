"""The state of training, which is the content of a checkpoint."""

import contextlib
import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.checkpoints.average import GeneratorAverage
from pix2pix_tf.checkpoints.optimizers import Adam, ScaledAdam, make_optimizer


@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that training changes, and that a checkpoint therefore holds."""

    generator: keras.Model
    discriminator: keras.Model | None  # None with --gan_weight 0
    g_optimizer: Adam | ScaledAdam
    d_optimizer: Adam | ScaledAdam | None
    ema: dict[str, tf.Variable]  # loss name: its moving average, float32 scalar
    global_step: tf.Variable  # int64, steps done
    position: tf.Variable  # int64, examples seen
    first_step: tf.Variable  # int64, steps done before this run
    average: GeneratorAverage | None = None  # None without --ema_generator

    @property
    def trained(self):
        """[(network, its optimizer), ...], the generator first."""
        pairs = [
            (self.generator, self.g_optimizer),
            (self.discriminator, self.d_optimizer),
        ]
        return [(network, optimizer) for network, optimizer in pairs if network]

    def weights_for_use(self) -> dict[str, tf.Variable]:
        """Returns {name: variable} of the generator that validation and tests use.

        With `--ema_generator` the trainable ones are the moving average.
        """
        own = networks.variables_by_name(self.generator)
        return own if self.average is None else own | self.average.variables


def start_state(
    generator,
    discriminator,
    optimizer,
    loss_names,
    precision="float32",
    scope: Callable = contextlib.nullcontext,
) -> TrainState:
    """Returns the TrainState of two networks at step 0.

    Args:
        generator: keras.Model.
        discriminator: keras.Model, or None.
        optimizer: OptimizerConfig.
        loss_names: list of str, the losses that get a moving average, which is 0 now.
        precision: str, the dtype policy of the networks.
        scope: the `scope` of the strategy that the networks were built in. The counts
            and averages are outside of it: they exist once, not on each device.
    """
    ema = {name: tf.Variable(0.0, name=name) for name in loss_names}
    counts = [
        tf.Variable(0, dtype=tf.int64, name=name) for name in ("step", "seen", "first")
    ]
    g_rate, d_rate = optimizer.rates
    beta1, d_optimizer, average = optimizer.beta1, None, None
    with scope():
        if discriminator is not None:
            d_optimizer = make_optimizer(discriminator, d_rate, beta1, precision)
        g_optimizer = make_optimizer(generator, g_rate, beta1, precision)
    if optimizer.ema_generator is not None:
        average = GeneratorAverage(generator, optimizer.ema_generator)
    trained = generator, discriminator, g_optimizer, d_optimizer
    return TrainState(*trained, ema, *counts, average)

"""One training step: forward, losses, gradients, both updates, moving averages."""

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from pix2pix_tf import losses, networks

EMA_DECAY = 0.99
LOSS_NAMES = ("discriminator_loss", "generator_loss_GAN", "generator_loss_L1")


class Adam(keras.optimizers.Adam):
    """Keras Adam, its update done by TensorFlow's own kernel in one pass over memory.

    The same formula as Keras's (Kingma and Ba 2015, section 2, last paragraph); epsilon
    is TensorFlow 1's 1e-8, where Keras has 1e-7.
    """

    def __init__(self, learning_rate, beta_1):
        super().__init__(learning_rate, beta_1=beta_1, beta_2=0.999, epsilon=1e-8)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        updates = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, updates),
            beta2_power=tf.pow(self.beta_2, updates),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    @property
    def slots(self):
        """(momentum, velocity) of each trainable variable, in the order of `build`."""
        return list(zip(self._momentums, self._velocities, strict=True))


@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that training changes, and so all that a checkpoint holds."""

    generator: keras.Model
    discriminator: keras.Model
    g_optimizer: Adam
    d_optimizer: Adam
    ema: dict  # {LOSS_NAMES: float32 scalar variable}, decay 0.99, from zero
    global_step: tf.Variable  # int64, steps done
    position: tf.Variable  # int64, examples seen


class Forward(NamedTuple):
    """What one forward pass gives, and the gradients of each network's own loss."""

    outputs: tf.Tensor  # float32 [batch, height, width, channels], in [-1, 1]
    predict_real: tf.Tensor  # float32 [batch, 30, 30, 1], in [0, 1]
    predict_fake: tf.Tensor  # the same
    losses: dict  # {LOSS_NAMES: float32 scalar}, without weights
    g_gradients: list  # in the order of generator.trainable_variables
    d_gradients: list  # in the order of discriminator.trainable_variables


def make_state(channels, model, loss):
    """Builds the networks and optimizers, at step 0.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.
        loss: LossConfig.

    Returns:
        TrainState.
    """
    generator = networks.build_generator(channels, model)
    discriminator = networks.build_discriminator(channels, model)
    g_optimizer = Adam(loss.lr, loss.beta1)
    d_optimizer = Adam(loss.lr, loss.beta1)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    ema = {name: tf.Variable(0.0, name=name) for name in LOSS_NAMES}
    counts = [tf.Variable(0, dtype=tf.int64, name=name) for name in ("step", "seen")]
    return TrainState(generator, discriminator, g_optimizer, d_optimizer, ema, *counts)


def forward(generator, discriminator, inputs, targets, loss):
    """One forward pass and both gradients, all at the same weights.

    The generator's gradient sees the discriminator from before this step's update, and
    each call of the discriminator has its own batch statistics, as in the original.

    Args:
        generator, discriminator: keras.Model.
        inputs, targets: float32 [batch, height, width, channels], in [-1, 1].
        loss: LossConfig.

    Returns:
        Forward.
    """
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        outputs = generator(inputs)
        predict_real = discriminator([inputs, targets])
        predict_fake = discriminator([inputs, outputs])
        d_loss = losses.discriminator_loss(predict_real, predict_fake)
        gan = losses.gan_loss(predict_fake)
        l1 = losses.l1_loss(targets, outputs)
        g_loss = loss.gan_weight * gan + loss.l1_weight * l1
    return Forward(
        outputs,
        predict_real,
        predict_fake,
        dict(zip(LOSS_NAMES, (d_loss, gan, l1), strict=True)),
        g_tape.gradient(g_loss, generator.trainable_variables),
        d_tape.gradient(d_loss, discriminator.trainable_variables),
    )


def make_train_step(state, loss, seed):
    """Returns a compiled function that updates both networks once.

    It maps inputs and targets, float32 [batch, height, width, channels] in [-1, 1], to
    the step's Forward, from before the update. The discriminator is updated first. The
    moving averages of the losses, the step and the position are updated in `state`.

    Args:
        state: TrainState.
        loss: LossConfig.
        seed: int, of dropout.
    """

    @tf.function
    def train_step(inputs, targets):
        networks.key_dropout(state.generator, seed, state.global_step)
        result = forward(state.generator, state.discriminator, inputs, targets, loss)
        d_variables = state.discriminator.trainable_variables
        g_variables = state.generator.trainable_variables
        state.d_optimizer.apply(result.d_gradients, d_variables)
        state.g_optimizer.apply(result.g_gradients, g_variables)
        for name, average in state.ema.items():
            average.assign_sub((1 - EMA_DECAY) * (average - result.losses[name]))
        state.global_step.assign_add(1)
        state.position.assign_add(inputs.shape[0])
        return result

    return train_step

"""DCGAN's training step, and the random vectors z that images are generated from."""

from collections.abc import Callable

import tensorflow as tf

from pix2pix_tf.checkpoints import (
    DISCRIMINATOR_LOSS,
    GAN_LOSS,
    TrainState,
    start_state,
)
from pix2pix_tf.dcgan import networks
from pix2pix_tf.dcgan.options import LossConfig
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.training import losses
from pix2pix_tf.training.step import StepResult, update

Z_KEY = 2000  # makes the draws of z differ from pix2pix's random draws


def make_state(optimizer: OptimizerConfig) -> TrainState:
    """Builds the networks and their optimizers, at step 0."""
    generator = networks.build_generator()
    discriminator = networks.build_discriminator()
    names = [DISCRIMINATOR_LOSS, GAN_LOSS]
    return start_state(generator, discriminator, optimizer, names)


def draw_z(count: int, seed):
    """Returns float32 [count, 100], uniform in [-1, 1] as in Radford et al. 2016.

    Args:
        count: number of vectors.
        seed: int [2], as tf.random.stateless_* take it.
    """
    return tf.random.stateless_uniform([count, networks.Z_SIZE], seed, -1, 1)


def make_train_step(state: TrainState, loss: LossConfig, seed: int) -> Callable:
    """Returns a compiled function that trains both networks for one step.

    It maps images, float32 [batch, 32, 32, 3] in [-1, 1], to a StepResult whose
    predictions are None, because no patches are judged. z depends on `seed` and the
    step only. Both gradients are computed with the weights from before the update.
    Batch norm uses the statistics of each batch, of real and of generated images
    separately, and updates its moving statistics.
    """

    @tf.function(autograph=False)
    def train_step(images):
        generator, discriminator = state.generator, state.discriminator
        key = tf.random.fold_in([seed, Z_KEY], tf.cast(state.global_step, tf.int32))
        z = draw_z(images.shape[0], key)
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            outputs = generator(z, training=True)
            real = discriminator(images, training=True)
            fake = discriminator(outputs, training=True)
            d_loss = losses.logit_discriminator_loss(real, fake, loss.label_smoothing)
            g_loss = losses.logit_gan_loss(fake)
        result = StepResult(
            outputs,
            predict_real=None,
            predict_fake=None,
            losses={DISCRIMINATOR_LOSS: d_loss, GAN_LOSS: g_loss},
            gradients=[
                g_tape.gradient(g_loss, generator.trainable_variables),
                d_tape.gradient(d_loss, discriminator.trainable_variables),
            ],
        )
        return update(state, result, images.shape[0])

    return train_step

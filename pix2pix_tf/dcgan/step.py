"""One step of DCGAN: both networks learn once from a batch of crops."""

import tensorflow as tf

from pix2pix_tf.checkpoints import DISCRIMINATOR_LOSS, GAN_LOSS, start_state
from pix2pix_tf.dcgan import networks
from pix2pix_tf.training import losses
from pix2pix_tf.training.step import StepResult, update

Z_KEY = 2000  # apart from the keys of pix2pix's draws


def make_state(optimizer):
    """Builds the networks and optimizers of an OptimizerConfig, at step 0."""
    generator = networks.build_generator()
    discriminator = networks.build_discriminator()
    names = [DISCRIMINATOR_LOSS, GAN_LOSS]
    return start_state(generator, discriminator, optimizer, names)


def draw_z(count, seed):
    """Returns float32 [count, 100], uniform in [-1, 1] as in Radford et al. 2016.

    Args:
        count: int.
        seed: int [2], as tf.random.stateless_* take it.
    """
    return tf.random.stateless_uniform([count, networks.Z_SIZE], seed, -1, 1)


def forward(generator, discriminator, images, z, smoothing):
    """One forward pass and both gradients, all at the same weights.

    Batch norm goes by the batch's statistics, of the real and of the drawn images
    apart, and its moving statistics move. The generator's gradient sees the
    discriminator from before this step's update.

    Args:
        generator, discriminator: keras.Model.
        images: float32 [batch, 32, 32, 3], in [-1, 1].
        z: float32 [batch, 100], in [-1, 1].
        smoothing: float, what real images' label of 1 is lowered by.

    Returns:
        StepResult; its predictions are None, as no patches are judged.
    """
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        outputs = generator(z, training=True)
        real_logits = discriminator(images, training=True)
        fake_logits = discriminator(outputs, training=True)
        d_loss = losses.logit_discriminator_loss(real_logits, fake_logits, smoothing)
        g_loss = losses.logit_gan_loss(fake_logits)
    return StepResult(
        outputs,
        predict_real=None,
        predict_fake=None,
        losses={DISCRIMINATOR_LOSS: d_loss, GAN_LOSS: g_loss},
        gradients=[
            g_tape.gradient(g_loss, generator.trainable_variables),
            d_tape.gradient(d_loss, discriminator.trainable_variables),
        ],
    )


def make_train_step(state, loss, seed):
    """Returns a compiled function that updates both networks once.

    It maps images, float32 [batch, 32, 32, 3] in [-1, 1], to a StepResult. z depends on
    `seed` and the step only.

    Args:
        state: TrainState.
        loss: LossConfig.
        seed: int.
    """

    @tf.function
    def train_step(images):
        key = tf.random.fold_in([seed, Z_KEY], tf.cast(state.global_step, tf.int32))
        z = draw_z(images.shape[0], key)
        result = forward(
            state.generator, state.discriminator, images, z, loss.label_smoothing
        )
        return update(state, result, images.shape[0])

    return train_step

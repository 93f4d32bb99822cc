"""The reference: pix2pix as one would write it with Keras's own layers and optimizer.

It has the networks, losses and constants of the project's defaults (Isola et al. 2017
and the TensorFlow 1 original), in the simplest correct form. It uses nothing of the
package, and nothing in it is slow on purpose.
"""

import contextlib

import keras
import tensorflow as tf
from keras import layers

EPS = 1e-12  # inside the logarithms
EMA_DECAY = 0.99
L1_WEIGHT = 100.0
LOSS_NAMES = ("discriminator_loss", "generator_loss_GAN", "generator_loss_L1")


@contextlib.contextmanager
def using_precision(precision):
    """Sets Keras' global dtype policy, "float32" or "mixed_bfloat16", inside."""
    previous = keras.config.dtype_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(previous)


def _conv(filters, strides, padding):
    return layers.Conv2D(
        filters,
        4,
        strides=strides,
        padding=padding,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
    )


def _deconv(filters):
    return layers.Conv2DTranspose(
        filters,
        4,
        strides=2,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
    )


def _batch_norm():
    return layers.BatchNormalization(
        momentum=0.1,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
    )


def make_plain_generator(ngf, precision):
    """Returns the U-Net: float32 [batch, 256, 256, 3] in [-1, 1] to the same.

    Call it with `training=True` in test mode, too: the original also uses the batch's
    statistics and dropout there.
    """
    with using_precision(precision):
        x = inputs = keras.Input((256, 256, 3))
        skips = []
        for level, width in enumerate((1, 2, 4, 8, 8, 8, 8, 8)):
            if level > 0:
                x = layers.LeakyReLU(0.2)(x)
            x = _conv(ngf * width, 2, "same")(x)
            if level > 0:
                x = _batch_norm()(x)
            skips.append(x)
        x = skips.pop()
        for level, width in enumerate((8, 8, 8, 8, 4, 2, 1)):
            x = layers.ReLU()(x)
            x = _deconv(ngf * width)(x)
            x = _batch_norm()(x)
            if level < 3:
                x = layers.Dropout(0.5)(x)
            x = layers.Concatenate()([x, skips.pop()])
        x = layers.ReLU()(x)
        x = _deconv(3)(x)
        outputs = layers.Activation("tanh", dtype="float32")(x)
        return keras.Model(inputs, outputs)


def make_plain_discriminator(ndf, precision):
    """Returns the 70x70 PatchGAN: [inputs, targets] to [batch, 30, 30, 1] in [0, 1]."""
    with using_precision(precision):
        inputs, targets = keras.Input((256, 256, 3)), keras.Input((256, 256, 3))
        x = layers.Concatenate()([inputs, targets])
        for level, width in enumerate((1, 2, 4, 8)):
            x = layers.ZeroPadding2D(1)(x)
            x = _conv(ndf * width, 1 if level == 3 else 2, "valid")(x)
            if level > 0:
                x = _batch_norm()(x)
            x = layers.LeakyReLU(0.2)(x)
        x = layers.ZeroPadding2D(1)(x)
        x = _conv(1, 1, "valid")(x)
        outputs = layers.Activation("sigmoid", dtype="float32")(x)
        return keras.Model([inputs, targets], outputs)


def make_plain_step(ngf, precision, networks=None):
    """Returns a compiled function that updates both networks once.

    It maps inputs and targets, float32 [batch, 256, 256, 3] in [-1, 1], to the outputs
    and {name: loss}, both from before the update. Both gradients come from one forward
    pass; the discriminator's is applied first.

    Args:
        ngf: int, the first filters of both networks.
        precision: "float32" or "mixed_bfloat16".
        networks: (generator, discriminator), or None for new ones.
    """
    if networks is None:
        networks = (
            make_plain_generator(ngf, precision),
            make_plain_discriminator(ngf, precision),
        )
    generator, discriminator = networks
    g_optimizer = keras.optimizers.Adam(2e-4, 0.5, epsilon=1e-8)
    d_optimizer = keras.optimizers.Adam(2e-4, 0.5, epsilon=1e-8)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    averages = {name: tf.Variable(0.0) for name in LOSS_NAMES}

    @tf.function
    def step(inputs, targets):
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            outputs = generator(inputs, training=True)
            real = discriminator([inputs, targets], training=True)
            fake = discriminator([inputs, outputs], training=True)
            d_loss = tf.reduce_mean(
                -(tf.math.log(real + EPS) + tf.math.log(1 - fake + EPS))
            )
            gan_loss = tf.reduce_mean(-tf.math.log(fake + EPS))
            l1_loss = tf.reduce_mean(tf.abs(targets - outputs))
            g_loss = gan_loss + L1_WEIGHT * l1_loss
        g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
        d_optimizer.apply(d_gradients)
        g_optimizer.apply(g_gradients)
        losses = dict(zip(LOSS_NAMES, (d_loss, gan_loss, l1_loss), strict=True))
        for name, average in averages.items():
            average.assign(EMA_DECAY * average + (1 - EMA_DECAY) * losses[name])
        return outputs, losses

    return step

"""The loss terms (Isola et al. 2017, section 3.1), as the original computes them."""

import tensorflow as tf

EPS = 1e-12  # inside the logarithms; it vanishes in float16, so losses stay float32


def discriminator_loss(predict_real, predict_fake):
    """Rewards telling real pairs from generated ones: mean -(log D(real) + log(1 - D)).

    Args:
        predict_real, predict_fake: float32 [batch, height, width, 1], in [0, 1].

    Returns:
        float32 scalar; not halved, as in the original and unlike the paper's text.
    """
    log_real = tf.math.log(predict_real + EPS)
    log_fake = tf.math.log(1 - predict_fake + EPS)
    return tf.reduce_mean(-(log_real + log_fake))


def gan_loss(predict_fake):
    """Rewards fooling the discriminator: mean -log D(fake), a float32 scalar."""
    return tf.reduce_mean(-tf.math.log(predict_fake + EPS))


def l1_loss(targets, outputs):
    """Returns the mean absolute difference in [-1, 1] space, a float32 scalar."""
    return tf.reduce_mean(tf.abs(targets - outputs))

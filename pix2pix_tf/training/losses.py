"""The losses: their formulas, and the table of the generator's loss terms.

All losses are float32 scalars, not yet multiplied by their weights. "Predictions" are
float32 [batch, height, width, 1], in [0, 1] for vanilla and unbounded for other modes.
"Images" are float32 [batch, height, width, channels], in [-1, 1].

To add a term to the generator's loss, add a row to `TERMS` and a flag for its weight to
`options.LossConfig`.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from pix2pix_tf.checkpoints import DISCRIMINATOR_LOSS, GAN_LOSS, L1_LOSS
from pix2pix_tf.metrics import pretrained
from pix2pix_tf.options import LossConfig

EPS = 1e-12  # in the logarithms; it is 0 in float16, so losses are always float32
PENALTY_WEIGHT = 10.0  # of the gradient penalty: Gulrajani et al. 2017, section 4
# relu1_1 .. relu5_1 of VGG19, weighted as in Wang et al. 2018 (pix2pixHD).
VGG_LAYERS = {
    "block1_conv1": 1 / 32,
    "block2_conv1": 1 / 16,
    "block3_conv1": 1 / 8,
    "block4_conv1": 1 / 4,
    "block5_conv1": 1.0,
}


class Judgement(NamedTuple):
    """The results of the discriminator for one batch of images."""

    predictions: list  # one tensor for each scale, the finest first
    features: list  # float32 activations of all layers; [] without --feature_weight


@dataclasses.dataclass(frozen=True)
class ForwardPass:
    """The tensors from which the terms of the generator's loss are computed."""

    inputs: tf.Tensor  # images
    targets: tf.Tensor  # images
    outputs: tf.Tensor  # images
    real: Judgement | None  # of (inputs, targets); None without a discriminator
    fake: Judgement | None  # of (inputs, outputs)
    gan_mode: str
    # (targets, outputs) -> their VGG19 distance; None without --perceptual_weight
    perceptual_loss: Callable | None


class Term(NamedTuple):
    """One term of the generator's loss."""

    name: str  # in TensorBoard tags and in checkpoints
    weight: str  # the field of LossConfig that holds its weight
    compute: Callable  # (ForwardPass) -> float32 scalar, without the weight

    def weight_in(self, loss: LossConfig) -> float:
        return getattr(loss, self.weight)


# The order is that of the sum, of the printed lines and of the averages.
TERMS = (
    Term(
        GAN_LOSS,
        "gan_weight",
        lambda p: mean(gan_loss(each, p.gan_mode) for each in p.fake.predictions),
    ),
    Term(L1_LOSS, "l1_weight", lambda p: l1_loss(p.targets, p.outputs)),
    Term("generator_loss_L2", "l2_weight", lambda p: l2_loss(p.targets, p.outputs)),
    Term("generator_loss_TV", "tv_weight", lambda p: total_variation_loss(p.outputs)),
    Term(
        "generator_loss_feature",
        "feature_weight",
        lambda p: feature_loss(p.real.features, p.fake.features),
    ),
    Term(
        "generator_loss_perceptual",
        "perceptual_weight",
        lambda p: p.perceptual_loss(p.targets, p.outputs),
    ),
)


def used_terms(loss: LossConfig) -> list[Term]:
    """Returns the terms with a weight above 0, and L1, which is always reported."""
    return [term for term in TERMS if term.weight_in(loss) or term.name == L1_LOSS]


def loss_names(loss: LossConfig) -> list[str]:
    """Returns the names of the losses that a run reports, in order."""
    names = [term.name for term in used_terms(loss)]
    return [DISCRIMINATOR_LOSS, *names] if loss.gan_weight else names


def weighted_sum(values, loss: LossConfig):
    """Returns the loss that the generator minimises, a float32 scalar.

    Args:
        values: {name: float32 scalar} of the `used_terms`.
        loss: LossConfig.
    """
    weights = {term.name: term.weight_in(loss) for term in used_terms(loss)}
    return sum(weight * values[name] for name, weight in weights.items() if weight)


def mean(values):
    """Returns the mean of an iterable of scalars."""
    values = list(values)
    return values[0] if len(values) == 1 else tf.add_n(values) / len(values)


def discriminator_loss(predict_real, predict_fake, gan_mode="vanilla", smoothing=0.0):
    """Returns the discriminator's loss; it is not halved, as in the original.

    vanilla: mean -(log D(real) + log(1 - D(fake))) (Goodfellow et al. 2014)
    lsgan: mean (D(real) - 1)^2 + D(fake)^2 (Mao et al. 2017)
    hinge: mean max(0, 1 - D(real)) + max(0, 1 + D(fake)) (Lim and Ye 2017)
    wgangp: mean D(fake) - D(real) (Arjovsky et al. 2017), without the penalty

    Args:
        predict_real, predict_fake: predictions.
        gan_mode: str, one of the above.
        smoothing: float; the label of real pairs is 1 - smoothing (Salimans et al.
            2016, section 3.4). For vanilla and lsgan only.
    """
    if gan_mode == "lsgan":
        real, fake = tf.square(predict_real - (1 - smoothing)), tf.square(predict_fake)
        return tf.reduce_mean(real + fake)
    if gan_mode == "hinge":
        real, fake = tf.nn.relu(1 - predict_real), tf.nn.relu(1 + predict_fake)
        return tf.reduce_mean(real + fake)
    if gan_mode == "wgangp":
        return tf.reduce_mean(predict_fake - predict_real)
    real = tf.math.log(predict_real + EPS)
    if smoothing:
        real = (1 - smoothing) * real + smoothing * _log_complement(predict_real)
    return tf.reduce_mean(-(real + _log_complement(predict_fake)))


def _log_complement(predictions):
    """log(1 - p + EPS).

    The relu changes no value. Without it TensorFlow's graph optimizer folds 1 + EPS
    into one constant, which is 1 in float32; p = 1 then gives log(0) and NaN gradients.
    """
    return tf.math.log(tf.nn.relu(1 - predictions) + EPS)


def decision_threshold(gan_mode: str) -> float | None:
    """Returns the prediction above which the discriminator judges a patch as real.

    At this value a real and a fake patch have the same loss: 0 for hinge, otherwise the
    middle between the labels 0 and 1. It is None for wgangp, whose loss depends only on
    the difference between predictions.
    """
    return {"hinge": 0.0, "wgangp": None}.get(gan_mode, 0.5)


def gan_loss(predict_fake, gan_mode="vanilla"):
    """Returns the generator's adversarial loss from predictions.

    vanilla: mean -log D(fake); lsgan: mean (D(fake) - 1)^2; hinge and
    wgangp: -mean D(fake).
    """
    if gan_mode == "lsgan":
        return tf.reduce_mean(tf.square(predict_fake - 1))
    if gan_mode in ("hinge", "wgangp"):
        return -tf.reduce_mean(predict_fake)
    return tf.reduce_mean(-tf.math.log(predict_fake + EPS))


def logit_discriminator_loss(real_logits, fake_logits, smoothing):
    """Returns the discriminator's cross-entropy loss from logits of any shape.

    mean -((1 - s) log p(real) + s log(1 - p(real))) + mean -log(1 - p(fake)), where p
    is the logit's sigmoid and s is `smoothing` (Salimans et al. 2016, section 3.4).
    """
    real = tf.nn.sigmoid_cross_entropy_with_logits(
        tf.fill(tf.shape(real_logits), 1.0 - smoothing), real_logits
    )
    fake = tf.nn.sigmoid_cross_entropy_with_logits(
        tf.zeros_like(fake_logits), fake_logits
    )
    return tf.reduce_mean(real) + tf.reduce_mean(fake)


def logit_gan_loss(fake_logits):
    """Returns mean -log p(fake), the generator's loss; p is the logit's sigmoid."""
    return tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(fake_logits), fake_logits)
    )


def gradient_penalty(judge, targets, outputs, draw):
    """Returns mean (|grad D(mix)| - 1)^2, which keeps the gradient's norm near 1.

    Args:
        judge: function (images) -> predictions.
        targets, outputs: images.
        draw: float32 [batch, 1, 1, 1] in [0, 1), the share of `outputs` in each mix.

    Source: Gulrajani et al. 2017, equation 3.
    """
    mix = targets + draw * (outputs - targets)
    with tf.GradientTape() as tape:
        tape.watch(mix)
        predictions = judge(mix)
    slopes = tape.gradient(predictions, mix)
    norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3]) + EPS)
    return tf.reduce_mean(tf.square(norms - 1))


def l1_loss(targets, outputs):
    """Returns the mean absolute difference."""
    return tf.reduce_mean(tf.abs(targets - outputs))


def l2_loss(targets, outputs):
    """Returns the mean squared difference."""
    return tf.reduce_mean(tf.square(targets - outputs))


def total_variation_loss(outputs):
    """Returns the mean absolute difference of neighbours (Rudin et al. 1992).

    The means over vertical and over horizontal neighbours are added.
    """
    down = tf.reduce_mean(tf.abs(outputs[:, 1:] - outputs[:, :-1]))
    return down + tf.reduce_mean(tf.abs(outputs[:, :, 1:] - outputs[:, :, :-1]))


def feature_loss(features_real, features_fake):
    """Returns the L1 distance between activations, averaged over layers.

    Args:
        features_real, features_fake: lists of float tensors of the same shapes; the
            real ones get no gradient.

    Source: feature matching, Wang et al. 2018 (pix2pixHD), section 3.3.
    """
    distances = [
        _activation_distance(real, fake)
        for real, fake in zip(features_real, features_fake, strict=True)
    ]
    return tf.add_n(distances) / len(distances)


def _activation_distance(real, fake):
    """Returns the mean L1 distance in float32; `real` gets no gradient."""
    real, fake = tf.cast(tf.stop_gradient(real), tf.float32), tf.cast(fake, tf.float32)
    return l1_loss(real, fake)


def make_perceptual_loss(weights: str) -> Callable:
    """Returns a function (targets, outputs) -> VGG19 distance, for RGB images.

    Args:
        weights: path of a Keras weights file of VGG19 without its top, or "imagenet",
            which Keras downloads once. No code from the file is run.

    Raises:
        UsageError: the weights cannot be loaded.

    Source: Johnson et al. 2016; layers and weights of Wang et al. 2018 (pix2pixHD).
    """
    with pretrained.opening("--vgg_weights", weights):
        vgg = keras.applications.VGG19(include_top=False, weights=weights)
        activations = [vgg.get_layer(name).output for name in VGG_LAYERS]
        features = keras.Model(vgg.input, activations, trainable=False)

    def perceptual_loss(targets, outputs):
        real, fake = (
            features(keras.applications.vgg19.preprocess_input((images + 1) * 127.5))
            for images in (tf.cast(targets, tf.float32), tf.cast(outputs, tf.float32))
        )
        layers = zip(VGG_LAYERS.values(), real, fake, strict=True)
        return tf.add_n(
            [weight * _activation_distance(a, b) for weight, a, b in layers]
        )

    return perceptual_loss

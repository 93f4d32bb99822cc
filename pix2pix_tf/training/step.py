"""One training step: forward pass, losses, gradients, both updates, moving averages."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.checkpoints import DISCRIMINATOR_LOSS, start_state
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.training import losses

EMA_DECAY = 0.99  # of the losses' moving averages
PENALTY_KEY = 1000  # sets wgangp's draws apart from other draws of the same seed


class StepResult(NamedTuple):
    """What one step computed, before its update."""

    outputs: tf.Tensor  # float32 [batch, height, width, channels], in [-1, 1]
    # Of the finest scale: float32 [batch, grid, grid, 1], in [0, 1] for vanilla. None
    # without a discriminator, or with one that does not judge patches.
    predict_real: tf.Tensor | None
    predict_fake: tf.Tensor | None
    losses: dict  # {name: float32 scalar}, without weights
    # For each network of `TrainState.trained`, the gradients of its own scaled loss in
    # the order of its trainable_variables.
    gradients: list
    # What each network's loss was multiplied by: 1 except in float16.
    loss_scales: Sequence = (1.0, 1.0)
    # bool [len(checked_names)], once `update` has looked.
    is_finite: tf.Tensor | None = None


def make_state(
    channels,
    model,
    loss,
    optimizer=OptimizerConfig(),  # noqa: B008  frozen
    precision="float32",
):
    """Builds the networks and optimizers, at step 0.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.
        loss: LossConfig; without a gan_weight no discriminator is built.
        optimizer: OptimizerConfig.
        precision: str, as `precision.set_precision` was told.

    Returns:
        TrainState.
    """
    generator = networks.build_generator(channels, model)
    discriminator = None
    if loss.gan_weight:
        discriminator = networks.build_discriminator(channels, model, loss.gan_mode)
    names = losses.loss_names(loss)
    return start_state(generator, discriminator, optimizer, names, precision)


def make_train_step(state, loss, seed, xla=False):
    """Returns a compiled function that updates both networks once.

    It maps inputs and targets, float32 [batch, height, width, channels] in [-1, 1], to
    a StepResult, and updates everything in `state`: the discriminator first, then the
    generator, the moving averages of the losses, the step and the position.

    Args:
        state: TrainState.
        loss: LossConfig.
        seed: int, of dropout and of wgangp's draws.
        xla: bool, compile it by XLA.

    Raises:
        UsageError: the weights of `--perceptual_weight`'s network cannot be used.
    """
    perceptual_loss = None
    if loss.perceptual_weight:
        perceptual_loss = losses.make_perceptual_loss(loss.vgg_weights)

    @tf.function(jit_compile=xla or None)
    def train_step(inputs, targets):
        step = tf.cast(state.global_step, tf.int32)
        networks.key_dropout(state.generator, seed, step)
        key = tf.random.fold_in([seed, PENALTY_KEY], step)
        result = forward(state, inputs, targets, loss, perceptual_loss, key)
        return update(state, result, inputs.shape[0])

    return train_step


def forward(state, inputs, targets, loss, perceptual_loss=None, key=(0, 0)):
    """Computes the losses and both gradients, all at the same weights.

    The generator's gradient sees the discriminator from before this step's update, and
    each call of the discriminator has its own batch statistics, as in the original.

    Args:
        state: TrainState, which stays as it is.
        inputs, targets: float32 [batch, height, width, channels], in [-1, 1].
        loss: LossConfig.
        perceptual_loss: as `losses.make_perceptual_loss` returns it; None without
            `--perceptual_weight`.
        key: int [2], of wgangp's draws.

    Returns:
        StepResult.
    """
    generator, discriminator = state.generator, state.discriminator
    real = fake = predict_real = predict_fake = None
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        outputs = generator(inputs)
        if discriminator is not None:
            judge = _make_judge(discriminator, inputs, loss)
            real, fake = judge(targets), judge(outputs)
            predict_real, predict_fake = real.predictions[0], fake.predictions[0]
        seen = losses.ForwardPass(
            inputs, targets, outputs, real, fake, loss.gan_mode, perceptual_loss
        )
        found = {term.name: term.compute(seen) for term in losses.used_terms(loss)}
        scaled_g_loss = state.g_optimizer.scale_loss(losses.weighted_sum(found, loss))
        if discriminator is not None:
            d_loss = _discriminator_loss(real, fake, loss)
            if loss.gan_mode == "wgangp":
                d_loss += _penalty(judge, targets, outputs, key)
            scaled_d_loss = state.d_optimizer.scale_loss(d_loss)
            found = {DISCRIMINATOR_LOSS: d_loss} | found
    gradients = [g_tape.gradient(scaled_g_loss, generator.trainable_variables)]
    if discriminator is not None:
        d_variables = discriminator.trainable_variables
        gradients.append(d_tape.gradient(scaled_d_loss, d_variables))
    scales = [optimizer.loss_scale for _, optimizer in state.trained]
    return StepResult(outputs, predict_real, predict_fake, found, gradients, scales)


def update(state, result, num_examples):
    """Applies a step's gradients, the discriminator's first, and counts the step.

    If a loss or a gradient is not finite the step is counted and nothing else changes:
    neither weights nor optimizers nor moving averages.

    Args:
        state: TrainState.
        result: StepResult.
        num_examples: int, in the step's batch.

    Returns:
        StepResult, with `is_finite`.
    """
    is_finite = _find_finite(state, result)
    tf.cond(tf.reduce_all(is_finite), lambda: _apply(state, result), lambda: None)
    state.global_step.assign_add(1)
    state.position.assign_add(num_examples)
    return result._replace(is_finite=is_finite)


def checked_names(state):
    """Returns what each entry of `StepResult.is_finite` is about, as text."""
    return list(state.ema) + [
        f"the gradient of {name}"
        for network, optimizer in state.trained
        if not optimizer.skips_overflow
        for name in networks.trainable_by_name(network)
    ]


def _make_judge(discriminator, inputs, loss):
    """Returns a function from images like `targets` to their losses.Judgement."""
    network = discriminator
    if loss.feature_weight:
        network = networks.with_features(discriminator)

    def judge(images):
        results = network([inputs, images])
        predictions, features = results if loss.feature_weight else (results, [])
        features = [tf.cast(feature, tf.float32) for feature in features]
        is_many = isinstance(predictions, (list, tuple))
        predictions = list(predictions) if is_many else [predictions]
        return losses.Judgement(predictions, features)

    return judge


def _discriminator_loss(real, fake, loss):
    """Returns the discriminator's loss, the mean of all scales."""
    return losses.mean(
        losses.discriminator_loss(*pair, loss.gan_mode, loss.label_smoothing)
        for pair in zip(real.predictions, fake.predictions, strict=True)
    )


def _penalty(judge, targets, outputs, key):
    """Returns wgangp's weighted gradient penalty, over all scales."""
    draw = tf.random.stateless_uniform([targets.shape[0], 1, 1, 1], key)
    return losses.PENALTY_WEIGHT * losses.gradient_penalty(
        lambda mix: tf.add_n(
            [tf.reduce_mean(p, axis=[1, 2, 3]) for p in judge(mix).predictions]
        ),
        targets,
        tf.stop_gradient(outputs),
        draw,
    )


def _find_finite(state, result):
    """Returns bool [len(checked_names)]: which losses and gradients are finite.

    If any entry of a gradient is not finite, neither is its sum, which takes one pass
    over memory. Optimizers that skip an overflow check their own gradients, as an
    overflow is no fault there.
    """
    numbers = [result.losses[name] for name in state.ema]
    for (_, optimizer), own in zip(state.trained, result.gradients, strict=True):
        if not optimizer.skips_overflow:
            numbers += [tf.reduce_sum(gradient) for gradient in own]
    return tf.math.is_finite(tf.stack(numbers))


def _apply(state, result):
    """Updates the networks, the discriminator first, and the moving averages."""
    pairs = list(zip(state.trained, result.gradients, strict=True))
    for (network, optimizer), gradients in reversed(pairs):
        optimizer.apply(gradients, network.trainable_variables)
    for name, average in state.ema.items():
        average.assign_sub((1 - EMA_DECAY) * (average - result.losses[name]))

"""One training step: forward pass, losses, gradients, both updates, moving averages."""

import contextlib
import functools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.checkpoints import DISCRIMINATOR_LOSS, start_state
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.training import augment, losses, strategy

EMA_DECAY = 0.99  # of the moving averages of the losses
PENALTY_KEY = 1000  # makes the random draws of wgangp differ from those of dropout
DIFFAUG_KEY = 1  # makes the random draws of --diffaug differ from those of wgangp


class StepResult(NamedTuple):
    """The results of one step, all computed before its update."""

    outputs: tf.Tensor  # float32 [batch, height, width, channels], in [-1, 1]
    # At the finest scale: float32 [batch, grid, grid, 1], in [0, 1] for vanilla. None
    # without a discriminator, or if it does not judge patches.
    predict_real: tf.Tensor | None
    predict_fake: tf.Tensor | None
    losses: dict  # {name: float32 scalar}, without weights
    # For each network of `TrainState.trained`: the gradients of its scaled loss, in the
    # order of its trainable_variables.
    gradients: list
    loss_scales: Sequence = (1.0, 1.0)  # of each network; not 1 in float16 only
    # Set by the update: bool [len(checked_names)], and for each network a bool scalar.
    is_finite: tf.Tensor | None = None
    are_applied: Sequence | None = None


def make_state(
    channels,
    model,
    loss,
    optimizer=OptimizerConfig(),  # noqa: B008  frozen
    precision="float32",
    any_size=False,
    scope=contextlib.nullcontext,
):
    """Builds the networks and their optimizers.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.
        loss: LossConfig; if its gan_weight is 0, no discriminator is built.
        optimizer: OptimizerConfig.
        precision: str, the global dtype policy.
        any_size: bool, if False the images have `model.crop_size`, which is faster.
        scope: function, the `scope` of a strategy.

    Returns:
        TrainState at step 0.
    """
    discriminator = None
    with scope():
        generator = networks.build_generator(channels, model, any_size)
        if loss.gan_weight:
            discriminator = networks.build_discriminator(
                channels, model, loss.gan_mode, any_size
            )
    names = losses.loss_names(loss)
    return start_state(generator, discriminator, optimizer, names, precision, scope)


def make_train_step(state, loss, seed, xla=False, replicas=None):
    """Returns a compiled function that trains both networks for one step.

    It takes inputs and targets, float32 [batch, height, width, channels] in [-1, 1],
    and returns a StepResult. It updates everything in `state`: first the discriminator,
    then the generator, the moving averages of the losses, the step and the position.

    Args:
        state: TrainState.
        loss: LossConfig.
        seed: int, of dropout and of wgangp's random draws.
        xla: bool, whether XLA compiles the function.
        replicas: Replicas that share the work (default: one). Each takes its part of
            the batch, and all apply the means of their gradients. The result has their
            mean losses and gradients, and the outputs and predictions of this process.

    Raises:
        UsageError: `--vgg_weights` cannot be loaded.
    """
    replicas = replicas or strategy.alone()
    perceptual_loss = None
    if loss.perceptual_weight:
        with replicas.scope():
            perceptual_loss = losses.make_perceptual_loss(loss.vgg_weights)

    signature = None
    if None in state.generator.input_shape[1:]:
        # One graph for all sizes: a resumed run computes by the same one.
        ends = (state.generator.input_shape, state.generator.output_shape)
        signature = [tf.TensorSpec(shape, tf.float32) for shape in ends]

    def replica_step(inputs, targets):
        # A number for each replica of each step; with one replica it is the step's.
        place = replicas.number(tf.cast(state.global_step, tf.int32))
        networks.seed_dropout(state.generator, seed, place)
        key = tf.random.fold_in([seed, PENALTY_KEY], place)
        result = forward(state, inputs, targets, loss, perceptual_loss, key)
        means = replicas.mean([result.losses, result.gradients])
        return _apply(state, result._replace(losses=means[0], gradients=means[1]))

    @tf.function(jit_compile=xla or None, input_signature=signature, autograph=False)
    def train_step(inputs, targets):
        result = replicas.run(replica_step, inputs, targets)
        return _count(state, result, replicas.num_examples(inputs))

    return train_step


def forward(state, inputs, targets, loss, perceptual_loss=None, key=(0, 0)):
    """Computes the losses and the gradients of both networks, without an update.

    The generator's gradient is computed with the discriminator's weights from before
    the update. Each call of the discriminator normalises by its own batch statistics.
    Both are as in the original. With `--diffaug` the discriminator sees all images
    changed; the other losses see them as they are.

    Args:
        state: TrainState.
        inputs, targets: float32 [batch, height, width, channels], in [-1, 1].
        loss: LossConfig.
        perceptual_loss: function from `losses.make_perceptual_loss`, or None without
            `--perceptual_weight`.
        key: int [2], the seed of the random draws of wgangp and `--diffaug`.

    Returns:
        StepResult.
    """
    generator, discriminator = state.generator, state.discriminator
    real = fake = predict_real = predict_fake = None
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        outputs = generator(inputs)
        if discriminator is not None:
            shown = [inputs, targets, outputs]
            if policy := loss.diffaug_policy:
                own_key = tf.random.fold_in(key, DIFFAUG_KEY)
                shown = augment.augment(shown, policy, own_key)
            judge = _make_judge(discriminator, shown[0], loss)
            real, fake = judge(shown[1]), judge(shown[2])
            predict_real, predict_fake = real.predictions[0], fake.predictions[0]
        seen = losses.ForwardPass(
            inputs, targets, outputs, real, fake, loss.gan_mode, perceptual_loss
        )
        found = {term.name: term.compute(seen) for term in losses.used_terms(loss)}
        scaled_g_loss = state.g_optimizer.scale_loss(losses.weighted_sum(found, loss))
        if discriminator is not None:
            d_loss = _discriminator_loss(real, fake, loss)
            if loss.gan_mode == "wgangp":
                d_loss += _penalty(judge, *shown[1:], key)
            scaled_d_loss = state.d_optimizer.scale_loss(d_loss)
            found = {DISCRIMINATOR_LOSS: d_loss} | found
    gradients = [g_tape.gradient(scaled_g_loss, generator.trainable_variables)]
    if discriminator is not None:
        d_variables = discriminator.trainable_variables
        gradients.append(d_tape.gradient(scaled_d_loss, d_variables))
    scales = [optimizer.loss_scale for _, optimizer in state.trained]
    return StepResult(outputs, predict_real, predict_fake, found, gradients, scales)


def update(state, result, num_examples):
    """Applies the gradients of a step, and counts the step.

    If a loss or a gradient is not finite, the step is counted, but weights, optimizers
    and moving averages do not change.

    Args:
        state: TrainState.
        result: StepResult.
        num_examples: int or int64 scalar, examples in the batch.

    Returns:
        StepResult, with `is_finite` and `are_applied`.
    """
    return _count(state, _apply(state, result), num_examples)


def checked_names(state) -> list[str]:
    """Returns the name of the loss or gradient for each entry of `is_finite`."""
    return list(state.ema) + [
        f"the gradient of {name}"
        for network, optimizer in state.trained
        if not optimizer.skips_overflow
        for name in networks.trainable_by_name(network)
    ]


def _make_judge(discriminator, inputs, loss):
    """Returns a function (images like `targets`) -> losses.Judgement."""
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
    """Returns the discriminator's loss, the mean over all scales."""
    return losses.mean(
        losses.discriminator_loss(*pair, loss.gan_mode, loss.label_smoothing)
        for pair in zip(real.predictions, fake.predictions, strict=True)
    )


def _penalty(judge, targets, outputs, key):
    """Returns wgangp's gradient penalty for the sum of all scales, with its weight."""
    draw = tf.random.stateless_uniform([tf.shape(targets)[0], 1, 1, 1], key)
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

    If any entry of a gradient is not finite, neither is its sum, which is fast to
    compute. Gradients are not checked here if their optimizer skips overflows, because
    an overflow is not a fault then.
    """
    numbers = [result.losses[name] for name in state.ema]
    for (_, optimizer), own in zip(state.trained, result.gradients, strict=True):
        if not optimizer.skips_overflow:
            numbers += [tf.reduce_sum(gradient) for gradient in own]
    return tf.math.is_finite(tf.stack(numbers))


def _apply(state, result):
    """Updates the networks on one replica, the discriminator first.

    All replicas have the same gradients, so they agree on what is finite.

    Returns:
        StepResult, with `is_finite` and `are_applied`.
    """
    is_finite = _find_finite(state, result)
    is_update = tf.reduce_all(is_finite)
    updates = []
    for (_, optimizer), own in zip(state.trained, result.gradients, strict=True):
        is_applied = is_update & optimizer.accepts(own)
        updates.append((is_applied, functools.partial(optimizer.update, own)))
    for is_applied, update_network in reversed(updates):
        tf.cond(is_applied, update_network, lambda: None)
    are_applied = [is_applied for is_applied, _ in updates]
    return result._replace(is_finite=is_finite, are_applied=are_applied)


def _count(state, result, num_examples):
    """Counts a step that all replicas have applied; returns its StepResult."""
    is_update = tf.reduce_all(result.is_finite)
    for (_, optimizer), is_applied in zip(
        state.trained, result.are_applied, strict=True
    ):
        optimizer.count(is_update, is_applied)
    if state.average is not None:
        num_updates = tf.convert_to_tensor(state.g_optimizer.iterations)
        move = functools.partial(state.average.update, num_updates)
        tf.cond(result.are_applied[0], move, lambda: None)
    for name, average in state.ema.items():
        change = (1 - EMA_DECAY) * (average - result.losses[name])
        average.assign_sub(tf.where(is_update, change, 0.0))
    state.global_step.assign_add(1)
    state.position.assign_add(num_examples)
    return result

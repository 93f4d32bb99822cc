"""One training step: forward, losses, gradients, both updates, moving averages."""

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.options import OptimizerConfig
from pix2pix_tf.training import losses, schedules

EMA_DECAY = 0.99
LOSS_NAMES = ("discriminator_loss", "generator_loss_GAN", "generator_loss_L1")


class Adam(keras.optimizers.Adam):
    """Keras Adam, its update done by TensorFlow's own kernel in one pass over memory.

    That takes 92 ms for the 57 million numbers of ngf 64 where Keras's takes 665.
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

    @property
    def scale_state(self):
        """{name: variable} of a loss scale: none."""
        return {}

    @property
    def loss_scale(self):
        """What `scale_loss` multiplies by."""
        return 1.0


class ScaledAdam(keras.optimizers.LossScaleOptimizer):
    """Adam for gradients in float16, of a loss that is scaled to keep them from 0.

    A step whose gradients overflow is left out, and the scale halved; after 2,000 that
    do not it is doubled (Micikevicius et al. 2018, section 3.2).
    """

    def __init__(self, learning_rate, beta_1):
        super().__init__(Adam(learning_rate, beta_1))

    @property
    def beta_1(self):
        return self.inner_optimizer.beta_1

    @property
    def beta_2(self):
        return self.inner_optimizer.beta_2

    @property
    def slots(self):
        """As `Adam.slots`."""
        return self.inner_optimizer.slots

    @property
    def scale_state(self):
        """{name: variable}: the scale, and the steps since it changed."""
        return {"value": self.dynamic_scale, "steps": self.step_counter}

    @property
    def loss_scale(self):
        """As `Adam.loss_scale`; the value now, before an update changes it."""
        return tf.convert_to_tensor(self.dynamic_scale)


@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that training changes, and so all that a checkpoint holds."""

    generator: keras.Model
    discriminator: keras.Model | None  # None with --gan_weight 0
    g_optimizer: Adam
    d_optimizer: Adam | None
    ema: dict  # {name of a loss: float32 scalar variable}, decay 0.99, from zero
    global_step: tf.Variable  # int64, steps done
    position: tf.Variable  # int64, examples seen
    first_step: tf.Variable  # int64, steps that were done before this run

    @property
    def trained(self):
        """[(network, its optimizer), ...], the generator first."""
        pairs = [
            (self.generator, self.g_optimizer),
            (self.discriminator, self.d_optimizer),
        ]
        return [(network, optimizer) for network, optimizer in pairs if network]


class Forward(NamedTuple):
    """What one forward pass gives, and the gradients of each network's own loss."""

    outputs: tf.Tensor  # float32 [batch, height, width, channels], in [-1, 1]
    # float32 [batch, 30, 30, 1], in [0, 1]; of the finest discriminator; None where
    # there is none, or none that judges patches
    predict_real: tf.Tensor | None
    predict_fake: tf.Tensor | None
    losses: dict  # {name: float32 scalar}, without weights
    # In the order of generator.trainable_variables; of the scaled loss, for ScaledAdam.
    g_gradients: list
    d_gradients: list  # in the order of discriminator.trainable_variables
    # What the two losses were multiplied by, and so their gradients: 1 but in float16.
    loss_scales: tuple = (1.0, 1.0)
    # bool [len(checked_names)] once `update` has seen it, which leaves out an update
    # for one that is not
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
        loss: LossConfig.
        optimizer: OptimizerConfig.
        precision: str, as `precision.set_precision` was told.

    Returns:
        TrainState.
    """
    generator = networks.build_generator(channels, model)
    discriminator = None
    if loss.gan_weight:
        discriminator = networks.build_discriminator(channels, model, loss.gan_mode)
    return start_state(generator, discriminator, optimizer, loss_names(loss), precision)


def start_state(generator, discriminator, optimizer, names, precision="float32"):
    """Returns the TrainState of two networks at step 0.

    Args:
        generator, discriminator: keras.Model; no discriminator is None.
        optimizer: OptimizerConfig.
        names: list of str, of the losses.
        precision: as in `make_state`.
    """
    ema = {name: tf.Variable(0.0, name=name) for name in names}
    counts = [
        tf.Variable(0, dtype=tf.int64, name=name) for name in ("step", "seen", "first")
    ]
    g_rate, d_rate = optimizer.rates
    d_optimizer = None
    if discriminator is not None:
        d_optimizer = _make_optimizer(discriminator, d_rate, optimizer.beta1, precision)
    g_optimizer = _make_optimizer(generator, g_rate, optimizer.beta1, precision)
    return TrainState(generator, discriminator, g_optimizer, d_optimizer, ema, *counts)


def _make_optimizer(network, rate, beta1, precision):
    kind = ScaledAdam if precision == "mixed_float16" else Adam
    optimizer = kind(rate, beta1)
    optimizer.build(network.trainable_variables)
    return optimizer


def schedule_rates(state, optimizer, span):
    """Makes both learning rates fall with `state.global_step`; before the first step.

    Not with the optimizers' own counts, which lag where float16 leaves steps out.

    Args:
        state: TrainState.
        optimizer: OptimizerConfig, whose policy is not constant.
        span: as `schedules.make_schedule` takes it.
    """
    for (_, adam), rate in zip(state.trained, optimizer.rates, strict=False):
        schedule = schedules.make_schedule(optimizer.lr_policy, rate, span)
        # Keras calls it in the graph of each step.
        adam.learning_rate = lambda schedule=schedule: schedule(state.global_step)


def loss_names(loss):
    """Returns the names of the losses that a LossConfig asks for, in order."""
    names = list(LOSS_NAMES) if loss.gan_weight else [LOSS_NAMES[-1]]
    for name, weight in (
        ("generator_loss_L2", loss.l2_weight),
        ("generator_loss_TV", loss.tv_weight),
        ("generator_loss_feature", loss.feature_weight),
        ("generator_loss_perceptual", loss.perceptual_weight),
    ):
        if weight:
            names.append(name)
    return names


def forward(state, inputs, targets, loss, perceptual=None, seed=(0, 0)):
    """One forward pass and both gradients, all at the same weights.

    The generator's gradient sees the discriminator from before this step's update, and
    each call of the discriminator has its own batch statistics, as in the original.

    Args:
        state: TrainState, which stays as it is.
        inputs, targets: float32 [batch, height, width, channels], in [-1, 1].
        loss: LossConfig.
        perceptual: function from (targets, outputs) to the VGG19 distance, or None.
        seed: int [2], of wgangp's draw.

    Returns:
        Forward.
    """
    generator, discriminator = state.generator, state.discriminator
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        outputs = generator(inputs)
        terms = _image_terms(targets, outputs, loss, perceptual)
        real = fake = None
        if discriminator is not None:
            judge = _make_judge(discriminator, inputs, loss)
            real, fake = judge(targets), judge(outputs)
            terms |= _adversarial_terms(real, fake, loss)
            d_loss = _mean(
                losses.discriminator_loss(*pair, loss.gan_mode, loss.label_smoothing)
                for pair in zip(real.predictions, fake.predictions, strict=True)
            )
            if loss.gan_mode == "wgangp":
                d_loss += _penalty(judge, targets, outputs, seed)
            scaled_d_loss = state.d_optimizer.scale_loss(d_loss)
        g_loss = state.g_optimizer.scale_loss(_weighted_sum(terms, loss))
    g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
    scales = tuple(optimizer.loss_scale for _, optimizer in state.trained)
    if discriminator is None:
        return Forward(outputs, None, None, terms, g_gradients, [], scales)
    d_gradients = d_tape.gradient(scaled_d_loss, discriminator.trainable_variables)
    terms = {LOSS_NAMES[0]: d_loss} | terms
    return Forward(
        outputs,
        real.predictions[0],
        fake.predictions[0],
        {name: terms[name] for name in loss_names(loss)},
        g_gradients,
        d_gradients,
        scales,
    )


class Verdict(NamedTuple):
    """What the discriminator makes of one batch of pictures."""

    predictions: list  # of each scale, the finest first
    features: list  # activations of all layers, where they are asked for


def _make_judge(discriminator, inputs, loss):
    """Returns a function from images like `targets` to their Verdict."""
    network = discriminator
    if loss.feature_weight:
        network = networks.with_features(discriminator)

    def judge(images):
        results = network([inputs, images])
        predictions, features = results if loss.feature_weight else (results, [])
        features = [tf.cast(feature, tf.float32) for feature in features]
        is_many = isinstance(predictions, (list, tuple))
        return Verdict(list(predictions) if is_many else [predictions], features)

    return judge


def _image_terms(targets, outputs, loss, perceptual):
    """Returns the generator's loss terms that compare pictures, {name: scalar}."""
    terms = {"generator_loss_L1": losses.l1_loss(targets, outputs)}
    if loss.l2_weight:
        terms["generator_loss_L2"] = losses.l2_loss(targets, outputs)
    if loss.tv_weight:
        terms["generator_loss_TV"] = losses.total_variation_loss(outputs)
    if loss.perceptual_weight:
        terms["generator_loss_perceptual"] = perceptual(targets, outputs)
    return terms


def _adversarial_terms(real, fake, loss):
    """Returns the generator's loss terms that ask the discriminator, {name: scalar}."""
    terms = {
        "generator_loss_GAN": _mean(
            losses.gan_loss(predictions, loss.gan_mode)
            for predictions in fake.predictions
        )
    }
    if loss.feature_weight:
        terms["generator_loss_feature"] = losses.feature_loss(
            real.features, fake.features
        )
    return terms


def _weighted_sum(terms, loss):
    """Returns what the generator minimises."""
    weights = {
        "generator_loss_GAN": loss.gan_weight,
        "generator_loss_L1": loss.l1_weight,
        "generator_loss_L2": loss.l2_weight,
        "generator_loss_TV": loss.tv_weight,
        "generator_loss_feature": loss.feature_weight,
        "generator_loss_perceptual": loss.perceptual_weight,
    }
    return sum(weight * terms[name] for name, weight in weights.items() if weight)


def _penalty(judge, targets, outputs, seed):
    """Returns the weighted gradient penalty, over all scales."""
    draw = tf.random.stateless_uniform([targets.shape[0], 1, 1, 1], seed)
    return losses.PENALTY_WEIGHT * losses.gradient_penalty(
        lambda mix: tf.add_n(
            [tf.reduce_mean(p, axis=[1, 2, 3]) for p in judge(mix).predictions]
        ),
        targets,
        tf.stop_gradient(outputs),
        draw,
    )


def _mean(values):
    """Returns the mean of some scalars; one is returned as it is."""
    values = list(values)
    return values[0] if len(values) == 1 else tf.add_n(values) / len(values)


def make_train_step(state, loss, seed, xla=False):
    """Returns a compiled function that updates both networks once.

    It maps inputs and targets, float32 [batch, height, width, channels] in [-1, 1], to
    the step's Forward, from before the update. The discriminator is updated first. The
    moving averages of the losses, the step and the position are updated in `state`.

    Args:
        state: TrainState.
        loss: LossConfig.
        seed: int, of dropout and of wgangp's draw.
        xla: bool, compile it by XLA.
    """
    perceptual = None
    if loss.perceptual_weight:
        perceptual = losses.make_perceptual_loss(loss.vgg_weights)

    @tf.function(jit_compile=xla or None)
    def train_step(inputs, targets):
        networks.key_dropout(state.generator, seed, state.global_step)
        result = forward(
            state,
            inputs,
            targets,
            loss,
            perceptual,
            tf.random.fold_in([seed, 1000], tf.cast(state.global_step, tf.int32)),
        )
        return update(state, result, inputs.shape[0])

    return train_step


def update(state, result, num_examples):
    """Applies a Forward's gradients, the discriminator's first, and counts the step.

    Where a loss or a gradient is not finite only the step is counted: weights, slots
    and moving averages stay.

    Args:
        state: TrainState.
        result: Forward.
        num_examples: int, in the step's batch.

    Returns:
        Forward, with `is_finite`.
    """
    is_finite = _find_finite(state, result)
    tf.cond(tf.reduce_all(is_finite), lambda: _apply(state, result), lambda: None)
    state.global_step.assign_add(1)
    state.position.assign_add(num_examples)
    return result._replace(is_finite=is_finite)


def checked_names(state):
    """Returns the names of what `update` checks, in the order of `is_finite`."""
    return list(state.ema) + [
        f"the gradient of {name}"
        for network, optimizer in state.trained
        if not isinstance(optimizer, ScaledAdam)
        for name in networks.trainable_by_name(network)
    ]


def _find_finite(state, result):
    """Returns bool [len(checked_names)]: which losses and gradients are finite.

    A gradient's sum is not where any of its numbers is not: one pass over memory.
    ScaledAdam sees to its own, which overflow now and then.
    """
    numbers = [result.losses[name] for name in state.ema]
    gradients = (result.g_gradients, result.d_gradients)
    for (_, optimizer), own in zip(state.trained, gradients, strict=False):
        if not isinstance(optimizer, ScaledAdam):
            numbers += [tf.reduce_sum(gradient) for gradient in own]
    return tf.math.is_finite(tf.stack(numbers))


def _apply(state, result):
    """Updates the networks, the discriminator first, and the moving averages."""
    if state.discriminator is not None:
        d_variables = state.discriminator.trainable_variables
        state.d_optimizer.apply(result.d_gradients, d_variables)
    g_variables = state.generator.trainable_variables
    state.g_optimizer.apply(result.g_gradients, g_variables)
    for name, average in state.ema.items():
        average.assign_sub((1 - EMA_DECAY) * (average - result.losses[name]))

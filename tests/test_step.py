"""The step against the original's recorded figures (tests/golden/README.md)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.options import LossConfig, ModelConfig, OptimizerConfig
from pix2pix_tf.training import step

LOSS_KEYS = ("discrim_loss", "gen_loss_GAN", "gen_loss_L1")


def _is_noise(name):
    """A bias that a batch norm follows has a true gradient of zero.

    What was recorded there is rounding noise, which Adam turns into steps of size lr.
    """
    has_no_norm = ("encoder_1/", "decoder_1/", "layer_1/", "layer_5/")
    return name.endswith("bias") and not any(part in name for part in has_no_norm)


@pytest.fixture(scope="module")
def result(golden):
    """The first forward pass, at the recorded weights; used before any training."""
    return step.forward(golden.state, golden.inputs, golden.targets, golden.loss)


@pytest.fixture(scope="module")
def trained(golden, result):
    """(variables after one step, [10, 3] moving averages), after ten steps."""
    train_step = step.make_train_step(golden.state, golden.loss, seed=0)
    averages = []
    for number in range(10):
        train_step(golden.inputs, golden.targets)
        averages.append([float(average) for average in golden.state.ema.values()])
        if number == 0:
            after1 = {name: v.numpy() for name, v in golden.variables.items()}
    return after1, np.array(averages)


def test_outputs_and_predictions_equal_the_originals(golden, result):
    sample = result.outputs[:, ::8, ::8]
    np.testing.assert_allclose(sample, golden.arrays["outputs_sample"], atol=1e-5)
    for key in ("predict_real", "predict_fake"):
        np.testing.assert_allclose(getattr(result, key), golden.arrays[key], atol=1e-5)


def test_losses_equal_the_originals(golden, result):
    for name, key in zip(step.LOSS_NAMES, LOSS_KEYS, strict=True):
        recorded = golden.arrays[f"loss/{key}"]
        np.testing.assert_allclose(result.losses[name], recorded, atol=1e-5)


def test_gradients_equal_the_originals(golden, result):
    names = {id(variable): name for name, variable in golden.variables.items()}
    state = golden.state
    gradients = zip(
        [
            *state.generator.trainable_variables,
            *state.discriminator.trainable_variables,
        ],
        [*result.g_gradients, *result.d_gradients],
        strict=True,
    )
    num_compared = 0
    for variable, gradient in gradients:
        name = names[id(variable)]
        got, recorded = golden.sample("grad", name, gradient)
        norm = np.linalg.norm(recorded)
        if _is_noise(name) or norm < 1e-8:
            continue
        # The bound of the recording: one activation on the other side of its kink
        # moves every gradient above it. Without one, 1e-4 is what is seen.
        assert np.linalg.norm(got - recorded) < 1e-2 * norm, name
        num_compared += 1
    assert num_compared > 35


def test_variables_after_one_step_equal_the_originals(golden, trained):
    after1, _ = trained
    for name, values in after1.items():
        if not golden.variables[name].trainable or _is_noise(name):
            continue
        got, recorded = golden.sample("after1", name, values)
        difference = np.abs(got - recorded)
        assert difference.mean() < 1e-5, name
        # Where a gradient is near zero, Adam's first step is only its sign.
        assert difference.max() < 2.1 * OptimizerConfig().lr, name


def test_moving_averages_of_ten_steps_equal_the_originals(golden, trained):
    _, averages = trained
    np.testing.assert_allclose(averages, golden.arrays["ema_losses"], rtol=1e-3)


def test_outputs_after_ten_steps_equal_the_originals(golden, trained):
    outputs = golden.state.generator(golden.inputs)[:, ::8, ::8]
    difference = np.abs(outputs - golden.arrays["outputs10_sample"])
    assert difference.mean() < 0.02
    assert int(golden.state.global_step) == 10


def test_the_fused_update_equals_keras_adam():
    rng = np.random.default_rng(0)
    start = rng.normal(size=[5, 4]).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    fused = step.Adam(0.01, 0.5)
    plain = keras.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
    fused.build([ours])
    plain.build([theirs])
    for _ in range(5):
        gradient = tf.constant(rng.normal(size=[5, 4]), tf.float32)
        fused.apply([gradient], [ours])
        plain.apply([gradient], [theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_first_update_shows_epsilon_1e8():
    variable = keras.Variable([0.0])
    optimizer = step.Adam(1.0, 0.5)
    optimizer.build([variable])
    gradient = 1e-6  # small enough for epsilon to show
    optimizer.apply([tf.constant([gradient])], [variable])
    # m = g / 2, v = g**2 / 1000, lr_t = sqrt(1 / 1000) / (1 / 2): Adam's first step.
    root = gradient * np.sqrt(0.001)
    expected = -np.sqrt(0.001) / 0.5 * (gradient / 2) / (root + 1e-8)
    np.testing.assert_allclose(variable, [expected], rtol=1e-4)


def _trainable_values(state):
    named = networks.variables_by_name(state.generator)
    named |= networks.variables_by_name(state.discriminator)
    return {name: v.numpy() for name, v in named.items() if v.trainable}


@pytest.mark.parametrize("separable", [False, True])
def test_a_step_changes_every_trainable_variable_and_the_counts(separable):
    model = ModelConfig(ngf=4, ndf=4, separable_conv=separable)
    loss = LossConfig()
    state = step.make_state((3, 3), model, loss)
    before = _trainable_values(state)
    train_step = step.make_train_step(state, loss, seed=1)
    sides = tf.random.stateless_uniform([2, 2, 256, 256, 3], [1, 1], -1, 1)
    train_step(sides[0], sides[1])
    for name, values in _trainable_values(state).items():
        changed = not np.array_equal(values, before[name])
        assert changed or _is_noise(name), name
    assert int(state.global_step) == 1 and int(state.position) == 2


def test_xla_gives_the_same_step():
    # XLA has random streams of its own, and so other dropout masks.
    model = ModelConfig(ngf=2, ndf=2, crop_size=32, num_downs=5, no_dropout=True)
    loss = LossConfig(gan_weight=0)  # compiles in a third of the time
    pair = tf.random.stateless_uniform([2, 1, 32, 32, 3], [1, 2], -1, 1)
    results = []
    for xla in (False, True):
        keras.utils.set_random_seed(3)
        state = step.make_state((3, 3), model, loss)
        train_step = step.make_train_step(state, loss, 7, xla)
        results.append(train_step(*tf.unstack(pair)))
        assert int(state.global_step) == 1
    plain, compiled = results
    np.testing.assert_allclose(plain.outputs, compiled.outputs, atol=1e-5)
    for name, value in plain.losses.items():
        np.testing.assert_allclose(value, compiled.losses[name], rtol=1e-5)
    for ours, theirs in zip(plain.g_gradients, compiled.g_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)

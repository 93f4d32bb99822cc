"""The step against the numbers recorded from the original (tests/golden/README.md)."""

import keras
import numpy as np
import pytest

from pix2pix_tf.checkpoints import EMA_NAMES
from pix2pix_tf.options import LossConfig, OptimizerConfig
from pix2pix_tf.training import step
from tests.conftest import small_model

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


def test_outputs_predictions_and_losses_equal_the_originals(golden, result):
    got = {"outputs_sample": result.outputs[:, ::8, ::8]}
    got |= {key: getattr(result, key) for key in ("predict_real", "predict_fake")}
    for name, key in zip(EMA_NAMES, LOSS_KEYS, strict=True):
        got[f"loss/{key}"] = result.losses[name]
    for key, values in got.items():
        np.testing.assert_allclose(values, golden.arrays[key], atol=1e-5, err_msg=key)


def test_gradients_equal_the_originals(golden, result):
    names = {id(variable): name for name, variable in golden.variables.items()}
    num_compared = 0
    for (network, _), gradients in zip(
        golden.state.trained, result.gradients, strict=True
    ):
        for variable, gradient in zip(
            network.trainable_variables, gradients, strict=True
        ):
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


def test_averages_and_outputs_of_ten_steps_equal_the_originals(golden, trained):
    _, averages = trained
    np.testing.assert_allclose(averages, golden.arrays["ema_losses"], rtol=1e-3)
    outputs = golden.state.generator(golden.inputs)[:, ::8, ::8]
    assert np.abs(outputs - golden.arrays["outputs10_sample"]).mean() < 0.02
    assert int(golden.state.global_step) == 10


def test_xla_gives_the_same_step(small_pair):
    # XLA has random streams of its own, and so other dropout masks.
    model = small_model(no_dropout=True)
    loss = LossConfig(gan_weight=0)  # compiles in a third of the time
    results = []
    for xla in (False, True):
        keras.utils.set_random_seed(3)
        state = step.make_state((3, 3), model, loss)
        results.append(step.make_train_step(state, loss, 7, xla)(*small_pair))
        assert int(state.global_step) == 1
    plain, compiled = results
    np.testing.assert_allclose(plain.outputs, compiled.outputs, atol=1e-5)
    for name, value in plain.losses.items():
        np.testing.assert_allclose(value, compiled.losses[name], rtol=1e-5)
    for ours, theirs in zip(*plain.gradients, *compiled.gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)

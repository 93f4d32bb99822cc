from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.histogram.summary_v2 import histogram

from pix2pix_tf.training import losses, summaries
from pix2pix_tf.training.step import StepResult

RAMP = np.linspace(-1, 1, 3001, dtype=np.float32)


def _written(folder, write, values):
    """Returns the buckets, float64 [30, 3], that TensorBoard reads back."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(7):
        write("values", values)
    writer.close()
    [event] = EventAccumulator(str(folder)).Reload().Tensors("values")
    assert event.step == 7
    return tf.make_ndarray(event.tensor_proto)


def test_a_histogram_equals_tensorboards_own(tmp_path):
    theirs = _written(tmp_path / "theirs", histogram, RAMP)
    ours = _written(tmp_path / "ours", summaries.write_histogram, RAMP)
    np.testing.assert_allclose(ours[:, :2], theirs[:, :2], atol=1e-6)
    # A value on an edge may count on either side of it.
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=1)


@pytest.mark.parametrize(
    "values, count",
    [
        (np.append(RAMP, [np.nan, np.inf, -np.inf]), 3001),
        (np.full([5], np.nan, np.float32), 0),
        (np.zeros([5], np.float32), 5),
        (np.array([1.0, 1.0000001], np.float32), 2),
        (np.array([0.0, 1e-45], np.float32), 2),
        (np.array([-3e38, 3e38], np.float32), 2),
    ],
)
def test_no_values_stop_a_run(tmp_path, values, count):
    buckets = _written(tmp_path, summaries.write_histogram, values)
    assert buckets.shape == (30, 3) and np.all(np.isfinite(buckets))
    assert buckets[:, 2].sum() == count


def _scalars(threshold=None, real=None, fake=None):
    """Returns what is written of a step with these predictions."""
    generator, adam = SimpleNamespace(name="generator"), SimpleNamespace()
    adam.learning_rate = 0.5
    state = SimpleNamespace(
        ema={"a_loss": tf.constant(0.25)}, trained=[(generator, adam)]
    )
    gradients = [[tf.constant([12.0, 0.0]), tf.constant([[16.0]])]]
    result = StepResult(None, real, fake, {}, gradients, loss_scales=[2.0])
    return summaries.scalars(state, result, threshold)


def test_a_gradient_norm_is_that_of_all_variables_without_the_loss_scale():
    assert _scalars() == {
        "a_loss": 0.25,
        "learning_rate/generator": 0.5,
        "gradient_norm/generator": 10.0,
    }


@pytest.mark.parametrize(
    "gan_mode, shares",
    [
        ("vanilla", [0.25, 0.5]),
        ("lsgan", [0.25, 0.5]),
        ("hinge", [0.75, 0.25]),
        ("wgangp", []),  # a critic's scores have no right side
    ],
)
def test_the_discriminators_accuracy_is_the_share_on_the_right_side(gan_mode, shares):
    real, fake = tf.constant([-0.1, 0.2, 0.4, 0.6]), tf.constant([-0.1, 0.2, 0.6, 0.7])
    scalars = _scalars(losses.decision_threshold(gan_mode), real, fake)
    tags = ["discriminator_accuracy/real", "discriminator_accuracy/fake"]
    assert [scalars[tag] for tag in tags if tag in scalars] == shares

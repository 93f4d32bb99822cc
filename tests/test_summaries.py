from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pix2pix_tf.training import losses, summaries

RAMP = np.linspace(-1, 1, 3001, dtype=np.float32)


def _written(folder, values):
    """Returns the buckets, float64 [30, 3], that TensorBoard reads back."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(7):
        summaries._write_histogram("values", values)
    writer.close()
    [event] = EventAccumulator(str(folder)).Reload().Tensors("values")
    assert event.step == 7
    return tf.make_ndarray(event.tensor_proto)


def test_a_histogram_equals_tensorboards_own(tmp_path):
    from tensorboard.plugins.histogram.summary_v2 import histogram

    writer = tf.summary.create_file_writer(str(tmp_path / "theirs"))
    with writer.as_default(7):
        histogram("values", RAMP)
    writer.close()
    [event] = EventAccumulator(str(tmp_path / "theirs")).Reload().Tensors("values")
    theirs = tf.make_ndarray(event.tensor_proto)
    ours = _written(tmp_path / "ours", RAMP)
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
    buckets = _written(tmp_path, values)
    assert buckets.shape == (30, 3) and np.all(np.isfinite(buckets))
    assert buckets[:, 2].sum() == count


class _Adam:
    learning_rate = 0.5


def _state_and_result(real, fake):
    """A TrainState's and a Forward's likes, with given predictions and gradients."""
    state = SimpleNamespace(
        ema={"a_loss": tf.constant(0.25)},
        trained=[(SimpleNamespace(name="generator"), _Adam())],
    )
    gradients = [tf.constant([12.0, 0.0]), tf.constant([[16.0]])]
    result = SimpleNamespace(
        g_gradients=gradients,
        d_gradients=[],
        loss_scales=(2.0,),
        predict_real=real,
        predict_fake=fake,
    )
    return state, result


def test_a_gradient_norm_is_that_of_all_variables_without_the_loss_scale():
    scalars = summaries.scalars(*_state_and_result(None, None), 0.5)
    assert scalars == {
        "a_loss": 0.25,
        "learning_rate/generator": 0.5,
        "gradient_norm/generator": 10.0,
    }


@pytest.mark.parametrize(
    "gan_mode, shares",
    [("vanilla", (0.25, 0.5)), ("lsgan", (0.25, 0.5)), ("hinge", (0.75, 0.25))],
)
def test_the_discriminators_accuracy_is_the_share_on_the_right_side(gan_mode, shares):
    real, fake = tf.constant([-0.1, 0.2, 0.4, 0.6]), tf.constant([-0.1, 0.2, 0.6, 0.7])
    threshold = losses.decision_threshold(gan_mode)
    scalars = summaries.scalars(*_state_and_result(real, fake), threshold)
    assert scalars["discriminator_accuracy/real"] == shares[0]
    assert scalars["discriminator_accuracy/fake"] == shares[1]


def test_a_critics_scores_have_no_right_side():
    assert losses.decision_threshold("wgangp") is None
    ones = tf.ones([4])
    scalars = summaries.scalars(*_state_and_result(ones, ones), None)
    assert not [tag for tag in scalars if "accuracy" in tag]

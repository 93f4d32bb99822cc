"""Learning rates: their values at given steps, in the update, and after a restore."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from pix2pix_tf import checkpoints
from pix2pix_tf.options import LossConfig, OptimizerConfig, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import schedules, step
from tests.conftest import assert_equal_values, small_model, values_of

LINEAR = OptimizerConfig(lr=0.01, d_lr=0.04, lr_policy="linear", decay_from=2)
SPAN = (4, 12)  # two epochs of two steps, and four more


def _state(optimizer=LINEAR, precision="float32"):
    keras.config.set_dtype_policy(precision)
    state = step.make_state((3, 3), small_model(), LossConfig(), optimizer, precision)
    keras.config.set_dtype_policy("float32")
    return state


def _rates(state):
    return [float(adam.learning_rate) for _, adam in state.trained]


@pytest.mark.parametrize(
    "policy, steps, wanted",
    [
        # constant, then less by the same amount at each step
        (
            "linear",
            (0, 4, 5, 8, 11, 12, 13),
            [0.01, 0.01, 0.00875, 0.005, 0.00125, 0, 0],
        ),
        # half way down at half the time
        (
            "cosine",
            (0, 4, 6, 8, 12, 20),
            [0.01, 0.01, 0.01 * (1 + math.sqrt(0.5)) / 2, 0.005, 0, 0],
        ),
    ],
)
def test_rates_fall_from_the_spans_start_to_0_at_its_end(policy, steps, wanted):
    schedule = schedules.make_schedule(policy, 0.01, SPAN)
    rates = [float(schedule(number)) for number in steps]
    np.testing.assert_allclose(rates, wanted, rtol=1e-6, atol=1e-9)


def test_a_runs_epochs_count_from_its_own_first_step():
    assert schedules.decay_span(LINEAR, 0, 12, 2) == (4, 12)
    assert schedules.decay_span(LINEAR, 100, 12, 2) == (104, 112)
    from_start = dataclasses.replace(LINEAR, decay_from=None)
    assert schedules.decay_span(from_start, 0, 12, 2) == (0, 12)
    with pytest.raises(UsageError, match="--decay_from 2 is 20 steps.* after 12"):
        schedules.decay_span(LINEAR, 0, 12, 10)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_both_rates_follow_the_steps_done_and_come_back_from_disk(precision, tmp_path):
    state = _state(precision=precision)
    schedules.schedule_rates(state, LINEAR, SPAN)
    state.global_step.assign(7)
    np.testing.assert_allclose(_rates(state), [0.00625, 0.025], rtol=1e-6)
    checkpoints.save(state, tmp_path, keep=1)
    restored = _state(precision=precision)
    schedules.schedule_rates(restored, LINEAR, SPAN)
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    assert _rates(restored) == _rates(state)


def test_an_update_takes_the_rate_of_its_step(small_pair):
    moved = []
    of_that_step = OptimizerConfig(lr=0.00875, d_lr=0.035)
    for rates in (LINEAR, of_that_step):
        keras.utils.set_random_seed(1)
        state = _state(rates)
        if rates is LINEAR:
            schedules.schedule_rates(state, rates, SPAN)
        state.global_step.assign(5)
        result = step.forward(state, *small_pair, LossConfig())
        step.update(state, result, num_examples=1)
        moved.append(values_of(state))
    assert_equal_values(*moved)


def test_without_a_schedule_both_rates_are_lr():
    assert _rates(_state(OptimizerConfig())) == [np.float32(0.0002)] * 2


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--lr_policy linear", "--lr_policy linear needs a planned end"),
        ("--lr_policy cosine --max_steps 0", "--max_epochs or --max_steps"),
        ("--decay_from 3", "--decay_from needs --lr_policy"),
        ("--lr_policy linear --max_epochs 3 --decay_from 3", "below --max_epochs 3"),
        ("--d_lr 0", "--d_lr must be above 0"),
        ("--d_lr 0.1 --gan_weight 0", "--d_lr cannot be used with --gan_weight 0"),
    ],
)
def test_rates_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])

"""Learning rates: their values at given steps, in the update, and after a restore."""

import dataclasses
import math
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, train
from pix2pix_tf.options import LossConfig, ModelConfig, OptimizerConfig, parse
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import schedules, step

SMALL = ModelConfig(ngf=1, ndf=1, crop_size=32, num_downs=5, n_layers=1)
LINEAR = OptimizerConfig(lr=0.01, d_lr=0.04, lr_policy="linear", decay_from=2)
SPAN = (4, 12)  # two epochs of two steps, and four more


def _state(optimizer=LINEAR, precision="float32"):
    keras.config.set_dtype_policy(precision)
    state = step.make_state((3, 3), SMALL, LossConfig(), optimizer, precision)
    keras.config.set_dtype_policy("float32")
    return state


def _rates(state):
    return [float(adam.learning_rate) for _, adam in state.trained]


def test_linear_is_constant_then_falls_by_the_same_each_step_to_0():
    schedule = schedules.make_schedule("linear", 0.01, SPAN)
    rates = [float(schedule(steps)) for steps in (0, 4, 5, 8, 11, 12, 13)]
    wanted = [0.01, 0.01, 0.00875, 0.005, 0.00125, 0, 0]
    np.testing.assert_allclose(rates, wanted, rtol=1e-6, atol=1e-9)


def test_cosine_is_half_way_down_at_half_the_time():
    schedule = schedules.make_schedule("cosine", 0.01, SPAN)
    rates = [float(schedule(steps)) for steps in (0, 4, 6, 8, 12, 20)]
    wanted = [0.01, 0.01, 0.01 * (1 + math.sqrt(0.5)) / 2, 0.005, 0, 0]
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
    step.schedule_rates(state, LINEAR, SPAN)
    state.global_step.assign(7)
    np.testing.assert_allclose(_rates(state), [0.00625, 0.025], rtol=1e-6)
    checkpoints.save(state, tmp_path / "", keep=1)
    restored = _state(precision=precision)
    step.schedule_rates(restored, LINEAR, SPAN)
    checkpoints.restore(restored, checkpoints.find_latest(tmp_path))
    assert _rates(restored) == _rates(state)


def test_an_update_takes_the_rate_of_its_step():
    moved = []
    of_that_step = OptimizerConfig(lr=0.00875, d_lr=0.035)
    for rates, span in ((LINEAR, SPAN), (of_that_step, None)):
        keras.utils.set_random_seed(1)
        state = _state(rates)
        if span:
            step.schedule_rates(state, rates, span)
        train_step = step.make_train_step(state, LossConfig(), seed=1)
        state.global_step.assign(5)
        train_step(*tf.random.stateless_uniform([2, 1, 32, 32, 3], [1, 1], -1, 1))
        moved.append([v.numpy() for n, _ in state.trained for v in n.variables])
    for ours, wanted in zip(*moved, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-6)


def test_a_stopped_run_goes_on_with_the_same_rates(tmp_path, pair_dir):
    def rates(folder, stop_at=None):
        def callback(steps, scalars):
            seen.append((steps, scalars["learning_rate/generator"]))
            if steps == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        seen = []
        arguments = ["--mode", "train", "--input_dir", str(pair_dir), "--seed", "5"]
        arguments += ["--crop_size", "32", "--ngf", "1", "--ndf", "1"]
        arguments += ["--n_layers", "1", "--resume", "auto", "--max_epochs", "1"]
        arguments += ["--lr_policy", "cosine", "--summary_freq", "1"]
        train.main([*arguments, "--output_dir", str(folder)], [callback])
        return seen

    unbroken = rates(tmp_path / "unbroken")
    assert [steps for steps, _ in unbroken] == [1, 2, 3, 4, 5] and unbroken[-1][1] == 0
    cut = rates(tmp_path / "cut", stop_at=2)
    assert cut == unbroken[:2]
    assert rates(tmp_path / "cut") == unbroken[2:]


def test_without_a_schedule_both_rates_are_lr():
    assert _rates(_state(OptimizerConfig())) == [np.float32(0.0002)] * 2


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--lr_policy linear", "--lr_policy linear needs the run's end"),
        ("--lr_policy cosine --max_steps 0", "--max_epochs or --max_steps"),
        ("--decay_from 3", "--decay_from needs --lr_policy"),
        ("--lr_policy linear --max_epochs 3 --decay_from 3", "below --max_epochs 3"),
        ("--d_lr 0", "--d_lr must be above 0"),
        ("--d_lr 0.1 --gan_weight 0", "--d_lr does not go with --gan_weight 0"),
    ],
)
def test_rates_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        parse(["--mode", "train", *arguments.split()])

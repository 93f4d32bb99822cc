"""Names and choice of checkpoints, damage; and the optimizers that are in them."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.options import LossConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step
from tests.conftest import assert_equal_values, small_model, values_of


def _make_state(**model_changes):
    return step.make_state((3, 3), small_model(**model_changes), LossConfig())


@pytest.fixture(scope="module")
def state(small_pair):
    """After two steps."""
    state = _make_state()
    train_step = step.make_train_step(state, LossConfig(), seed=1)
    for _ in range(2):
        train_step(*small_pair)
    return state


@pytest.fixture(scope="module")
def saved_dir(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    checkpoints.save(state, folder, keep=1)
    return folder


@pytest.fixture
def copy_dir(saved_dir, tmp_path):
    return Path(shutil.copytree(saved_dir, tmp_path / "run *"))


def test_names_are_those_of_tensorflow_1s_saver(saved_dir):
    shapes = dict(tf.train.list_variables(str(saved_dir)))
    assert shapes["generator/encoder_2/conv2d/kernel/Adam_1"] == [4, 4, 1, 2]
    assert shapes["discriminator_loss/Mean/ExponentialMovingAverage"] == []
    assert checkpoints.loss_names(sorted(shapes)) == list(checkpoints.EMA_NAMES)
    reader = tf.train.load_checkpoint(str(saved_dir))
    assert reader.get_tensor("global_step") == 2
    np.testing.assert_allclose(reader.get_tensor("generator_train/beta1_power"), 0.5**3)


def test_the_generator_alone_can_be_restored(state, saved_dir):
    generator = networks.build_generator((3, 3), small_model())
    checkpoints.restore_generator(generator, checkpoints.find_latest(saved_dir))
    got, wanted = (
        networks.variables_by_name(one) for one in (generator, state.generator)
    )
    assert_equal_values(got, wanted)


@pytest.mark.parametrize("keep, kept", [(1, [4]), (3, [2, 3, 4])])
def test_the_newest_checkpoints_are_kept(tmp_path, keep, kept):
    for number in range(1, 5):
        checkpoints.write({"a": tf.constant(number)}, tmp_path, number, keep)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint"] + [
        f"model-{number}.{end}"
        for number in kept
        for end in ("data-00000-of-00001", "index")
    ]
    assert checkpoints.find_latest(tmp_path) == str(tmp_path / "model-4")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"ngf": 2}, ["of another shape", "encoder_1/conv2d/bias"]),
        ({"separable_conv": True}, ["missing", "unknown", "separable_conv2d"]),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_set(saved_dir, changes, words):
    state = _make_state(**changes)
    before = values_of(state)
    with pytest.raises(UsageError) as error:
        checkpoints.restore(state, checkpoints.find_latest(saved_dir))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert_equal_values(values_of(state), before)


@pytest.mark.parametrize(
    "first, then, lacked",
    [
        ({}, {"l2_weight": 1.0}, ["generator_loss_L2"]),
        (
            {"gan_weight": 0.0},
            {},
            ["the discriminator", "discriminator_loss", "generator_loss_GAN"],
        ),
    ],
)
def test_a_new_run_starts_what_its_checkpoint_lacks_from_nothing(
    tmp_path, small_pair, first, then, lacked
):
    before = step.make_state((3, 3), small_model(), LossConfig(**first))
    step.make_train_step(before, LossConfig(**first), seed=1)(*small_pair)
    checkpoints.save(before, tmp_path, keep=1)
    state = step.make_state((3, 3), small_model(), LossConfig(**then))
    prefix = checkpoints.find(tmp_path)
    with pytest.raises(UsageError, match="missing"):
        checkpoints.restore(state, prefix)
    new = checkpoints.restore(state, prefix, is_new_run=True)
    assert [text.removeprefix("the moving average of ") for text in new] == lacked
    kept = {name: one for name, one in values_of(before).items() if "power" not in name}
    assert_equal_values({name: values_of(state)[name] for name in kept}, kept)
    if "the discriminator" in lacked:
        assert int(state.d_optimizer.iterations) == 0
    assert all(float(state.ema[name]) == 0 for name in lacked if name in state.ema)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("share", [0.5, 0])
def test_damaged_files_are_refused_by_path(copy_dir, state, suffix, share):
    path = copy_dir / f"model-2.{suffix}"
    os.truncate(path, int(share * path.stat().st_size))
    before = values_of(state)
    with pytest.raises(UsageError, match="model-2 is damaged") as error:
        checkpoints.restore(state, checkpoints.find_latest(copy_dir))
    assert "\n" not in str(error.value)
    assert_equal_values(values_of(state), before)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_generator_of_a_damaged_file_is_refused_by_path(copy_dir, kept):
    path = copy_dir / "model-2.data-00000-of-00001"
    contents = path.read_bytes()
    path.write_bytes(kept * bytes(len(contents)))  # empty, or overwritten
    generator = networks.build_generator((3, 3), small_model())
    with pytest.raises(UsageError, match="model-2 is damaged") as error:
        checkpoints.restore_generator(generator, checkpoints.find_latest(copy_dir))
    assert "\n" not in str(error.value)


def test_a_damaged_state_file_is_passed_over_and_a_lost_checkpoint_named(copy_dir):
    for contents in (b"\xff\x00\xfe", b'model_checkpoint_path: "/gone/model-9"\n', b""):
        (copy_dir / "checkpoint").write_bytes(contents)
        assert checkpoints.find_latest(copy_dir) == str(copy_dir / "model-2")
    (copy_dir / "model-2.index").unlink()
    with pytest.raises(UsageError, match="has no checkpoint"):
        checkpoints.find_latest(copy_dir)


@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index"])
def test_the_newest_readable_checkpoint_is_taken(copy_dir, capsys, ending):
    checkpoints.write({"a": tf.ones([9])}, copy_dir, step=5, keep=2)
    path = copy_dir / f"model-5.{ending}"
    os.truncate(path, path.stat().st_size - 20)
    assert checkpoints.find_latest(copy_dir) == str(copy_dir / "model-2")
    out = capsys.readouterr().err
    assert out.startswith("warning: ") and "model-5 is damaged" in out
    assert out.endswith(": taking model-2\n")
    (copy_dir / "model-5.index").unlink()
    assert checkpoints.find_latest(copy_dir) == str(copy_dir / "model-2")
    assert "model-5.index is missing: taking model-2" in capsys.readouterr().err


def test_a_save_that_is_cut_leaves_the_one_before(copy_dir, state, monkeypatch):
    before = sorted(copy_dir.iterdir())

    def cut(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(checkpoints.tensors(state), copy_dir, step=5)
    assert sorted(copy_dir.iterdir()) == before
    assert checkpoints.find_latest(copy_dir).endswith("model-2")


def test_the_fused_update_equals_keras_adam():
    rng = np.random.default_rng(0)
    start = rng.normal(size=[5, 4]).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    fused = checkpoints.Adam(0.01, 0.5)
    plain = keras.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
    fused.build([ours])
    plain.build([theirs])
    for _ in range(5):
        gradient = tf.constant(rng.normal(size=[5, 4]), tf.float32)
        fused.update([gradient])
        fused.count(True, True)
        plain.apply([gradient], [theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_first_update_shows_epsilon_1e8():
    variable = keras.Variable([0.0])
    optimizer = checkpoints.Adam(1.0, 0.5)
    optimizer.build([variable])
    gradient = 1e-6  # small enough for epsilon to show
    optimizer.update([tf.constant([gradient])])
    # m = g / 2, v = g**2 / 1000, lr_t = sqrt(1 / 1000) / (1 / 2): Adam's first step.
    root = gradient * np.sqrt(0.001)
    expected = -np.sqrt(0.001) / 0.5 * (gradient / 2) / (root + 1e-8)
    np.testing.assert_allclose(variable, [expected], rtol=1e-4)

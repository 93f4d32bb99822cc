import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.options import LossConfig, ModelConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import step

TINY = ModelConfig(ngf=1, ndf=1)
LOSS = LossConfig()


def _make_state(model=TINY):
    return step.make_state((3, 3), model, LOSS)


def _everything(state):
    return {n: v.numpy() for n, v in checkpoints._variables(state).items()}


@pytest.fixture(scope="module")
def sides():
    return tf.random.stateless_uniform([2, 1, 256, 256, 3], [1, 1], -1, 1)


@pytest.fixture(scope="module")
def state(sides):
    """After two steps."""
    state = _make_state()
    train_step = step.make_train_step(state, LOSS, seed=1)
    for _ in range(2):
        train_step(*sides)
    return state


@pytest.fixture(scope="module")
def saved_dir(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    checkpoints.save(state, folder, keep=1)
    return folder


def test_a_restored_state_equals_the_saved_one(state, saved_dir):
    restored = _make_state()
    checkpoints.restore(restored, checkpoints.find_latest(saved_dir))
    for name, values in _everything(state).items():
        np.testing.assert_array_equal(_everything(restored)[name], values, name)
    assert int(restored.g_optimizer.iterations) == 2


def test_the_step_after_a_restore_equals_the_unbroken_one(state, saved_dir, sides):
    results = []
    for _ in range(2):
        restored = _make_state()
        checkpoints.restore(restored, checkpoints.find_latest(saved_dir))
        step.make_train_step(restored, LOSS, seed=1)(*sides)
        results.append(_everything(restored))
    for name, values in results[0].items():
        np.testing.assert_allclose(results[1][name], values, atol=1e-6, err_msg=name)


def test_names_are_those_of_tensorflow_1s_saver(saved_dir):
    shapes = dict(tf.train.list_variables(str(saved_dir)))
    assert shapes["generator/encoder_2/conv2d/kernel/Adam_1"] == [4, 4, 1, 2]
    assert shapes["discriminator_loss/Mean/ExponentialMovingAverage"] == []
    reader = tf.train.load_checkpoint(str(saved_dir))
    assert reader.get_tensor("global_step") == 2
    np.testing.assert_allclose(reader.get_tensor("generator_train/beta1_power"), 0.5**3)


def test_the_generator_alone_can_be_restored(state, saved_dir):
    generator = networks.build_generator((3, 3), TINY)
    checkpoints.restore_generator(generator, checkpoints.find_latest(saved_dir))
    for got, saved in zip(
        generator.trainable_variables, state.generator.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(got, saved)


@pytest.mark.parametrize("keep, kept", [(1, [4]), (3, [2, 3, 4])])
def test_the_newest_checkpoints_are_kept(tmp_path, keep, kept):
    state = _make_state()
    for number in range(1, 5):
        state.global_step.assign(number)
        checkpoints.save(state, tmp_path, keep)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint"] + [
        f"model-{number}.{end}"
        for number in kept
        for end in ("data-00000-of-00001", "index")
    ]
    assert checkpoints.find_latest(tmp_path) == str(tmp_path / "model-4")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no checkpoint"):
        checkpoints.find_latest(tmp_path)


@pytest.mark.parametrize(
    "model, words",
    [
        (ModelConfig(ngf=2, ndf=1), ["of another shape", "encoder_1/conv2d/bias"]),
        (
            ModelConfig(ngf=1, ndf=1, separable_conv=True),
            ["missing", "unknown", "separable_conv2d"],
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_set(saved_dir, model, words):
    state = _make_state(model)
    before = _everything(state)
    with pytest.raises(UsageError) as error:
        checkpoints.restore(state, checkpoints.find_latest(saved_dir))
    assert all(word in str(error.value) for word in words), str(error.value)
    for name, values in _everything(state).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", [lambda old: old[: len(old) // 2], lambda old: b""])
def test_damaged_files_are_refused_by_path(saved_dir, tmp_path, suffix, damage):
    folder = Path(shutil.copytree(saved_dir, tmp_path / "copy"))
    path = folder / f"model-2.{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match="model-2 is damaged") as error:
        checkpoints.restore(_make_state(), checkpoints.find_latest(folder))
    assert "\n" not in str(error.value)


def test_any_folder_name_and_a_damaged_state_file_are_read(saved_dir, tmp_path):
    folder = Path(shutil.copytree(saved_dir, tmp_path / "run[1] *"))
    assert checkpoints.find_latest(folder) == str(folder / "model-2")
    for contents in (b"\xff\x00\xfe", b'model_checkpoint_path: "/gone/model-9"\n', b""):
        (folder / "checkpoint").write_bytes(contents)
        assert checkpoints.find_latest(folder) == str(folder / "model-2")
    (folder / "model-2.index").unlink()
    with pytest.raises(UsageError, match="has no checkpoint"):
        checkpoints.find_latest(folder)

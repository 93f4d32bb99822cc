"""`--diffaug`: what the discriminator sees, what does not change, and resuming."""

import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

import run_files
from pix2pix_tf import options, train
from pix2pix_tf.options import LossConfig, PairConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import augment, step
from tests.conftest import SMALL, assert_equal_values, small_model, values_of

ALL = ("color", "translation", "cutout")


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    """Ends what `--deterministic` begins, which has no public end."""
    yield
    tf_config.disable_op_determinism()


def _images(*shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, shape).astype(np.float32)


def _numpy_augment(image, policy, draws):
    """Changes one image [height, width, channels] by its draws, pixel by pixel."""
    x = image.astype(np.float64)
    height, width, _ = x.shape
    if "color" in policy:
        x = x + draws[0] - 0.5
        gray = x.mean(axis=2, keepdims=True)
        x = gray + (x - gray) * draws[1] * 2
        x = x.mean() + (x - x.mean()) * (draws[2] + 0.5)
    if "translation" in policy:
        moved, (down, right) = (
            np.zeros_like(x),
            (
                int(draw * (2 * largest + 1)) - largest
                for draw, largest in zip(
                    draws[3:5],
                    (int(height / 8 + 0.5), int(width / 8 + 0.5)),
                    strict=True,
                )
            ),
        )
        for row in range(height):
            for column in range(width):
                if 0 <= row - down < height and 0 <= column - right < width:
                    moved[row, column] = x[row - down, column - right]
        x = moved
    if "cutout" in policy:
        edges = []
        for draw, side in zip(draws[5:7], (height, width), strict=True):
            hole = int(side / 2 + 0.5)
            middle = int(draw * (side + 1 - hole % 2))
            edges.append((max(middle - hole // 2, 0), middle - hole // 2 + hole))
        (top, bottom), (left, right) = edges
        x = x.copy()
        x[top:bottom, left:right] = 0
    return x


@pytest.mark.parametrize("policy", [(name,) for name in ALL] + [ALL])
@pytest.mark.parametrize("size", [(16, 24), (13, 18)])
def test_images_are_changed_as_the_formulas_say_and_all_of_a_pair_alike(policy, size):
    images = [_images(5, *size, channels, seed=channels) for channels in (1, 3, 4)]
    got = tf.function(augment.augment)(images, policy, tf.constant([3, 7]))
    draws = tf.random.stateless_uniform([7, 5], [3, 7]).numpy()
    for before, after in zip(images, got, strict=True):
        assert after.shape == before.shape
        for number in range(5):
            wanted = _numpy_augment(before[number], policy, draws[:, number])
            np.testing.assert_allclose(after[number], wanted, atol=1e-5)


def test_xla_gives_the_same_images():
    def change(image):
        return augment.augment([image], ALL, tf.constant([3, 7]))[0]

    image = _images(2, 16, 16, 3)
    compiled = tf.function(change, jit_compile=True)
    np.testing.assert_allclose(compiled(image), change(image), atol=1e-5)


def test_the_draws_reach_both_bounds_of_each_change():
    white = np.ones([4000, 16, 16, 1], np.float32)
    [moved] = augment.augment([white], ("translation",), [1, 2])
    margins = {int(n) for n in tf.reduce_sum(moved[:, :, 8, 0], axis=1)}
    assert margins == {14, 15, 16}  # moved by 2 at most, an eighth
    [holed] = augment.augment([white], ("cutout",), [1, 2])
    areas = 256 - tf.reduce_sum(holed, axis=[1, 2, 3])
    assert (min(areas), max(areas)) == (16, 64)  # a corner of the hole; all of it
    [colored] = augment.augment([white], ("color",), [1, 2])
    assert np.isclose(np.min(colored), 0.5, atol=0.01)
    assert np.isclose(np.max(colored), 1.5, atol=0.01)


def _forward(small_pair, diffaug, key=(1, 2), **changes):
    loss = LossConfig(diffaug=diffaug, **changes)
    norm = {"norm": "none"} if loss.gan_mode == "wgangp" else {}
    keras.utils.set_random_seed(1)
    state = step.make_state(PairConfig().channels, small_model(**norm), loss)
    return state, step.forward(state, *small_pair, loss, key=key)


@pytest.mark.parametrize("gan_mode", ["vanilla", "wgangp"])
def test_the_discriminator_sees_the_changes_and_the_generator_learns_through_them(
    small_pair, gan_mode
):
    policy = ",".join(ALL)
    changes = {"gan_mode": gan_mode, "l1_weight": 0.0}
    _, plain = _forward(small_pair, None, **changes)
    _, changed = _forward(small_pair, policy, **changes)
    _, again = _forward(small_pair, policy, **changes)
    _, other = _forward(small_pair, policy, key=(1, 3), **changes)
    for name in ("discriminator_loss", "generator_loss_GAN"):
        assert changed.losses[name] == again.losses[name] != plain.losses[name]
        assert changed.losses[name] != other.losses[name]
    assert changed.losses["generator_loss_L1"] == plain.losses["generator_loss_L1"]
    np.testing.assert_array_equal(changed.outputs, plain.outputs)
    for gradients in changed.gradients:
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        assert any(np.any(gradient) for gradient in gradients)


def test_gradients_reach_every_pixel_that_is_shown_and_no_other():
    images = tf.constant(_images(3, 16, 16, 2))
    with tf.GradientTape() as tape:
        tape.watch(images)
        [changed] = augment.augment([images], ("translation", "cutout"), [5, 6])
        total = tf.reduce_sum(changed)
    gradient = tape.gradient(total, images).numpy()
    assert set(np.unique(gradient)) == {0, 1}
    shown = np.count_nonzero(changed, axis=(1, 2, 3))
    np.testing.assert_array_equal(np.count_nonzero(gradient, axis=(1, 2, 3)), shown)


def test_off_is_the_default_and_draws_nothing(small_pair):
    """The state after two steps is that of a step without the word `diffaug`."""
    ends = []
    for key in ((0, 0), (9, 9)):
        keras.utils.set_random_seed(1)
        loss = LossConfig()
        state = step.make_state(PairConfig().channels, small_model(), loss)
        result = step.forward(state, *small_pair, loss, key=key)
        step.update(state, result, 1)
        ends.append(values_of(state))
    assert_equal_values(*ends)


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(pair_dir, tmp_path):
    def run(folder, *flags, callbacks=()):
        arguments = ["--mode", "train", "--input_dir", str(pair_dir), *SMALL]
        arguments += ["--output_dir", str(tmp_path / folder), "--deterministic"]
        arguments += ["--seed", "5", "--diffaug", ",".join(ALL), "--max_steps", "4"]
        arguments += ["--summary_freq", "1", "--display_freq", "2", "--batch_size", "2"]
        return train.main([*arguments, *flags], callbacks)

    def stop(number, _):
        if number == 2:
            signal.raise_signal(signal.SIGTERM)

    assert run("unbroken") == 0
    assert run("cut", callbacks=[stop]) == 143
    assert run("cut", "--resume", "auto") == 0
    assert run_files.compare(tmp_path / "unbroken", tmp_path / "cut") == []


@pytest.mark.parametrize("channels", [(1, 2), (4, 5)])
def test_any_number_of_channels_is_changed(small_pair, channels):
    pair = [tf.constant(_images(1, 32, 32, number)) for number in channels]
    loss = LossConfig(diffaug="color,translation,cutout")
    state = step.make_state(channels, small_model(), loss)
    result = step.make_train_step(state, loss, seed=1)(*pair)
    assert np.all(result.is_finite)


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"diffaug": "color,colour"}, "--diffaug must be some of color, translation"),
        ({"diffaug": "cutout,cutout"}, "each once"),
        ({"diffaug": ""}, "--diffaug must be"),
        ({"diffaug": "cutout", "gan_weight": 0.0}, "--diffaug cannot be used with"),
        (
            {"diffaug": "color", "lab_colorization": True},
            "color of --diffaug cannot be used with --lab_colorization",
        ),
    ],
)
def test_what_does_not_fit_is_refused(flags, words):
    with pytest.raises(UsageError, match=words):
        options.decide({"mode": "train"} | flags)


def test_lab_takes_translation_and_cutout_and_plus_separates_too():
    given = {"mode": "train", "lab_colorization": True, "output_dir": "x"}
    found = options.decide(given | {"diffaug": "translation+cutout"})
    assert found.loss.diffaug_policy == ("translation", "cutout")

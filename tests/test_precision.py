"""Networks that compute in 16 bits: what stays float32, and that they learn."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf import checkpoints, networks, train
from pix2pix_tf.metrics import features
from pix2pix_tf.networks import fast
from pix2pix_tf.options import LossConfig, ModelConfig
from pix2pix_tf.runtime import precision
from pix2pix_tf.training import losses, step
from tests.conftest import TINY, read_image

LOW = ["mixed_bfloat16", "mixed_float16"]
SMALL = ModelConfig(ngf=4, ndf=4, crop_size=64, num_downs=6, n_layers=2)


@pytest.fixture(autouse=True)
def policy_as_before():
    yield
    precision.set_precision("float32")


# Without a norm, which at few pixels divides by next to nothing, and dropout.
SMOOTH = dataclasses.replace(SMALL, norm="none", no_dropout=True, init="kaiming")


def _state(kind, model=SMALL):
    keras.config.set_dtype_policy(kind)
    keras.utils.set_random_seed(1)
    return step.make_state((3, 3), model, LossConfig(), precision=kind)


@pytest.fixture(scope="module")
def sides():
    return tf.random.stateless_uniform([2, 1, 64, 64, 3], [1, 1], -1, 1)


@pytest.mark.parametrize("kind", LOW)
def test_variables_outputs_losses_and_gradients_stay_float32(kind, sides):
    state = _state(kind)
    result = step.forward(state, *sides, LossConfig())
    low = precision.LOW[kind]
    inner = [layer.compute_dtype for layer in state.generator.layers[1:-1]]
    assert set(inner) == {low.name}
    for _, variable in networks.variables_by_name(state.generator).items():
        assert variable.dtype == "float32"
    tensors = [result.outputs, result.predict_fake, *result.losses.values()]
    assert {tensor.dtype for tensor in tensors} == {tf.float32}
    assert {gradient.dtype for gradient in result.g_gradients} == {tf.float32}


@pytest.mark.parametrize("kind", LOW)
def test_losses_are_those_of_float32_to_the_precision_of_16_bits(kind, sides):
    # L1's gradient is a sign, which flips where outputs all but meet targets.
    loss = LossConfig(l1_weight=0.0, l2_weight=100.0)
    expected = step.forward(_state("float32", SMOOTH), *sides, loss)
    state, scale = _state(kind, SMOOTH), 1.0
    if kind == "mixed_float16":
        scale = 16.0
        state.g_optimizer.dynamic_scale.assign(scale)
    found = step.forward(state, *sides, loss)
    for name, value in expected.losses.items():
        np.testing.assert_allclose(found.losses[name], value, rtol=0.02, err_msg=name)
    ours, theirs = (
        np.concatenate([np.ravel(gradient) for gradient in each.g_gradients])
        for each in (found, expected)
    )
    distance = np.linalg.norm(ours / scale - theirs)
    assert distance < 0.1 * np.linalg.norm(theirs)


def test_a_loss_scale_is_saved_halved_on_overflow_and_optional(sides, tmp_path):
    state = _state("mixed_float16")
    train_step = step.make_train_step(state, LossConfig(), seed=1)
    before = [variable.numpy() for variable in state.generator.trainable_variables]
    state.g_optimizer.dynamic_scale.assign(3e38)  # no gradient survives that
    train_step(*sides)
    assert float(state.g_optimizer.dynamic_scale) == np.float32(3e38) / 2
    for old, variable in zip(before, state.generator.trainable_variables, strict=True):
        np.testing.assert_array_equal(variable, old)
    state.g_optimizer.dynamic_scale.assign(1024.0)
    train_step(*sides)
    changed = [
        not np.array_equal(old, variable)
        for old, variable in zip(
            before, state.generator.trainable_variables, strict=True
        )
    ]
    assert any(changed)
    checkpoints.save(state, tmp_path / "", keep=1)
    prefix = checkpoints.find_latest(tmp_path)
    again, plain = _state("mixed_float16"), _state("float32")
    checkpoints.restore(again, prefix)
    assert float(again.g_optimizer.dynamic_scale) == 1024
    checkpoints.restore(plain, prefix)  # and on in another precision
    checkpoints.save(plain, tmp_path / "", keep=1)
    checkpoints.restore(_state("mixed_float16"), prefix)


def test_the_commands_take_a_precision_each(pair_dir, tmp_path, capsys):
    flags = ["--precision", "mixed_bfloat16", "--input_dir", str(pair_dir)]
    run = str(tmp_path / "run")
    small = ["--crop_size", "32", "--n_layers", "1", "--summary_freq", "1", *TINY]
    small += ["--max_steps", "1"]
    assert train.main(["--mode", "train", *flags, *small, "--output_dir", run]) == 0
    pictures = {}
    for kind in ("float32", "mixed_bfloat16"):
        folder = tmp_path / kind
        test = ["--mode", "test", "--checkpoint", run, "--precision", kind]
        test += ["--input_dir", str(pair_dir), "--no_dropout", "--output_dir"]
        assert train.main([*test, str(folder)]) == 0
        pictures[kind] = read_image(folder / "images/1-outputs.png").astype(int)
    difference = np.abs(pictures["float32"] - pictures["mixed_bfloat16"])
    assert 0 < difference.max() and difference.mean() < 2
    export = ["--mode", "export", "--checkpoint", run, "--precision"]
    export += ["mixed_bfloat16", "--no_dropout", "--output_dir", str(tmp_path / "m")]
    assert train.main(export) == 0
    model = tf.saved_model.load(str(tmp_path / "m"))
    outputs = model.signatures["generate"](inputs=tf.zeros([1, 32, 32, 3]))["outputs"]
    assert outputs.dtype == tf.float32


@pytest.mark.parametrize(
    "cpuinfo, emulated",
    [
        ("flags\t: fpu avx2\n", {"mixed_bfloat16", "mixed_float16"}),
        ("flags\t: fpu avx512_bf16\n", {"mixed_float16"}),
        ("Features\t: fp asimd bf16\n", {"mixed_float16"}),
        (None, {"mixed_bfloat16", "mixed_float16"}),
    ],
)
def test_what_the_processor_has_decides_about_emulation(
    monkeypatch, tmp_path, cpuinfo, emulated
):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    monkeypatch.setattr(precision, "_CPUINFO_PATH", path)
    kinds = ("float32", "mixed_bfloat16", "mixed_float16")
    assert {kind for kind in kinds if precision.should_emulate(kind)} == emulated


def test_the_decision_is_stored_and_holds_when_the_run_is_resumed(tmp_path, pair_dir):
    def run(*flags):
        arguments = ["--mode", "train", "--input_dir", str(pair_dir), "--crop_size"]
        arguments += ["32", "--ngf", "1", "--ndf", "1", "--summary_freq", "0", *flags]
        assert train.main([*arguments, "--output_dir", str(tmp_path / "run")]) == 0
        return json.loads((tmp_path / "run/options.json").read_text())["emulate_16bit"]

    low = ["--precision", "mixed_bfloat16", "--resume", "auto", "--max_steps"]
    first = run(*low, "1", "--emulate_16bit", "on")
    assert first == run(*low, "2") == "on"  # also where auto would say off


def _small_network(layer_names):
    """Returns a stand-in for a network of Keras's: a convolution for each name."""
    images = inputs = keras.Input([None, None, 3])
    for name in layer_names:
        images = keras.layers.Conv2D(4, 3, padding="same", name=name)(images)
    outputs = keras.layers.GlobalAveragePooling2D()(images)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("kind", LOW)
def test_networks_that_measure_compute_in_float32_and_leave_the_policy(
    kind, sides, monkeypatch
):
    opened = []

    def open_network(include_top, weights, pooling=None):
        keras.utils.set_random_seed(3)
        opened.append(_small_network(losses.VGG_LAYERS))
        return opened[-1]

    monkeypatch.setattr(keras.applications, "VGG19", open_network)
    monkeypatch.setattr(keras.applications, "InceptionV3", open_network)
    pictures = [np.full([8, 8, 3], level, np.uint8) for level in (3, 250)]
    found = {}
    for policy in ("float32", kind):
        keras.config.set_dtype_policy(policy)
        perceptual_loss = losses.make_perceptual_loss("imagenet")
        extractor = features.open_extractor("imagenet")
        assert keras.config.dtype_policy().name == policy
        distance = perceptual_loss(*sides)
        assert distance.dtype == tf.float32
        found[policy] = distance, features.extract(extractor, pictures)
        low = [tf.cast(images, precision.LOW[kind]) for images in sides]
        assert perceptual_loss(*low).dtype == tf.float32
    layers = [layer for network in opened for layer in [network, *network.layers]]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    for ours, expected in zip(found[kind], found["float32"], strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_the_policy_is_as_before_where_a_network_cannot_be_built():
    keras.config.set_dtype_policy("mixed_bfloat16")
    with pytest.raises(ValueError), precision.in_float32():
        raise ValueError
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.parametrize("kind", LOW)
def test_activations_of_16_bits_are_compared_in_float32(kind):
    low = precision.LOW[kind]
    real, fake = tf.random.stateless_uniform([2, 1, 32, 32, 8], [1, 1])
    real, fake = tf.cast(real, low), tf.cast(fake, low)
    difference = tf.cast(real, tf.float64) - tf.cast(fake, tf.float64)
    exact = np.abs(difference).mean()
    found = losses.feature_loss([real, real], [fake, fake])
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, exact, rtol=1e-6)


# Of the library's two forms and of each fast one: size, filters, stride, padding.
CONVOLUTIONS = [(16, 3, 2, "same"), (4, 3, 2, "same"), (9, 3, 1, "valid")]
CONVOLUTIONS += [(9, 1, 1, "valid"), (7, 3, 2, "valid")]


@pytest.mark.parametrize("kind", LOW)
@pytest.mark.parametrize("size, filters, stride, padding", CONVOLUTIONS)
@pytest.mark.parametrize("layer", [fast.Conv2D, fast.Conv2DTranspose])
def test_16_bits_that_are_slow_are_reckoned_in_float32_to_the_same_numbers(
    layer, size, filters, stride, padding, kind
):
    if layer is fast.Conv2DTranspose:
        size, stride, padding = (size, 2, "same") if size != 16 else (20, 2, "same")
    keras.utils.set_random_seed(2)
    convolution = layer(filters, 4, stride, padding, dtype=kind)
    images = tf.random.stateless_normal([2, size, size, 5], [3, 3])
    images = tf.cast(images, precision.LOW[kind])
    convolution.build(images.shape)
    found = {}
    for is_slow in (False, True):
        precision.set_precision("float32", is_slow)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = convolution(images)
            loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
        variables = [images, convolution.kernel.value]
        found[is_slow] = [outputs, *tape.gradient(loss, variables)]
        assert outputs.dtype == images.dtype
    step = 2.0**-7 if kind == "mixed_bfloat16" else 2.0**-10  # of numbers near 1
    for slow, native in zip(found[True], found[False], strict=True):
        assert slow.dtype == native.dtype
        slow, native = (np.asarray(tf.cast(x, tf.float32)) for x in (slow, native))
        # TensorFlow's own form for such processors adds up in 16 bits.
        assert np.linalg.norm(slow - native) < 4 * step * np.linalg.norm(native)
